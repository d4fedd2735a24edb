"""What is staged, when it is stale, and what happens to a day over its budget."""

from __future__ import annotations

import datetime as dt

import pytest
from pyspark.sql import SparkSession

from jobs.conform.stage import Conforming, stage, stale_dates
from jobs.errors import Refused
from jobs.lake.tables import Tables
from jobs.plan import Dates

FIRST, SECOND = dt.date(2024, 1, 2), dt.date(2024, 1, 3)
BOTH = Dates(FIRST, SECOND)
T0 = dt.datetime(2024, 1, 4, 1, 30, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def arrive(
    spark: SparkSession,
    tables: Tables,
    day: dt.date,
    visits: list[tuple[str, str]],
    at: dt.datetime = T0,
) -> None:
    bronze = tables.bronze("visits")
    rows = [
        (str(day), who, spent, day, at, f"{day}.csv", n, None, f"{day}{at}")
        for n, (who, spent) in enumerate(visits, 1)
    ]
    bronze.append(spark.createDataFrame(rows, bronze.schema).coalesce(1))


def commit(spark: SparkSession, tables: Tables, batch: str) -> None:
    tables.staged(tables.quarantine("visits"), batch).commit(spark)
    tables.staged(tables.silver("visits"), batch).commit(spark)


def spent(spark: SparkSession, tables: Tables) -> list[tuple[str, float]]:
    rows = tables.silver("visits").read(spark).where("_superseded_at is null").collect()
    return sorted((row["who"], row["spent"]) for row in rows)


def test_only_the_date_whose_bronze_changed_is_staged_again(
    spark: SparkSession, tables: Tables
) -> None:
    arrive(spark, tables, FIRST, [("ann", "1"), ("bob", "-1")])
    arrive(spark, tables, SECOND, [("ann", "2")])
    assert stale_dates(spark, tables, "visits", BOTH) == [FIRST, SECOND]
    assert stage(spark, tables, "visits", BOTH, "one") == Conforming("visits", 2, 2, 1)
    # Staged is not committed: until the gate has let it through, the dates stay stale.
    assert stale_dates(spark, tables, "visits", BOTH) == [FIRST, SECOND]
    commit(spark, tables, "one")
    assert stale_dates(spark, tables, "visits", BOTH) == []
    assert stage(spark, tables, "visits", BOTH, "two") == Conforming("visits", 0, 0, 0)
    assert not tables.staged(tables.silver("visits"), "two").is_there()

    # A redelivery of ann and a correction of bob.
    arrive(spark, tables, FIRST, [("ann", "1"), ("bob", "5")], T0 + HOUR)
    assert stage(spark, tables, "visits", BOTH, "three") == Conforming("visits", 1, 2, 1)
    commit(spark, tables, "three")
    assert spent(spark, tables) == [("ann", 1.0), ("ann", 2.0), ("bob", 5.0)]
    assert stale_dates(spark, tables, "visits", BOTH) == []


def test_a_day_over_its_budget_leaves_silver_alone_and_shows_its_quarantine(
    spark: SparkSession, tables: Tables
) -> None:
    arrive(spark, tables, FIRST, [("ann", "1"), ("bob", "-1"), ("cid", "x")])
    with pytest.raises(Refused, match=r"2 of 3 rows \(66\.7%\) of visits's visits of 2024-01-02"):
        stage(spark, tables, "visits", Dates.one(FIRST), "one")
    assert tables.quarantine("visits").read(spark).count() == 2
    assert not tables.silver("visits").exists()

    arrive(spark, tables, FIRST, [("ann", "1"), ("bob", "2"), ("cid", "3")], T0 + HOUR)
    assert stage(spark, tables, "visits", Dates.one(FIRST), "one").rows == 3
    commit(spark, tables, "one")
    assert spent(spark, tables) == [("ann", 1.0), ("bob", 2.0), ("cid", 3.0)]
