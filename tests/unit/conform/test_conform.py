"""Rules and versions on golden rows, and versions against a plain Python loop."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql.types import StringType, StructField, StructType

from jobs.conform.conform import conform, repeated
from jobs.lake.tables import ORIGIN
from jobs.usecase import Source

DAY = dt.date(2024, 1, 2)
T0 = dt.datetime(2024, 1, 3, 6, 30, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)

SPEC = Source.model_validate(
    {
        "landing": "x/{date}/*",
        "key": ["day", "who"],
        "date": "day",
        "columns": {
            "day": {"type": "date", "required": True},
            "who": {"type": "string", "required": True, "pattern": "[a-z]+[0-9]*"},
            "n": {"type": "integer", "min": 0},
            "x": {"type": "number", "max": 100},
            "at": {"type": "timestamp"},
            "ok": {"type": "boolean"},
            "kind": {"type": "string", "values": ["a", "b"]},
        },
        "rules": [{"name": "n_below_x", "expression": "n < x"}],
    }
)
SCHEMA = StructType(
    [*[StructField(name, StringType()) for name in (*SPEC.columns, "_malformed")], *ORIGIN]
)
GOOD: dict[str, Any] = {"day": "2024-01-02", "who": "ann"}


def frame(spark: SparkSession, rows: list[dict[str, Any]]) -> Any:
    origin = {"_batch_date": DAY, "_arrived_at": T0, "_file": "f"}
    whole = [{"_row": n, **origin, **row} for n, row in enumerate(rows, 1)]
    return spark.createDataFrame([tuple(row.get(c) for c in SCHEMA.names) for row in whole], SCHEMA)


# Each row's changes to a good row, and the failures (rule, column, value) they lead to.
CASES: list[tuple[dict[str, Any], list[tuple[str, str | None, str | None]]]] = [
    ({}, []),
    ({"n": "7", "x": "1e1", "at": "2024-01-02T23:00:00-05:00", "ok": "true", "kind": "a"}, []),
    ({"day": None}, [("required", "day", None)]),
    ({"day": "2024-01-03"}, [("wrong_date", "day", "2024-01-03")]),
    ({"day": "2024-1-02"}, [("type", "day", "2024-1-02")]),
    ({"day": "2024-02-30"}, [("type", "day", "2024-02-30")]),
    ({"who": None}, [("required", "who", None)]),
    ({"who": "Ann'; DROP TABLE x"}, [("pattern", "who", "Ann'; DROP TABLE x")]),
    ({"who": "ann\n"}, [("pattern", "who", "ann\n")]),
    ({"n": "-1"}, [("range", "n", "-1")]),
    ({"n": "9223372036854775808"}, [("type", "n", "9223372036854775808")]),
    ({"n": "1.5"}, [("type", "n", "1.5")]),
    ({"n": "=cmd()"}, [("type", "n", "=cmd()")]),
    ({"x": "NaN"}, [("type", "x", "NaN")]),
    ({"x": "-Infinity"}, [("type", "x", "-Infinity")]),
    ({"x": "1e999"}, [("type", "x", "1e999")]),
    ({"x": "1d"}, [("type", "x", "1d")]),
    ({"x": "100.5"}, [("range", "x", "100.5")]),
    ({"at": "2024-01-02T10:00:00"}, [("type", "at", "2024-01-02T10:00:00")]),
    ({"at": "2024-01-02"}, [("type", "at", "2024-01-02")]),
    ({"ok": "maybe"}, [("type", "ok", "maybe")]),
    ({"kind": "c"}, [("set", "kind", "c")]),
    ({"n": "5", "x": "3"}, [("n_below_x", None, None)]),
    ({"n": "-1", "kind": "c"}, [("range", "n", "-1"), ("set", "kind", "c")]),
    ({"day": None, "who": None, "_malformed": "2 fields"}, [("malformed", None, "2 fields")]),
]


def test_every_row_is_in_silver_or_in_quarantine_with_each_rule_it_failed(
    spark: SparkSession,
) -> None:
    # A name of its own for each good row, so that no key comes twice.
    rows = [{**GOOD, "who": f"ann{n}", **case} for n, (case, _) in enumerate(CASES)]
    found = conform(frame(spark, rows), SPEC)
    failures: dict[int, set[Any]] = {}
    for row in found.quarantine.collect():
        failures.setdefault(row["_row"], set()).add((row["rule"], row["column"], row["value"]))
    silver = {row["_row"] for row in found.silver.collect()}
    for n, (case, expected) in enumerate(CASES, 1):
        assert failures.get(n, set()) == set(expected), case
        assert (n in silver) == (not expected), case


def test_silver_is_typed_and_quarantine_keeps_the_row(spark: SparkSession) -> None:
    good = {"n": "7", "x": "1e1", "at": "2024-01-02T23:00:00-05:00", "ok": "true", "kind": "a"}
    found = conform(frame(spark, [{**GOOD, **good}, {**GOOD, "who": "bob", "n": "z"}]), SPEC)
    row = found.silver.collect()[0].asDict()
    assert row["at"].astimezone(dt.UTC) == dt.datetime(2024, 1, 3, 4, 0, tzinfo=dt.UTC)
    assert (row["day"], row["n"], row["x"], row["ok"]) == (DAY, 7, 10.0, True)
    kept = json.loads(found.quarantine.collect()[0]["row"])
    assert kept == {**dict.fromkeys([*SPEC.columns, "_malformed"]), **GOOD, "who": "bob", "n": "z"}


def test_of_a_key_twice_in_one_file_the_first_record_stays(spark: SparkSession) -> None:
    twice = [{**GOOD, "n": "1"}, {**GOOD, "n": "2"}, {**GOOD, "n": "1"}, {**GOOD, "who": "bob"}]
    rows = frame(spark, twice)
    found = conform(rows, SPEC)
    assert sorted((row["_row"], row["n"]) for row in found.silver.collect()) == [(1, 1), (4, None)]
    failed = found.quarantine.orderBy("_row").collect()
    key = '{"day":"2024-01-02","who":"ann"}'
    assert [(row["_row"], row["rule"], row["value"]) for row in failed] == [
        (2, "duplicate_key", key),
        (3, "duplicate_key", key),
    ]
    assert [row[0] for row in repeated(rows, SPEC).collect()] == [DAY]
    once = rows.where("_row in (1, 4)")
    assert repeated(once, SPEC).collect() == []
    assert sorted(conform(once, SPEC, unique=True).silver.collect()) == sorted(
        conform(once, SPEC).silver.collect()
    )


def expected_versions(delivered: list[list[int]]) -> list[tuple[int, int | None]]:
    """(value, hours until superseded) of one key, delivered hour by hour, by a plain loop."""
    versions: list[list[Any]] = []
    for hour, values in enumerate(delivered):
        if values and (not versions or versions[-1][1] != values[0]):
            versions.append([hour, values[0]])
    ends = [start for start, _ in versions[1:]] + [None]
    return [(value, end) for (_, value), end in zip(versions, ends, strict=True)]


@given(st.lists(st.lists(st.integers(0, 2), max_size=2), min_size=1, max_size=6))
@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_versions_follow_the_arrivals(spark: SparkSession, delivered: list[list[int]]) -> None:
    rows = [
        {**GOOD, "n": str(value), "_arrived_at": T0 + hour * HOUR, "_file": f"f{9 - hour}"}
        for hour, values in enumerate(delivered)
        for value in values
    ]
    if not rows:
        return
    silver = conform(frame(spark, rows[::-1]), SPEC).silver.orderBy("_arrived_at").collect()
    found = []
    for row in silver:
        until = row["_superseded_at"]
        hours = None if until is None else (until.astimezone(dt.UTC) - T0) // HOUR
        found.append((row["n"], hours))
    # Rows are numbered in reverse, so within one file the later value is the first record.
    assert found == expected_versions([values[::-1] for values in delivered])


@pytest.mark.parametrize("column", ["n", "kind"])
def test_a_version_may_differ_by_a_missing_value(spark: SparkSession, column: str) -> None:
    value = {"n": "1", "kind": "a"}[column]
    rows = [{**GOOD, column: value}, {**GOOD, "_arrived_at": T0 + HOUR, "_file": "g"}]
    silver = conform(frame(spark, rows), SPEC).silver.orderBy("_arrived_at").collect()
    assert [str(row[column]) for row in silver] == [value, "None"]
