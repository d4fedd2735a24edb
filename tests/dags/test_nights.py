"""The partition key of a night is its local date, also when the clock changes."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.sdk import DAG
    from airflow.serialization.definitions.dag import SerializedDAG

YEAR = [str(dt.date(2013, 1, 1) + dt.timedelta(days=n)) for n in range(365)]


@pytest.fixture(scope="module")
def scheduled(dags: dict[str, DAG]) -> SerializedDAG:
    """The nightly DAG as the scheduler has it."""
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.from_dict(DagSerialization.to_dict(dags["flight_delay__nightly"]))


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def test_a_backfill_of_a_year_has_every_local_date_once(scheduled: SerializedDAG) -> None:
    nights = scheduled.iter_dagrun_infos_between(
        utc("2013-01-01T00:00:00"), utc("2013-12-31T23:59:59")
    )
    assert [night.partition_key for night in nights] == YEAR


def test_the_night_fires_at_two_in_the_morning_of_its_date(scheduled: SerializedDAG) -> None:
    (winter,) = scheduled.iter_dagrun_infos_between(
        utc("2013-01-15T00:00:00"), utc("2013-01-15T23:59:59")
    )
    assert winter.partition_key == "2013-01-15"
    assert winter.run_after == utc("2013-01-15T07:00:00")


def test_no_night_is_scheduled_after_the_last_date(scheduled: SerializedDAG) -> None:
    assert scheduled.next_dagrun_info(last_automated_run_info=None) is None
