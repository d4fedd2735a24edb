"""Whether a day looks like the days before it: a check that no declared rule can make.

Rules know single values. A column that came in other units, a file that lost half of its rows, a
sensor that is stuck or a feed that invents categories consist of allowed values; what is unusual
about them is their number, their mean, their spread. Bounds are those of the last days, widened by
a multiple of the distance between them.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as f

from jobs.lake import files
from jobs.lake.made import Made
from jobs.lake.table import Table
from jobs.quality.gate import Failure
from jobs.usecase import Source, Usual

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

# Statistics of one day by name: `rows`, and `missing`, `mean`, `spread` or `distinct` of a column.
Profile = Mapping[str, float]

# What a share, and a number of categories in relation to the largest before, may always move by.
SHARE, COUNT = 0.3, 0.5
# Rows in relation to those of the same weekdays: seen on a year of flights, no day was outside.
FEWEST, MOST = 0.6, 1.6
WEEK, WEEKS = 7, 3
# With fewer rows, all of one value is nothing strange.
LEAST_ROWS = 20


@dataclass(frozen=True)
class Profiles:
    """The profiles of a silver table's days: counted when they are asked for, and kept beside it.

    A range of many days is not looked at when it passes; the nights after it ask for what they
    compare with.
    """

    table: Table
    spec: Source

    @property
    def _path(self) -> str:
        return f"{self.table.path}/_profiles.json"

    def of(self, spark: SparkSession, days: Iterable[str] | None = None) -> dict[str, Profile]:
        """The profiles of those of some days that silver has; None: of all."""
        made, kept = self._days(), self._kept()
        wanted = made if days is None else made & set(days)
        found = {day: kept[day] for day in wanted & kept.keys()}
        if lacking := sorted(wanted - found.keys()):
            rows = self.table.read(spark).where(self.table.of_dates(lacking))
            found |= profiles(rows, self.spec)
        return found

    def newest(self, spark: SparkSession) -> Profile | None:
        """That of the last day in silver."""
        days = self._days()
        return self.of(spark, [max(days)]).get(max(days)) if days else None

    def before(self, spark: SparkSession, day: dt.date, days: int) -> dict[int, Profile]:
        """Those of the last `days` days before one, by how many days before it they are."""
        wanted = {back: str(day - dt.timedelta(days=back)) for back in range(1, days + 1)}
        found = self.of(spark, wanted.values())
        self.keep(found)
        return {back: found[each] for back, each in wanted.items() if each in found}

    def keep(self, new: Mapping[str, Profile]) -> None:
        """Spare counting days again."""
        kept = self._kept()
        if not new.items() <= kept.items():
            files.write_json(self._path, {**kept, **new})

    def drop(self, days: Iterable[str]) -> None:
        """Count days anew when they are asked for, because their rows change."""
        kept = self._kept()
        if gone := kept.keys() & set(days):
            files.write_json(self._path, {day: kept[day] for day in kept.keys() - gone})

    def forget(self, day: dt.date) -> None:
        """Drop a day and all days after it."""
        self.drop(each for each in self._kept() if each >= str(day))

    def _days(self) -> set[str]:
        return set(Made(self.table).inputs())

    def _kept(self) -> dict[str, Profile]:
        found: dict[str, Profile] = files.read_json(self._path) or {}
        return found


def profiles(rows: DataFrame, spec: Source) -> dict[str, Profile]:
    """The profile of each batch date in some rows of silver, by day."""
    statistics = {name: each for name, column in _columns(spec) for name, each in column.items()}
    current = rows.where("_superseded_at is null")
    found = current.groupBy("_batch_date").agg(
        f.count(f.lit(1)).cast("double").alias("rows"),
        *[each.cast("double").alias(name) for name, each in statistics.items()],
    )
    return {
        str(row["_batch_date"]): {
            name: value
            for name, value in row.asDict().items()
            if name != "_batch_date" and value is not None
        }
        for row in found.collect()
    }


def unusual(day: Profile, before: Mapping[int, Profile], usual: Usual, where: str) -> list[Failure]:
    """What a day has that the days before it had not; nothing if there are too few of them.

    Args:
        before: the days before it, by how many days before it they are.
        where: the place in the use-case file that the check belongs to.
    """
    if len(before) < usual.least:
        return []
    found = []
    for name, value in day.items():
        statistic, _, column = name.partition(" ")
        history = {back: each[name] for back, each in before.items() if name in each}
        if column in usual.leave_out or len(history) < usual.least:
            continue
        low, high = _bounds(statistic, history, usual.slack)
        stuck = (
            statistic == "spread"
            and value == 0 < min(history.values())
            and day["rows"] >= LEAST_ROWS
        )
        if stuck or not low <= value <= high:
            found.append(
                _failure(statistic, column, value, (low, high), list(history.values()), where)
            )
    return [*found, *_vanished(day, before, usual, where)]


def valueless(rows: DataFrame, names: Sequence[str]) -> list[str]:
    """Those of some columns that have not one value in some rows."""
    (counts,) = rows.agg(*[f.count(name).alias(name) for name in names]).collect()
    return [name for name in names if not counts[name]]


def _vanished(
    day: Profile, before: Mapping[int, Profile], usual: Usual, where: str
) -> Iterator[Failure]:
    """What every day before had and this one has not: a column without values has no mean."""
    always = set.intersection(*(set(each) for each in before.values()))
    for name in sorted(always - set(day)):
        statistic, _, column = name.partition(" ")
        if column not in usual.leave_out:
            history = [each[name] for each in before.values()]
            ends = (min(history), max(history))
            yield _failure(statistic, column, math.nan, ends, history, where)


def _columns(spec: Source) -> Iterator[tuple[str, dict[str, Column]]]:
    for name, column in spec.columns.items():
        if name == spec.date:
            continue
        missing = f.avg(f.col(name).isNull().cast("int"))
        statistics = {} if spec.is_required(name) else {f"missing {name}": missing}
        if column.type in ("integer", "number"):
            statistics |= {f"mean {name}": f.avg(name), f"spread {name}": f.stddev_pop(name)}
        elif column.type == "string":
            statistics |= {f"distinct {name}": f.approx_count_distinct(name)}
        yield name, statistics


def _bounds(statistic: str, history: Mapping[int, float], slack: float) -> tuple[float, float]:
    if statistic == "rows":
        # Many a feed has quiet Sundays.
        weekdays = [value for back, value in history.items() if back % WEEK == 0]
        like_it = weekdays if len(weekdays) >= WEEKS else list(history.values())
        return FEWEST * min(like_it), MOST * max(like_it)
    low, high = min(history.values()), max(history.values())
    margin = slack * (high - low)
    if statistic == "missing":
        margin = max(margin, SHARE)
    elif statistic == "distinct":
        margin = max(margin, COUNT * high)
    elif math.isclose(low, high):
        # A column that never moved may begin to.
        margin = max(margin, COUNT * abs(high))
    return low - margin, high + margin


def _failure(
    statistic: str,
    column: str,
    value: float,
    bounds: tuple[float, float],
    history: list[float],
    where: str,
) -> Failure:
    seen = f"{min(history):.4g} to {max(history):.4g} on the last {len(history)} days"
    return Failure(
        expectation=f"usual_{statistic}",
        column=column or None,
        wanted=f"{bounds[0]:.4g} to {bounds[1]:.4g}, as it was {seen}",
        observed=f"{value:.4g}",
        unexpected_count=None,
        total=None,
        examples=(),
        field=where,
    )
