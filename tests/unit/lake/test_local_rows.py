"""Rows of ours become a relation in the plan, whatever kind of session there is."""

from __future__ import annotations

import datetime as dt

from jobs.lake.local_rows import local_rows

SCHEMA = "day date, at timestamp, rows long, share double, name string, sound boolean"
AT = dt.datetime(2013, 3, 10, 7, 30, 0, 123456, tzinfo=dt.UTC)


def test_values_are_as_given_and_no_python_worker_reads_them(spark):
    given = [
        (dt.date(2013, 3, 10), AT, 2**40, 0.1, "ann's", True),
        (None, None, None, None, None, None),
    ]
    found = local_rows(spark, given, SCHEMA)
    # A classic session gives moments back in this machine's own zone.
    assert [(row[0], row["at"].timestamp(), *row[2:]) for row in found.take(1)] == [
        (given[0][0], AT.timestamp(), *given[0][2:])
    ]
    assert found.where("at is null and name is null").count() == 1
    assert found._jdf.queryExecution().optimizedPlan().toString().startswith("LocalRelation")


def test_of_no_rows_only_the_schema_is_left(spark):
    found = local_rows(spark, [], SCHEMA)
    assert found.count() == 0
    assert found.schema.simpleString().startswith("struct<day:date,at:timestamp,rows:bigint")
