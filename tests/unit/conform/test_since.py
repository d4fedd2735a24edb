"""Since when a row could be known that says so itself."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import StringType, StructField, StructType

from jobs.conform.conform import conform
from jobs.conform.since import days_known
from jobs.conform.stage import stage
from jobs.errors import Refused
from jobs.features.touched import Known
from jobs.lake.deliveries import taken
from jobs.lake.local_rows import local_rows
from jobs.lake.made import WHOLE
from jobs.lake.tables import ORIGIN
from jobs.plan import Dates
from jobs.settings import Settings
from jobs.usecase import Source
from tests.unit.conform.visits import USE_CASE, arrive, tables_in

T0 = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
LATER = T0 + dt.timedelta(days=1)
WRITTEN = {
    "landing": "x/*",
    "arrives": {"as": "snapshot"},
    "key": ["who"],
    "known": "seen_on",
    "columns": {
        "who": {"type": "string"},
        "seen_on": {"type": "date"},
        "seen_at": {"type": "timestamp"},
        "n": {"type": "integer"},
    },
}
SPEC = Source.model_validate(WRITTEN)
SCHEMA = StructType(
    [*[StructField(name, StringType()) for name in (*SPEC.columns, "_malformed")], *ORIGIN]
)
VIENNA = "Europe/Vienna"


def bronze(spark: SparkSession, *rows: dict[str, Any]) -> Any:
    origin = {"_batch_date": T0.date(), "_arrived_at": T0, "_file": "f"}
    whole = [{"who": "ann", "_row": n, **origin, **row} for n, row in enumerate(rows, 1)]
    return local_rows(spark, [tuple(row.get(c) for c in SCHEMA.names) for row in whole], SCHEMA)


def since(silver: Any) -> list[dt.datetime]:
    return [
        row[0].astimezone(dt.UTC) for row in silver.orderBy("n").select("_arrived_at").collect()
    ]


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize(
    ("known", "row", "at"),
    [
        # Midnight in Vienna, where it is summer.
        ("seen_on", {"seen_on": "2020-07-01"}, dt.datetime(2020, 6, 30, 22, tzinfo=dt.UTC)),
        (
            "seen_at",
            {"seen_at": "2020-07-01T08:00:00+02:00"},
            dt.datetime(2020, 7, 1, 6, tzinfo=dt.UTC),
        ),
        ("date_add(seen_on, int(n))", {"seen_on": "2020-07-01", "n": "400"}, None),
        # What nobody can have known by then, and what says nothing, counts from its arrival.
        ("seen_on", {"seen_on": "2030-07-01"}, T0),
        ("seen_on", {}, T0),
    ],
)
def test_a_row_is_known_when_it_says_or_when_it_arrived(
    spark: SparkSession, known: str, row: dict[str, Any], at: dt.datetime | None, once: bool
) -> None:
    spec = SPEC.model_copy(update={"known": known})
    found = conform(bronze(spark, row), spec, once=once, zone=VIENNA)
    assert since(found.silver) == [at or dt.datetime(2021, 8, 4, 22, tzinfo=dt.UTC)]
    assert found.quarantine.count() == 0


def test_a_correction_is_known_from_its_arrival(spark: SparkSession) -> None:
    old = {"seen_on": "2020-07-01", "n": "1"}
    rows = [
        old,
        # Delivered again as it was, by a newer file, and then with another number.
        {**old, "_file": "g", "_arrived_at": LATER},
        {**old, "n": "2", "_file": "h", "_arrived_at": LATER + dt.timedelta(days=1)},
    ]
    silver = conform(bronze(spark, *rows), SPEC, zone="UTC").silver
    corrected = LATER + dt.timedelta(days=1)
    assert since(silver) == [dt.datetime(2020, 7, 1, tzinfo=dt.UTC), corrected]
    ended = [row[0] for row in silver.orderBy("n").select("_superseded_at").collect()]
    assert [each and each.astimezone(dt.UTC) for each in ended] == [corrected, None]


def test_what_is_no_moment_is_refused(spark: SparkSession) -> None:
    spec = SPEC.model_copy(update={"known": "n + 1"})
    with pytest.raises(Refused, match="`known: n \\+ 1` is bigint"):
        conform(bronze(spark, {"n": "1"}), spec)


def test_what_was_known_by_a_day_has_a_digest(spark: SparkSession) -> None:
    first, second = {"seen_on": "2020-07-01", "n": "1"}, {"seen_on": "2020-07-03", "who": "bob"}
    third = {"seen_on": "2020-07-02", "who": "cid"}
    corrected = {**first, "n": "2", "_arrived_at": LATER}

    def days(*rows: dict[str, Any]) -> dict[str, str]:
        return dict(days_known(conform(bronze(spark, *rows), SPEC).silver, SPEC)[WHOLE])

    before = days(first, second)
    assert list(before) == ["2020-07-01", "2020-07-03"]
    # What is known later changes nothing before it, and everything after it.
    assert days(first, second, corrected).items() > before.items()
    more = days(first, second, third)
    assert more["2020-07-01"] == before["2020-07-01"]
    assert more["2020-07-03"] != before["2020-07-03"]


def test_a_file_touches_only_the_dates_that_can_know_its_rows(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    visits = {**USE_CASE["sources"]["visits"], "known": "date_add(day, 1)"}
    history = {**visits, "landing": "visits/*", "arrives": {"as": "snapshot"}}
    tables = tables_in(tmp_path, settings, {**USE_CASE, "sources": {"visits": history}})
    dates = Dates(dt.date(2023, 1, 1), dt.date(2023, 1, 9))

    def digests(day: dt.date, visits: list[tuple[str, str | None]], at: dt.datetime) -> Any:
        arrive(spark, tables, day, visits, at)
        stage(spark, tables, "visits", taken(spark, tables), None, "one")
        for table in (tables.quarantine("visits"), tables.silver("visits")):
            tables.staged(table, "one").commit(spark)
        known = Known.of(tables)
        assert not known.came_too_late("visits", dates.last)
        assert next(date for date in dates if known.has_entities(date)) == dt.date(2023, 1, 3)
        return known.inputs(dates)

    before = digests(dt.date(2023, 1, 2), [("ann", "1")], T0)
    after = digests(dt.date(2023, 1, 5), [("bob", "2")], LATER)
    changed = [date for date in dates if before[str(date)] != after[str(date)]]
    assert changed == list(Dates(dt.date(2023, 1, 6), dates.last))
    # A correction is of the future.
    corrected = digests(dt.date(2023, 1, 2), [("ann", "3")], LATER + dt.timedelta(days=1))
    assert corrected == after
