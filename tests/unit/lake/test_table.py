"""The predicate of some dates, as Spark reads it."""

from __future__ import annotations

import datetime as dt

from pyspark.sql.types import StructType

from jobs.lake.table import Table


def test_dates_are_compared_as_dates(spark):
    table = Table("x", "nowhere", StructType(), ("id",), ("day",))
    days = [dt.date(2013, 1, 2), "2013-01-04"]
    frame = spark.range(5).selectExpr("date_add(date'2013-01-01', int(id)) as day")
    found = frame.where(table.of_dates(days))
    assert [str(row["day"]) for row in found.collect()] == ["2013-01-02", "2013-01-04"]
    assert "as string" not in found._jdf.queryExecution().optimizedPlan().toString()
    assert frame.where(table.of_dates([])).count() == 0
