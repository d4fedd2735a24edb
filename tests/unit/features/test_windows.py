"""Sums and ends over the last days: what a plain loop gives, for a range as for a night."""

from __future__ import annotations

import datetime as dt
import random
from typing import NamedTuple

import pytest
from pyspark.sql import SparkSession

from jobs.features import windows
from jobs.features.windows import End, Grouping, Sum, lagged
from jobs.lake.local_rows import local_rows
from jobs.plan import Dates

# Over the spring clock change, the end of a month and a leap day.
DATES = Dates(dt.date(2024, 2, 27), dt.date(2024, 3, 12))
FACTS = "_day date, _first_seen date, _last_seen date, who string, place string, one long, n long"
SUMS = (Sum("one", 1), Sum("one", 3), Sum("n", 3), Sum("n", 7))
ENDS = (End("n", 1, "min"), End("n", 7, "max"), End("n", 3, "max"), End("one", 3, "min"))
GROUPINGS = (
    Grouping("by_who", ("who",), ("who",), (*SUMS, *ENDS)),
    Grouping("by_both", ("who", "place"), ("who", "place"), (*SUMS[:1], *ENDS[:1])),
    Grouping("in_a", ("place = 'a' or null",), ("true",), SUMS[1:]),
)
FOR_EVER = dt.date(9999, 12, 31)


class Fact(NamedTuple):
    day: dt.date
    first: dt.date
    last: dt.date
    who: str | None
    place: str
    one: int
    n: int | None


def facts() -> list[Fact]:
    """Facts that arrive up to 9 days late, some of which are superseded by another version."""
    chance = random.Random(7)
    made: list[Fact] = []
    for _ in range(400):
        day = DATES.first + dt.timedelta(days=chance.randint(-12, len(DATES) + 2))
        first = day + dt.timedelta(days=1 + (chance.randint(1, 9) if chance.random() < 0.2 else 0))
        who, place = chance.choice(["x", "y", None]), chance.choice("ab")
        amount = chance.choice([1, 5, -2, None])
        last = first + dt.timedelta(days=chance.randint(0, 4)) if chance.random() < 0.3 else None
        made.append(Fact(day, first, last or FOR_EVER, who, place, 1, amount))
        if last:
            made.append(Fact(day, last + dt.timedelta(days=1), FOR_EVER, who, place, 1, 100))
    return made


FACT_ROWS = facts()


def rows() -> list[tuple[dt.date, str, str]]:
    return [(date, who, place) for date in DATES for who in "xyz" for place in "ab"]


def by_hand(date: dt.date, who: str, place: str) -> dict[str, tuple[int | None, ...]]:
    """What `lagged` says of one row, fact by fact."""
    return {
        group.name: tuple(_value(group.name, each, date, who, place) for each in group.values)
        for group in GROUPINGS
    }


def _value(name: str, wanted: Sum | End, date: dt.date, who: str, place: str) -> int | None:
    found = []
    for fact in FACT_ROWS:
        mine = {
            "by_who": fact.who == who,
            "by_both": (fact.who, fact.place) == (who, place),
            "in_a": fact.place == "a",
        }[name]
        near = date - dt.timedelta(days=wanted.days) <= fact.day < date
        if mine and near and fact.first <= date <= fact.last:
            found.append(fact.one if wanted.measure == "one" else fact.n)
    there = [each for each in found if each is not None]
    if isinstance(wanted, Sum):
        return sum(there)
    return {"min": min, "max": max}[wanted.do](there, default=None)


def of(
    spark: SparkSession, dates: Dates, entity: tuple[str, ...] = ()
) -> dict[tuple[dt.date, str, str], dict[str, object]]:
    asked = [row for row in rows() if row[0] in dates]
    frame = local_rows(spark, asked, "prediction_date date, who string, place string")
    table = local_rows(spark, FACT_ROWS, FACTS)
    found = lagged(frame, table, GROUPINGS, dates, entity).collect()
    return {
        (row["prediction_date"], row["who"], row["place"]): {
            group.name: tuple(row[group.name][each.name] for each in group.values)
            for group in GROUPINGS
        }
        for row in found
    }


@pytest.fixture(scope="module")
def range_(spark: SparkSession) -> dict[tuple[dt.date, str, str], dict[str, object]]:
    return of(spark, DATES)


def test_every_value_is_that_of_a_plain_loop(range_) -> None:
    assert range_ == {row: by_hand(*row) for row in rows()}
    assert len({str(values) for values in range_.values()}) > 60


def test_nights_one_by_one_are_the_range(spark: SparkSession, range_) -> None:
    for date in list(DATES)[::5]:
        night = of(spark, Dates.one(date))
        assert night == {row: sums for row, sums in range_.items() if row[0] == date}


def test_dates_may_be_worked_on_a_few_at_a_time(
    spark: SparkSession, range_, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "CHUNK_DAYS", 4)
    assert of(spark, DATES) == range_


@pytest.mark.parametrize("entity", [("who",), ("who", "place"), ("place",)])
def test_the_rows_of_a_date_may_be_spread_over_workers(
    spark: SparkSession, range_, entity: tuple[str, ...]
) -> None:
    assert of(spark, DATES, entity) == range_


def test_a_worker_gets_the_sums_of_its_own_entities_and_of_all_that_is_no_entity_s(
    spark: SparkSession,
) -> None:
    sums = local_rows(spark, [(0, "x"), (0, "y"), (1, "x")], "_group int, _key string")
    shared = [tuple(row) for row in windows._shared(sums, [0]).collect()]
    assert len([row for row in shared if row[0] == 0]) == 2
    assert len({row[2] for row in shared if row[0] == 1}) == windows.SHARES


def test_without_facts_a_sum_is_nothing_and_an_end_is_not_there(spark: SparkSession) -> None:
    frame = local_rows(spark, rows(), "prediction_date date, who string, place string")
    found = lagged(frame, local_rows(spark, [], FACTS), GROUPINGS, DATES).collect()
    assert len(found) == len(rows())
    for group in GROUPINGS:
        for each in group.values:
            nothing = 0 if isinstance(each, Sum) else None
            assert {row[group.name][each.name] for row in found} == {nothing}


def test_keys_of_several_parts_are_not_mixed_up(spark: SparkSession) -> None:
    day = dt.date(2024, 1, 1)
    fact = (day, day + dt.timedelta(days=1), FOR_EVER, "1:a", "b", 1, 1)
    asked = [(day + dt.timedelta(days=1), "1:a", "b"), (day + dt.timedelta(days=1), "1", "a:b")]
    frame = local_rows(spark, asked, "prediction_date date, who string, place string")
    found = lagged(
        frame,
        local_rows(spark, [fact], FACTS),
        GROUPINGS[1:2],
        Dates.one(asked[0][0]),
    )
    assert {row["who"]: row["by_both"]["one_1"] for row in found.collect()} == {"1:a": 1, "1": 0}
