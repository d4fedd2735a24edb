"""The rules of time where all history arrives in one file, long after it happened."""

from __future__ import annotations

import csv
import datetime as dt
import random
from collections.abc import Sequence

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.types import StringType, StructField, StructType

from jobs.conform.conform import conform
from jobs.features.inputs import FeatureInputs
from jobs.features.windows import Grouping, Sum, lagged
from jobs.lake.local_rows import local_rows
from jobs.lake.tables import ORIGIN, Tables
from jobs.learning.labels import labels_of
from jobs.plan import Dates, Plan
from jobs.settings import Settings
from jobs.usecase import UseCase
from tests.shared_data import BIKES, shared

START = dt.date(2011, 1, 1)
DATES = Dates(START + dt.timedelta(days=9), START + dt.timedelta(days=16))
TODAY = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
WEEK = dt.timedelta(days=7)
COLUMNS = {"day": {"type": "date"}, "hour": {"type": "integer"}, "rented": {"type": "integer"}}
HISTORY = {
    "landing": "hours/*.csv",
    "arrives": {"as": "snapshot"},
    "key": ["day", "hour"],
    "date": "day",
    "columns": COLUMNS,
}
# Of one file: the hours of a day are known before it, and what was rented in them is after it.
USE_CASE = UseCase.model_validate(
    {
        "name": "bikes",
        "about": {"question": "How many bicycles will be rented?", "owner": "depot"},
        "entity": {"key": ["day", "hour"], "date": "day", "source": "hours"},
        "timezone": "America/New_York",
        "schedule": {"cron": "0 2 * * *", "start": START},
        "cutoff": "02:00",
        "sources": {
            "hours": {**HISTORY, "known": "day"},
            "rentals": {**HISTORY, "known": "date_add(day, 1)"},
        },
        "label": {
            "source": "rentals",
            "expression": "rented",
            "type": "regression",
            "maturity": "0 days",
        },
        "features": {"module": "features", "history": "7 days", "numeric": ["before"]},
        "model": {"rule": {"by": ["before"]}},
    }
)
SCHEMA = StructType(
    [*[StructField(name, StringType()) for name in (*COLUMNS, "_malformed")], *ORIGIN]
)
Row = tuple[dt.date, int, int]


def rentals(kind: str) -> list[Row]:
    """Day, hour, and what was rented, of 25 days."""
    if kind == "made up":
        dice = random.Random(1)
        days = [START + dt.timedelta(days=n) for n in range(25)]
        # Some hours are missing, as they are in the file.
        return [(d, h, dice.randrange(99)) for d in days for h in range(24) if dice.random() < 0.9]
    with shared(BIKES).open(encoding="utf-8") as file:
        found = []
        for row in csv.DictReader(file):
            day = dt.datetime.strptime(row["dteday"], "%m/%d/%Y").date()
            if day >= START + dt.timedelta(days=25):
                break
            found.append((day, int(row["hr"]), int(row["cnt"])))
    return found


def silver(spark: SparkSession, *files: tuple[Sequence[Row], dt.datetime]) -> dict[str, DataFrame]:
    """What some files become that arrive one after another."""
    rows = [
        (str(day), str(hour), str(rented), None, at.date(), at, f"{at:%H}.csv", n)
        for content, at in files
        for n, (day, hour, rented) in enumerate(content, 1)
    ]
    bronze = local_rows(spark, rows, SCHEMA)
    zone = USE_CASE.timezone
    return {
        name: conform(bronze, spec, zone=zone).silver.localCheckpoint()
        for name, spec in USE_CASE.sources.items()
    }


def features(silver: dict[str, DataFrame], dates: Dates) -> list[tuple[dt.date, int, int]]:
    """By date and hour what was rented in that hour of the seven days before."""
    inputs = FeatureInputs(USE_CASE, dates, silver)
    facts = inputs.facts("rentals").select("_day", "_first_seen", "_last_seen", "hour", "rented")
    of_hour = Grouping("same", ("hour",), ("hour",), (Sum("rented", 7),))
    entities = inputs.entities().select("prediction_date", "hour")
    made = lagged(entities, facts, [of_hour], dates)
    found = made.select("prediction_date", "hour", "same.rented_7").orderBy(
        "prediction_date", "hour"
    )
    return [tuple(row) for row in found.collect()]


@pytest.mark.parametrize("kind", ["made up", "bikes"])
def test_a_date_sees_of_one_file_only_what_was_known_before_its_cutoff(
    spark: SparkSession, kind: str
) -> None:
    rows = rentals(kind)
    whole = silver(spark, (rows, TODAY))
    expected = [
        (
            date,
            hour,
            sum(n for d, h, n in rows if h == hour and dt.timedelta(0) < date - d <= WEEK),
        )
        for date, hour, _ in sorted(rows)
        if DATES.first <= date <= DATES.last
    ]
    found = features(whole, DATES)
    assert found == expected
    # A range is what its nights are, and a night what it was before anything later was known.
    assert [row for date in DATES for row in features(whole, Dates.one(date))] == found
    until = DATES.last - dt.timedelta(days=3)
    then = silver(spark, ([row for row in rows if row[0] <= until], TODAY))
    assert features(then, Dates(DATES.first, until)) == [r for r in found if r[0] <= until]
    # Other numbers that come later are of later dates.
    other = [(day, hour, rented + 1) for day, hour, rented in rows]
    corrected = silver(spark, (rows, TODAY), (other, TODAY + dt.timedelta(hours=1)))
    assert features(corrected, DATES) == found


def test_a_training_of_the_past_knows_the_labels_it_would_have_had(
    spark: SparkSession, settings: Settings
) -> None:
    plan = Plan(USE_CASE, settings)
    rows = [(START + dt.timedelta(days=n), 0, n) for n in range(3)]
    other = [(day, hour, rented + 10) for day, hour, rented in rows]
    both = silver(spark, (rows, TODAY), (other, TODAY + dt.timedelta(hours=1)))
    made = Tables(plan).labels().conforming(labels_of(plan, both["rentals"]))

    def known(at: dt.datetime) -> dict[dt.date, float]:
        current = f.col("_superseded_at").isNull() | (f.col("_superseded_at") >= f.lit(at))
        seen = made.where((f.col("_arrived_at") < f.lit(at)) & current & (f.col("matured_at") < at))
        return {row["day"]: row["label"] for row in seen.collect()}

    first, second, third = (row[0] for row in rows)
    assert known(plan.cutoff(third)) == {first: 0.0, second: 1.0}
    assert known(TODAY + dt.timedelta(minutes=1)) == {first: 0.0, second: 1.0, third: 2.0}
    assert known(TODAY + dt.timedelta(hours=2)) == {first: 10.0, second: 11.0, third: 12.0}
