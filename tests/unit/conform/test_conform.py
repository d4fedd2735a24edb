"""Rules and versions on golden rows, and versions against a plain Python loop."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql.types import StringType, StructField, StructType

from jobs.conform.conform import conform, repeated
from jobs.lake.deliveries import Delivered, replaced
from jobs.lake.local_rows import local_rows
from jobs.lake.moments import micros
from jobs.lake.tables import ORIGIN
from jobs.usecase import Column, Source

DAY = dt.date(2024, 1, 2)
T0 = dt.datetime(2024, 1, 3, 6, 30, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)

SPEC = Source.model_validate(
    {
        "landing": "x/{date}/*",
        "key": ["day", "who"],
        "date": "day",
        "columns": {
            "day": {"type": "date"},
            "who": {"type": "string", "pattern": "[a-z]+[0-9]*"},
            "n": {"type": "integer", "min": 0},
            "x": {"type": "number", "max": 100},
            "at": {"type": "timestamp"},
            "ok": {"type": "boolean"},
            "kind": {"type": "string", "values": ["a", "b"]},
            "due": {"type": "date", "format": "M/d/yyyy"},
            "seen": {"type": "timestamp", "format": "d.M.yyyy H:mm", "zone": "Europe/Vienna"},
        },
        "rules": [
            {"name": "n_below_x", "expression": "n < x"},
            {"name": "share", "expression": "n / x < 0.9 and cast(kind as int) is null"},
        ],
    }
)
SCHEMA = StructType(
    [*[StructField(name, StringType()) for name in (*SPEC.columns, "_malformed")], *ORIGIN]
)
GOOD: dict[str, Any] = {"day": "2024-01-02", "who": "ann"}


def frame(spark: SparkSession, rows: list[dict[str, Any]]) -> Any:
    origin = {"_batch_date": DAY, "_arrived_at": T0, "_file": "f"}
    whole = [{"_row": n, **origin, **row} for n, row in enumerate(rows, 1)]
    return local_rows(spark, [tuple(row.get(c) for c in SCHEMA.names) for row in whole], SCHEMA)


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
    ({"at": "2024-01-02 10:00Z"}, []),
    ({"due": "1/31/2024", "seen": "31.1.2024 5:00"}, []),
    ({"due": "31/1/2024"}, [("type", "due", "31/1/2024")]),
    ({"due": "2024-01-31"}, [("type", "due", "2024-01-31")]),
    ({"seen": "2024-01-31T05:00:00Z"}, [("type", "seen", "2024-01-31T05:00:00Z")]),
    ({"ok": "maybe"}, [("type", "ok", "maybe")]),
    ({"kind": "c"}, [("set", "kind", "c")]),
    ({"n": "5", "x": "5.2"}, [("share", None, None)]),
    # What cannot be divided, or cast, is null in a rule, and fails no other row.
    ({"n": "-0", "x": "0.0"}, [("n_below_x", None, None)]),
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
    good |= {"due": "1/31/2024", "seen": "31.3.2024 2:30"}
    found = conform(frame(spark, [{**GOOD, **good}, {**GOOD, "who": "bob", "n": "z"}]), SPEC)
    row = found.silver.collect()[0].asDict()
    assert row["due"] == dt.date(2024, 1, 31)
    # Clocks were put forward at two.
    assert row["seen"].astimezone(dt.UTC) == dt.datetime(2024, 3, 31, 1, 30, tzinfo=dt.UTC)
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
    assert sorted(conform(once, SPEC, once=True).silver.collect()) == sorted(
        conform(once, SPEC).silver.collect()
    )


Content = tuple[str, list[int]]


def expected_versions(delivered: list[Content]) -> list[tuple[int, int | None]]:
    """(value, hours until it ended) of one key, delivered hour by hour, by a plain loop."""
    versions: list[list[Any]] = []
    given: tuple[int, str] | None = None
    for hour, (file, values) in enumerate(delivered):
        if values:
            if given is None or given[0] != values[0]:
                if given is not None:
                    versions[-1][1] = hour
                versions.append([values[0], None])
            given = (values[0], file)
        elif given is not None and given[1] == file:
            versions[-1][1] = hour
            given = None
    return [(value, end) for value, end in versions]


def contents(delivered: list[Content]) -> list[tuple[Delivered, int]]:
    files = [
        Delivered(DAY, file, micros(T0 + hour * HOUR), len(values) + 1)
        for hour, (file, values) in enumerate(delivered)
    ]
    return replaced(files)


@given(
    st.lists(
        st.tuples(st.sampled_from(["f", "g"]), st.lists(st.integers(0, 2), max_size=2)),
        min_size=1,
        max_size=7,
    )
)
@example([("f", [1]), ("f", []), ("f", [1])])
@example([("f", [1]), ("g", [1]), ("f", []), ("g", [])])
@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_versions_follow_the_arrivals(spark: SparkSession, delivered: list[Content]) -> None:
    rows = [
        {**GOOD, "who": who, "n": str(value), "_arrived_at": T0 + hour * HOUR, "_file": file}
        for hour, (file, values) in enumerate(delivered)
        # Another key is always there, or the content would be empty.
        for who, value in [("bob", 7), *(("ann", each) for each in values)]
    ]
    found = conform(frame(spark, rows), SPEC, replaced=contents(delivered))
    versions = []
    for row in found.silver.where("who = 'ann'").orderBy("_arrived_at").collect():
        until = row["_superseded_at"]
        hours = None if until is None else (until.astimezone(dt.UTC) - T0) // HOUR
        versions.append((row["n"], hours))
    assert versions == expected_versions(delivered)
    assert found.silver.where("who = 'bob'").count() == 1


def test_of_records_that_share_what_they_must_not_the_first_stays(spark: SparkSession) -> None:
    spec = SPEC.model_copy(update={"unique": (("n", "kind"),)})
    rows = [
        {**GOOD, "who": "ann", "n": "1", "kind": "a"},
        {**GOOD, "who": "bob", "n": "1", "kind": "a"},
        {**GOOD, "who": "cid", "n": "1"},
        {**GOOD, "who": "dan", "n": "1"},
        {**GOOD, "who": "eve", "n": "1", "kind": "a", "_file": "g"},
    ]
    found = conform(frame(spark, rows), spec)
    assert sorted(row["who"] for row in found.silver.collect()) == ["ann", "cid", "dan", "eve"]
    failed = [(row["rule"], row["column"], row["value"]) for row in found.quarantine.collect()]
    assert failed == [("unique", "n, kind", '{"n":"1","kind":"a"}')]


def test_a_value_that_is_not_where_it_must_be_goes_to_quarantine(spark: SparkSession) -> None:
    columns = {**SPEC.columns, "kind": Column(type="string", references="kinds.code")}
    spec = SPEC.model_copy(update={"columns": columns})
    rows = [{**GOOD, "who": f"a{n}", "kind": kind} for n, kind in enumerate(["x", "y", None])]
    known = local_rows(spark, [("x",), ("x",)], "code string")
    found = conform(frame(spark, rows), spec, known={"kind": known})
    assert sorted(row["who"] for row in found.silver.collect()) == ["a0", "a2"]
    failed = [(row["rule"], row["column"], row["value"]) for row in found.quarantine.collect()]
    assert failed == [("reference", "kind", "y")]


def test_a_column_is_required_only_of_the_days_that_have_it(spark: SparkSession) -> None:
    since = Column(type="integer", required=True, since=DAY)
    spec = SPEC.model_copy(update={"columns": {**SPEC.columns, "n": since}})
    early = DAY - dt.timedelta(days=1)
    rows = [{**GOOD}, {**GOOD, "who": "bob", "day": str(early), "_batch_date": early}]
    found = conform(frame(spark, rows), spec)
    assert [row["who"] for row in found.silver.collect()] == ["bob"]
    assert [row["rule"] for row in found.quarantine.collect()] == ["required"]


@pytest.mark.parametrize("column", ["n", "kind"])
def test_a_version_may_differ_by_a_missing_value(spark: SparkSession, column: str) -> None:
    value = {"n": "1", "kind": "a"}[column]
    rows = [{**GOOD, column: value}, {**GOOD, "_arrived_at": T0 + HOUR, "_file": "g"}]
    silver = conform(frame(spark, rows), SPEC).silver.orderBy("_arrived_at").collect()
    assert [str(row[column]) for row in silver] == [value, "None"]
