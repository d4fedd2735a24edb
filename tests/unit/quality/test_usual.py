"""A day that is unlike the days before it, and one that is not."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from jobs.lake.local_rows import local_rows
from jobs.lake.made import Made
from jobs.lake.table import Table
from jobs.quality.usual import Profiles, profiles, unusual
from jobs.usecase import Source, Usual

SPEC = Source.model_validate(
    {
        "landing": "x/{date}/*",
        "key": ["day", "who"],
        "date": "day",
        "columns": {
            "day": {"type": "date", "required": True},
            "who": {"type": "string", "required": True},
            "temp": {"type": "number"},
        },
    }
)
# Sixty rows more on each seventh day.
BEFORE = {
    n: {
        "rows": 100.0 + n + 60 * (n % 7 == 0),
        "missing temp": 0.0,
        "mean temp": 39.0 + n,
        "spread temp": 8.0 + n % 3,
    }
    for n in range(1, 22)
}
DAY = {**BEFORE[11], "rows": 170.0}


def test_a_profile_is_of_the_newest_versions_of_each_day(spark: SparkSession) -> None:
    day, other = dt.date(2024, 1, 2), dt.date(2024, 1, 3)
    ended = dt.datetime(2024, 1, 4, tzinfo=dt.UTC)
    rows = [
        (day, "ann", 10.0, day, None),
        (day, "bob", 14.0, day, None),
        (day, "cid", None, day, None),
        (day, "cid", 99.0, day, ended),
        (other, "ann", None, other, None),
    ]
    schema = "day date, who string, temp double, _batch_date date, _superseded_at timestamp"
    found = profiles(local_rows(spark, rows, schema), SPEC)
    assert found == {
        "2024-01-02": {
            "rows": 3.0,
            "distinct who": 3.0,
            "missing temp": pytest.approx(1 / 3),
            "mean temp": 12.0,
            "spread temp": 2.0,
        },
        "2024-01-03": {"rows": 1.0, "distinct who": 1.0, "missing temp": 1.0},
    }


def test_days_are_counted_when_they_are_asked_for_and_kept_until_they_change(
    spark: SparkSession, tmp_path: Path
) -> None:
    schema = "day date, who string, temp double, _batch_date date, _superseded_at timestamp"
    first, second, third = (dt.date(2024, 1, day) for day in (2, 3, 4))

    def rows(temp: float) -> DataFrame:
        days = [(day, "ann", temp, day, None) for day in (first, second)]
        return local_rows(spark, days, schema)

    types = StructType.fromDDL(schema)
    table = Table("silver.visits", str(tmp_path / "visits"), types, ("who",), ("_batch_date",))
    profiled = Profiles(table, SPEC)
    assert profiled.newest(spark) is None
    table.replace(rows(1.0), None)
    Made(table).record({str(day): {} for day in (first, second)}, 1)

    assert {back: day["mean temp"] for back, day in profiled.before(spark, third, 9).items()} == {
        1: 1.0,
        2: 1.0,
    }
    table.replace(rows(5.0), None)
    profiled.drop([str(second)])
    found = profiled.of(spark)
    assert {day: each["mean temp"] for day, each in found.items()} == {
        str(first): 1.0,
        str(second): 5.0,
    }
    profiled.forget(first)
    assert profiled.of(spark, [str(first)])[str(first)]["mean temp"] == 5.0


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({}, []),
        ({"rows": 110.0, "mean temp": 90.0, "missing temp": 0.29}, []),
        ({"rows": 90.0}, ["usual_rows()"]),
        ({"rows": 300.0}, ["usual_rows()"]),
        ({"mean temp": 9.0, "spread temp": 5.0}, []),
        ({"mean temp": -1.0, "spread temp": 3.9}, ["usual_mean(temp)", "usual_spread(temp)"]),
        ({"spread temp": 0.0}, ["usual_spread(temp)"]),
        ({"missing temp": 1.0}, ["usual_missing(temp)"]),
        ({"mean temp": None, "spread temp": None}, ["usual_mean(temp)", "usual_spread(temp)"]),
    ],
)
def test_what_is_unusual(change: dict[str, float | None], what: list[str]) -> None:
    day = {name: value for name, value in {**DAY, **change}.items() if value is not None}
    found = unusual(day, BEFORE, Usual(), "sources.weather.usual")
    assert [str(each).split(" failed")[0] for each in found] == what


def test_the_sentence_says_what_it_was_before() -> None:
    (found,) = unusual({**DAY, "mean temp": 280.0}, BEFORE, Usual(), "sources.weather.usual")
    assert str(found) == (
        "usual_mean(temp) failed: found 280 (expected 0 to 100, as it was 40 to 60 on the last 21 "
        "days)"
    )


def test_nothing_is_said_of_few_days_or_of_columns_that_may_jump() -> None:
    strange = {**DAY, "mean temp": 280.0}
    few = {back: BEFORE[back] for back in range(1, 14)}
    assert unusual(strange, few, Usual(), "x") == []
    assert unusual(strange, BEFORE, Usual(leave_out=("temp",)), "x") == []
