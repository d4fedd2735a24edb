"""Sums over the last days before a prediction date, by any grouping, for many dates at once.

Spark sums the facts by group, day and the dates that see them. What a group has on each date is
then added up four weeks of dates at a time, in memory (`jobs.features.running`): as SQL, the same
took a window over every change of every group, and another shuffle to put a row's sums together.
Only whole numbers are added, so one night alone gives exactly what the range gives.

The asked dates come as a row of data and not as literals, which Spark would write into the code
that it generates: so every night runs the code that the night before has compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as f
from pyspark.sql.types import LongType, StructField, StructType

from jobs.declared import DATE
from jobs.features.known import FIRST, LAST
from jobs.features.running import ENTERS, GROUP, KEY, beside, key_of, last_of
from jobs.lake.local_rows import local_rows
from jobs.plan import Dates

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

DAY, CHUNK = "_day", "_chunk"
# The first and the last of the asked dates.
EARLIEST, LATEST = "_earliest", "_latest"
# Prediction dates that are worked on together. One worker holds the rows of that many days, and the
# sums of all groups that they may see.
CHUNK_DAYS = 28


@dataclass(frozen=True)
class Sum:
    """A whole-number measure of facts, summed over the `days` before a prediction date."""

    measure: str
    days: int

    @property
    def name(self) -> str:
        return f"{self.measure}_{self.days}"


@dataclass(frozen=True)
class Grouping:
    """Which facts count for which row, and what of them is summed.

    Attributes:
        name: the column of the result that holds this grouping's sums.
        facts: SQL expressions over the facts, one or more; a fact with a null in one of them
            does not count.
        rows: SQL expressions over the rows that must be equal to them.
        sums: what is summed.
    """

    name: str
    facts: tuple[str, ...]
    rows: tuple[str, ...]
    sums: tuple[Sum, ...]


def quoted(name: str) -> str:
    """A column by its name in SQL, where words such as `null` are something else."""
    return f"`{name}`"


def lagged(
    rows: DataFrame,
    facts: DataFrame,
    groupings: Sequence[Grouping],
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
    sums = [each for grouping in groupings for each in grouping.sums]
    daily = _daily(facts, groupings, sums, dates)
    columns = rows.columns
    keys = [f"{_key(each.rows)} as {key_of(place)}" for place, each in enumerate(groupings)]
    asked = rows.selectExpr(*map(quoted, columns), *keys, f"{_chunk(DATE)} as {CHUNK}")
    wanted = {
        grouping.name: {each.name: (each.measure, each.days) for each in grouping.sums}
        for grouping in groupings
    }
    structs = [
        StructField(name, StructType([StructField(each, LongType()) for each in of_group]))
        for name, of_group in wanted.items()
    ]
    schema = StructType([*rows.schema.fields, *structs])

    def add_up(rows: pa.Table, daily: pa.Table) -> pa.Table:
        return beside(rows, daily, columns, wanted)

    together = asked.groupBy(CHUNK).cogroup(_spread(daily, sums).groupBy(CHUNK))
    return together.applyInArrow(add_up, schema)


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
    bounds = local_rows(
        facts.sparkSession, [(dates.first, dates.last)], f"{EARLIEST} date, {LATEST} date"
    )
    useful = facts.crossJoin(f.broadcast(bounds)).where(
        f"date_add({DAY}, {lengths[-1]}) >= {EARLIEST} and {DAY} < {LATEST}"
        f" and {LAST} >= {EARLIEST} and {FIRST} <= {LATEST}"
    )
    keyed = useful.selectExpr(
        f"greatest(date_add({DAY}, 1), {FIRST}, {EARLIEST}) as {ENTERS}",
        *[
            f"greatest(least(date_add({DAY}, {days}), {LAST}, {LATEST}), date_sub({EARLIEST}, 1))"
            f" as {last_of(days)}"
            for days in lengths
        ],
        f"inline({_keys([each.facts for each in groupings])})",
        *measures,
    )
    totals = [f.expr(f"coalesce(sum({name}), 0L)").alias(name) for name in measures]
    when = [ENTERS, *map(last_of, lengths)]
    return keyed.where(f"{KEY} is not null").groupBy(GROUP, KEY, *when).agg(*totals)


def _spread(daily: DataFrame, sums: Sequence[Sum]) -> DataFrame:
    """The sums once for each chunk of dates that may see them."""
    last = last_of(max(each.days for each in sums))
    chunks = f"sequence({_chunk(ENTERS)}, {_chunk(last)})"
    return daily.where(f"{ENTERS} <= {last}").selectExpr("*", f"explode({chunks}) as {CHUNK}")


def _chunk(date: str) -> str:
    return f"cast(unix_date({date}) div {CHUNK_DAYS} as int)"


def _keys(parts: Sequence[tuple[str, ...]]) -> str:
    """An array of (number of the grouping, its key as text); a null part makes the key null."""
    pairs = [
        f"named_struct('{GROUP}', {place}, '{KEY}', {_key(each)})"
        for place, each in enumerate(parts)
    ]
    return f"array({', '.join(pairs)})"


def _key(parts: tuple[str, ...]) -> str:
    # Each part's length goes before it, so that ("a", "bc") and ("ab", "c") differ.
    texts = [f"cast({part} as string)" for part in parts]
    return "concat({})".format(", ".join(f"length({text}), ':', {text}" for text in texts))
