"""Sums and ends over the last days before a prediction date, by any grouping, for many dates.

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
from typing import TYPE_CHECKING, ClassVar, Literal

import pyarrow as pa
from pyspark.sql import functions as f
from pyspark.sql.types import LongType, StructField, StructType

from jobs.declared import DATE
from jobs.features.known import FIRST, LAST
from jobs.features.running import ENTERS, GROUP, KEY, NONE, beside, key_of, last_of
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
# Where a date has all entities there are, so many workers share its rows, each with the sums that
# these may see: those of single entities once, all others in each share.
SHARE, SHARES = "_share", 16


@dataclass(frozen=True)
class Sum:
    """A whole-number measure of facts, summed over the `days` before a prediction date."""

    measure: str
    days: int
    do: ClassVar[str] = "sum"

    @property
    def column(self) -> str:
        """What of a day's facts it is made of."""
        return self.measure

    @property
    def name(self) -> str:
        return f"{self.column}_{self.days}"


@dataclass(frozen=True)
class End:
    """The smallest or the largest of a whole-number measure, over the `days` before a date."""

    measure: str
    days: int
    do: Literal["min", "max"]

    @property
    def column(self) -> str:
        return f"{self.do}_{self.measure}"

    @property
    def name(self) -> str:
        return f"{self.column}_{self.days}"


@dataclass(frozen=True)
class Grouping:
    """Which facts count for which row, and what is made of them.

    Attributes:
        name: the column of the result that holds this grouping's values.
        facts: SQL expressions over the facts, one or more; a fact with a null in one of them
            does not count.
        rows: SQL expressions over the rows that must be equal to them.
        values: what is made of them.
    """

    name: str
    facts: tuple[str, ...]
    rows: tuple[str, ...]
    values: tuple[Sum | End, ...]


def quoted(name: str) -> str:
    """A column by its name in SQL, where words such as `null` are something else."""
    return f"`{name}`"


def lagged(
    rows: DataFrame,
    facts: DataFrame,
    groupings: Sequence[Grouping],
    dates: Dates,
    entity: tuple[str, ...] = (),
) -> DataFrame:
    """`rows` with one struct column for each grouping, whose fields are its values by name.

    Args:
        rows: one row for each combination of its columns, among them `prediction_date`.
        facts: `_day`, `_first_seen`, `_last_seen`, what the groupings name, and the measures as
            whole numbers (a missing one counts 0).
        dates: prediction dates of `rows`.
        entity: columns of `rows` by which those of one date are spread over workers; none: they
            are few enough for one.

    A value over d days on date D is of the facts that D sees and whose day is D-d to D-1. Of no
    facts a sum is 0, and the smallest and the largest are null.
    """
    values = [each for grouping in groupings for each in grouping.values]
    daily = _daily(facts, groupings, values, dates)
    columns = rows.columns
    keys = [f"{_key(each.rows)} as {key_of(place)}" for place, each in enumerate(groupings)]
    asked = rows.selectExpr(*map(quoted, columns), *keys, f"{_chunk(DATE)} as {CHUNK}")
    wanted = {
        grouping.name: {each.name: (each.column, each.days, each.do) for each in grouping.values}
        for grouping in groupings
    }
    structs = [
        StructField(name, StructType([StructField(each, LongType()) for each in of_group]))
        for name, of_group in wanted.items()
    ]
    schema = StructType([*rows.schema.fields, *structs])

    def add_up(rows: pa.Table, daily: pa.Table) -> pa.Table:
        return beside(rows, daily, columns, wanted)

    by, spread = [CHUNK], _spread(daily, values)
    if entity:
        by, asked = [CHUNK, SHARE], asked.selectExpr("*", f"{_share(_key(entity))} as {SHARE}")
        spread = _shared(spread, [n for n, each in enumerate(groupings) if each.rows == entity])
    return asked.groupBy(*by).cogroup(spread.groupBy(*by)).applyInArrow(add_up, schema)


def _daily(
    facts: DataFrame, groupings: Sequence[Grouping], values: Sequence[Sum | End], dates: Dates
) -> DataFrame:
    """Sums and ends by group and the dates that have them, of the facts that any date can use.

    Columns: `_group`, `_key`, `_enters`, for each window length the last date it has the sum
    (`_last_7`), and what the values are made of. Dates outside of the asked ones are not told
    apart, so for one night a group has hardly more sums than there are windows, instead of one for
    each day.
    """
    measures = sorted({each.measure for each in values})
    lengths = sorted({each.days for each in values})
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
    made = sorted({(each.column, each.do, each.measure) for each in values})
    totals = [
        f.expr(f"coalesce({do}({measure}), {NONE.get(do, 0)}L)").alias(column)
        for column, do, measure in made
    ]
    when = [ENTERS, *map(last_of, lengths)]
    return keyed.where(f"{KEY} is not null").groupBy(GROUP, KEY, *when).agg(*totals)


def _spread(daily: DataFrame, values: Sequence[Sum | End]) -> DataFrame:
    """The sums once for each chunk of dates that may see them."""
    last = last_of(max(each.days for each in values))
    chunks = f"sequence({_chunk(ENTERS)}, {_chunk(last)})"
    return daily.where(f"{ENTERS} <= {last}").selectExpr("*", f"explode({chunks}) as {CHUNK}")


def _shared(spread: DataFrame, single: Sequence[int]) -> DataFrame:
    """The sums in the shares whose rows may see them.

    Args:
        single: numbers of the groupings that are by entity.
    """
    shares = f"sequence(0, {SHARES - 1})"
    if single:
        own = f"{GROUP} in ({', '.join(map(str, single))})"
        shares = f"if({own}, array({_share(KEY)}), {shares})"
    return spread.selectExpr("*", f"explode({shares}) as {SHARE}")


def _share(key: str) -> str:
    return f"cast(pmod(xxhash64({key}), {SHARES}) as int)"


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
