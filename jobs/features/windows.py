"""Sums over the last days before a prediction date, by any grouping, for many dates at once.

Facts are first summed by group, day and the dates that see them. Each such sum then enters a
window on one date and leaves it on another, and the window's value on a date is the running
total of what entered and left until then. So a year costs hardly more than its daily sums, and
since only whole numbers are added, one night alone gives exactly what the range gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as f

from jobs.features.known import FIRST, LAST
from jobs.plan import Dates

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

DAY = "_day"
DATE = "prediction_date"


@dataclass(frozen=True)
class Grouping:
    """Which facts count for which row.

    Attributes:
        name: the column of the result that holds this grouping's sums.
        facts: SQL expressions over the facts; a fact with a null in one of them counts nowhere.
        rows: SQL expressions over the rows that must be equal to them; default: the same.
    """

    name: str
    facts: tuple[str, ...]
    rows: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Sum:
    """A whole-number measure of facts, summed over the `days` before a prediction date."""

    measure: str
    days: int

    @property
    def name(self) -> str:
        return f"{self.measure}_{self.days}"


def lagged(
    rows: DataFrame,
    facts: DataFrame,
    groupings: Sequence[Grouping],
    sums: Sequence[Sum],
    dates: Dates,
) -> DataFrame:
    """`rows` with one struct column for each grouping, whose fields are the sums by name.

    Args:
        rows: one row for each combination of its columns, among them `prediction_date`.
        facts: `_day`, `_first_seen`, `_last_seen`, what the groupings name, and the measures as
            whole numbers (a missing one counts 0).
        dates: prediction dates of `rows`.

    A sum over d days on date D is of the facts that D sees and whose day is D-d to D-1.
    """
    totals = _daily(facts, groupings, sums, dates)
    changes = _changes(totals, sums, dates)
    asked = _asked(rows, groupings, sums)
    running = Window.partitionBy("_group", "_key").orderBy(DATE)
    so_far = running.rangeBetween(Window.unboundedPreceding, Window.currentRow)
    summed = changes.unionByName(asked).select(
        "_group", "_row", *[f.sum(each.name).over(so_far).alias(each.name) for each in sums]
    )
    return _beside(summed.where(f.col("_row").isNotNull()), rows.columns, groupings, sums)


def _daily(
    facts: DataFrame, groupings: Sequence[Grouping], sums: Sequence[Sum], dates: Dates
) -> DataFrame:
    """Sums by group, day and the dates that see them, of the facts that any date can use."""
    measures = sorted({each.measure for each in sums})
    longest = max(each.days for each in sums)
    within = facts.where(
        (f.date_add(DAY, longest) >= f.lit(dates.first))
        & (f.col(DAY) < f.lit(dates.last))
        & (f.col(LAST) >= f.lit(dates.first))
        & (f.col(FIRST) <= f.lit(dates.last))
    )
    enters = f.greatest(f.date_add(DAY, 1), FIRST, f.lit(dates.first))
    keyed = within.select(
        f.explode(_keys([each.facts for each in groupings])).alias("_in"),
        DAY,
        enters.alias("_enters"),
        f.least(LAST, f.lit(dates.last)).alias("_last"),
        *measures,
    )
    group = ["_in.group", "_in.key", DAY, "_enters", "_last"]
    return (
        keyed.where("_in.key is not null")
        .groupBy(*group)
        .agg(*[f.coalesce(f.sum(name), f.lit(0)).cast("long").alias(name) for name in measures])
    )


def _changes(totals: DataFrame, sums: Sequence[Sum], dates: Dates) -> DataFrame:
    """What enters and leaves each window, dated by the first prediction date it applies to."""
    lengths = sorted({each.days for each in sums})
    lasts = {days: f.least(f.date_add(DAY, days), "_last") for days in lengths}
    entry = f.struct(
        f.col("_enters").alias(DATE),
        *[_if(f.col("_enters") <= lasts[each.days], each).alias(each.name) for each in sums],
    )
    exits = [
        f.struct(
            f.date_add(lasts[days], 1).alias(DATE),
            *[_if(f.lit(each.days == days), each, -1).alias(each.name) for each in sums],
        )
        for days in lengths
    ]
    inside = [
        f.when(
            (f.col("_enters") <= lasts[days]) & (lasts[days] < f.lit(dates.last)), left
        )
        for days, left in zip(lengths, exits, strict=True)
    ]
    changes = totals.select(
        "group", "key", f.explode(f.array_compact(f.array(entry, *inside))).alias("change")
    )
    return changes.select(
        f.col("group").alias("_group"),
        f.col("key").alias("_key"),
        "change.*",
        f.lit(None).alias("_row"),
    )


def _asked(rows: DataFrame, groupings: Sequence[Grouping], sums: Sequence[Sum]) -> DataFrame:
    keys = _keys([each.rows or each.facts for each in groupings])
    asked = rows.select(f.explode(keys).alias("_in"), DATE, f.struct(*rows.columns).alias("_row"))
    nothing = [f.lit(0).cast("long").alias(each.name) for each in sums]
    return asked.select(
        f.col("_in.group").alias("_group"), f.col("_in.key").alias("_key"), DATE, *nothing, "_row"
    )


def _beside(
    summed: DataFrame, columns: list[str], groupings: Sequence[Grouping], sums: Sequence[Sum]
) -> DataFrame:
    """The sums of a row's groupings side by side, in the order of the groupings."""
    found = f.struct("_group", *[each.name for each in sums])
    rows = summed.groupBy("_row").agg(f.sort_array(f.collect_list(found)).alias("_sums"))
    structs = [
        f.col("_sums").getItem(place).alias(each.name) for place, each in enumerate(groupings)
    ]
    return rows.select(*[f.col("_row").getField(name).alias(name) for name in columns], *structs)


def _keys(parts: Sequence[tuple[str, ...]]) -> Column:
    """An array of (number of the grouping, its key as text); a null part makes the key null."""
    return f.array(
        *[
            f.struct(f.lit(place).alias("group"), _key(each).alias("key"))
            for place, each in enumerate(parts)
        ]
    )


def _key(parts: tuple[str, ...]) -> Column:
    # Each part's length goes before it, so that ("a", "bc") and ("ab", "c") differ.
    texts = [f.expr(part).cast("string") for part in parts]
    pieces = [f.concat(f.length(text).cast("string"), f.lit(":"), text) for text in texts]
    return f.concat(f.lit(""), *pieces)


def _if(condition: Column, each: Sum, sign: int = 1) -> Column:
    return f.when(condition, f.col(each.measure) * sign).otherwise(f.lit(0).cast("long"))
