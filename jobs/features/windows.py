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

from pyspark.sql import functions as f

from jobs.features.known import FIRST, LAST
from jobs.plan import Dates

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

DAY = "_day"
DATE = "prediction_date"


@dataclass(frozen=True)
class Grouping:
    """Which facts count for which row.

    Attributes:
        name: the column of the result that holds this grouping's sums.
        facts: SQL expressions over the facts, one or more; a fact with a null in one of them
            does not count.
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
    changes = _changes(_daily(facts, groupings, sums, dates), sums, dates)
    so_far = (
        f"(partition by _group, _key order by {DATE}"
        " range between unbounded preceding and current row)"
    )
    summed = changes.unionByName(_asked(rows, groupings, sums)).selectExpr(
        "_group", "_row", *[f"sum({each.name}) over {so_far} as {each.name}" for each in sums]
    )
    return _beside(summed.where("_row is not null"), rows.columns, groupings, sums)


def _daily(
    facts: DataFrame, groupings: Sequence[Grouping], sums: Sequence[Sum], dates: Dates
) -> DataFrame:
    """Sums by group and the dates that have them, of the facts that any date can use.

    Columns: `_group`, `_key`, `_enters`, for each window length the last date it has the sum
    (`_last_7`), and the measures. Dates outside of the asked ones are not told apart, so for one
    night a group has hardly more sums than there are windows, instead of one for each day.
    """
    measures = sorted({each.measure for each in sums})
    lengths = sorted({each.days for each in sums})
    first, last = f"date'{dates.first}'", f"date'{dates.last}'"
    useful = facts.where(
        f"date_add({DAY}, {lengths[-1]}) >= {first} and {DAY} < {last}"
        f" and {LAST} >= {first} and {FIRST} <= {last}"
    )
    keyed = useful.selectExpr(
        f"greatest(date_add({DAY}, 1), {FIRST}, {first}) as _enters",
        *[
            f"greatest(least(date_add({DAY}, {days}), {LAST}, {last}), date_sub({first}, 1))"
            f" as _last_{days}"
            for days in lengths
        ],
        f"inline({_keys([each.facts for each in groupings])})",
        *measures,
    )
    totals = [f.expr(f"coalesce(sum({name}), 0L)").alias(name) for name in measures]
    when = ["_enters", *[f"_last_{days}" for days in lengths]]
    return keyed.where("_key is not null").groupBy("_group", "_key", *when).agg(*totals)


def _changes(daily: DataFrame, sums: Sequence[Sum], dates: Dates) -> DataFrame:
    """What enters and leaves each window, dated by the first prediction date it applies to."""
    lengths = sorted({each.days for each in sums})
    enters = [f"if(_enters <= _last_{each.days}, {each.measure}, 0L)" for each in sums]
    changes = [f"if(_enters <= _last_{lengths[-1]}, {_change('_enters', sums, enters)}, null)"]
    for days in lengths:
        leaves = [f"-{each.measure}" if each.days == days else "0L" for each in sums]
        until = f"_enters <= _last_{days} and _last_{days} < date'{dates.last}'"
        change = _change(f"date_add(_last_{days}, 1)", sums, leaves)
        changes.append(f"if({until}, {change}, null)")
    array = f"array_compact(array({', '.join(changes)}))"
    return daily.selectExpr("_group", "_key", f"inline({array})", "null as _row")


def _change(date: str, sums: Sequence[Sum], values: Sequence[str]) -> str:
    pairs = [f"'{each.name}', {value}" for each, value in zip(sums, values, strict=True)]
    return f"named_struct('{DATE}', {date}, {', '.join(pairs)})"


def _asked(rows: DataFrame, groupings: Sequence[Grouping], sums: Sequence[Sum]) -> DataFrame:
    """The rows once for each grouping, in the shape of changes that change nothing."""
    return rows.selectExpr(
        f"inline({_keys([each.rows or each.facts for each in groupings])})",
        DATE,
        *[f"0L as {each.name}" for each in sums],
        f"struct({', '.join(rows.columns)}) as _row",
    )


def _beside(
    summed: DataFrame, columns: list[str], groupings: Sequence[Grouping], sums: Sequence[Sum]
) -> DataFrame:
    """The sums of a row's groupings side by side, in the order of the groupings."""
    fields = ", ".join(["_group", *[each.name for each in sums]])
    found = f.expr(f"sort_array(collect_list(struct({fields})))").alias("_sums")
    return (
        summed.groupBy("_row")
        .agg(found)
        .selectExpr(
            *[f"_row.{name} as {name}" for name in columns],
            *[f"_sums[{place}] as {each.name}" for place, each in enumerate(groupings)],
        )
    )


def _keys(parts: Sequence[tuple[str, ...]]) -> str:
    """An array of (number of the grouping, its key as text); a null part makes the key null."""
    pairs = [
        f"named_struct('_group', {place}, '_key', {_key(each)})" for place, each in enumerate(parts)
    ]
    return f"array({', '.join(pairs)})"


def _key(parts: tuple[str, ...]) -> str:
    # Each part's length goes before it, so that ("a", "bc") and ("ab", "c") differ.
    texts = [f"cast({part} as string)" for part in parts]
    return "concat({})".format(", ".join(f"length({text}), ':', {text}" for text in texts))
