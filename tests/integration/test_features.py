"""The rules of time on the lake that the demo filled."""

from __future__ import annotations

import datetime as dt
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from pyspark.sql import functions as f

from jobs.engine import Engine
from jobs.features.build import build
from jobs.features.touched import Known
from jobs.lake.tables import Tables
from jobs.plan import Dates, Plan
from tests.stack import Stack

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FIRST = dt.date(2013, 1, 8)
NIGHT = dt.date(2013, 10, 3)
# Some flights of a date, by the module of the flights when it made every feature itself.
WRITTEN = Path(__file__).with_name("flights_of_2013-03-30.csv")
AROUND = Dates(dt.date(2013, 10, 2), dt.date(2013, 10, 4))


@pytest.fixture(scope="module")
def plan(stack: Stack) -> Plan:
    return Plan.of("flight_delay", stack.settings)


@pytest.fixture(scope="module")
def spark(stack: Stack) -> SparkSession:
    return Engine(stack.settings).session()


@pytest.fixture(scope="module")
def silver(plan: Plan, spark: SparkSession) -> dict[str, DataFrame]:
    return {name: Tables(plan).silver(name).read(spark) for name in plan.usecase.sources}


def _of_night(built: DataFrame, night: dt.date = NIGHT) -> list[tuple[object, ...]]:
    rows = built.where(f.col("prediction_date") == f.lit(night)).toArrow().to_pylist()
    return sorted((tuple(row.values()) for row in rows), key=str)


@pytest.fixture(scope="module")
def as_the_night_made_them(plan: Plan, spark: SparkSession) -> list[tuple[object, ...]]:
    return _of_night(Tables(plan).features().read(spark))


def test_a_range_built_later_gives_what_the_night_gave(
    plan: Plan, silver: dict[str, DataFrame], as_the_night_made_them: list[tuple[object, ...]]
) -> None:
    assert len(as_the_night_made_them) == 995
    assert _of_night(build(plan, silver, AROUND)) == as_the_night_made_them


def test_random_dates_built_alone_are_what_nine_months_in_one_job_gave(
    plan: Plan, spark: SparkSession, silver: dict[str, DataFrame]
) -> None:
    seed = int(time.time())
    all_there = Tables(plan).features().read(spark)
    known = Known.of(Tables(plan))
    dates = random.Random(seed).sample([*Dates(FIRST, AROUND.first.replace(day=1))], 4)
    for date in dates:
        of_date = Dates.one(date)
        alone = build(plan, silver, of_date, known.cutoffs(of_date))
        found = _of_night(alone, date)
        assert found == _of_night(all_there, date), f"seed {seed}, {date}"
        assert len(found) > 300, f"seed {seed}, {date}"


def test_facts_that_arrived_after_the_cutoff_change_nothing(
    plan: Plan, silver: dict[str, DataFrame], as_the_night_made_them: list[tuple[object, ...]]
) -> None:
    late = f.lit(plan.cutoff(NIGHT))
    known = f.col("_batch_date") < f.lit(NIGHT)
    planted = {
        "actuals": {"arr_delay": f.lit(600.0), "dep_delay": f.lit(600.0)},
        "weather": {"temp": f.lit(-40.0), "pressure": f.lit(950.0)},
    }
    changed = dict(silver)
    for source, values in planted.items():
        # The day itself, and days that were known already, once more.
        future = silver[source].where(known | (f.col("_batch_date") == f.lit(NIGHT)))
        again = future.withColumns({**values, "_arrived_at": late})
        if source == "actuals":
            again = again.withColumn("flight", f.col("flight") + 4000)
        else:
            again = again.withColumn("time_hour", f.col("time_hour") + f.expr("interval 7 minutes"))
        changed[source] = silver[source].unionByName(again)
    assert _of_night(build(plan, changed, Dates.one(NIGHT))) == as_the_night_made_them
    # The same facts, known in time, would have changed nearly every row.
    in_time = dict(silver)
    for source in planted:
        early = plan.cutoff(NIGHT) - dt.timedelta(seconds=1)
        rows = changed[source]
        arrived = f.when(f.col("_arrived_at") == late, f.lit(early)).otherwise(f.col("_arrived_at"))
        in_time[source] = rows.withColumn("_arrived_at", arrived)
    differ = set(_of_night(build(plan, in_time, Dates.one(NIGHT)))) - set(as_the_night_made_them)
    assert len(differ) > 900


def test_declared_features_are_what_they_were_when_they_were_written(
    plan: Plan, spark: SparkSession
) -> None:
    key = list(plan.usecase.entity.key)
    kept = pd.read_csv(WRITTEN, float_precision="round_trip", parse_dates=["flight_date"])
    before = kept.set_index(key)
    there = Tables(plan).features().read(spark).where("prediction_date = date'2013-03-30'")
    rows = there.toArrow().to_pandas()
    rows["flight_date"] = pd.to_datetime(rows["flight_date"])
    now = rows.set_index(key).loc[before.index, list(before.columns)]
    assert {*key, *before.columns} == {*key, *plan.usecase.features.names}
    pd.testing.assert_frame_equal(now, before, check_exact=True, check_dtype=False)
