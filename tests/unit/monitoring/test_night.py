from __future__ import annotations

import datetime as dt

import pytest

from jobs.monitoring.drift import Drift
from jobs.monitoring.freshness import check
from jobs.monitoring.night import sentence
from jobs.monitoring.performance import Measured
from jobs.monitoring.record import finite
from jobs.monitoring.retrain import wanted
from jobs.plan import Plan
from jobs.settings import Settings

DAY = dt.date(2013, 10, 3)
NOW = dt.datetime(2013, 10, 3, 8, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def plan(settings: Settings) -> Plan:
    return Plan.of("flight_delay", settings)


@pytest.mark.parametrize(("hours", "fresh"), [(1, True), (29.9, True), (30.1, False)])
def test_a_batch_is_fresh_within_the_declared_hours(plan: Plan, hours: float, fresh: bool) -> None:
    found = check(plan, NOW, DAY, 7, NOW - dt.timedelta(hours=hours))
    assert found.fresh is fresh
    assert found.age_hours == pytest.approx(hours)
    assert str(DAY) in found.sentence


def test_nothing_published_is_not_fresh_once_the_schedule_has_begun(plan: Plan) -> None:
    assert not check(plan, NOW, None, None, None).fresh
    assert check(plan, dt.datetime(2012, 12, 31, tzinfo=dt.UTC), None, None, None).fresh


def test_nothing_newer_is_due_after_the_schedules_end(plan: Plan) -> None:
    published = dt.datetime(2013, 12, 31, 8, tzinfo=dt.UTC)
    later = published + dt.timedelta(days=900)
    assert check(plan, later, dt.date(2013, 12, 31), 7, published).fresh
    assert not check(plan, later, dt.date(2013, 12, 30), 7, published).fresh


@pytest.mark.parametrize(
    ("nights", "reason"),
    [
        ([], None),
        ([["a"]], None),
        ([[], ["a"], ["a"]], None),
        ([["a"], [], [], [], [], ["a"]], None),
        ([["b", "a"], [], ["a"]], "drift on 2 of the last 3 nights and tonight: b, a"),
    ],
)
def test_two_of_five_nights_and_the_latest_ask_for_a_new_model(
    nights: list[list[str]], reason: str | None
) -> None:
    assert wanted(nights) == reason


def test_a_night_is_said_in_one_sentence(plan: Plan) -> None:
    drift = [
        Drift("temp", 0.31, 0.2, 9.0, 0.0, 0.0, True, 5000),
        Drift("hour", 0.01, 0.2, 0.3, 0.4, 0.4, False, 5000),
    ]
    area = Measured(dt.date(2013, 10, 1), 2, "all", "roc_auc", 0.712, 0.68, 0.74, 830, 0.985)
    fresh = check(plan, NOW, DAY, 7, NOW - dt.timedelta(hours=2))
    assert sentence("flight_delay", DAY, drift, [area], fresh, "roc_auc") == (
        "flight_delay monitor 2013-10-03: 1 of 2 features drifted (temp psi 0.31, over 0.20); "
        "roc_auc of 2013-10-01 was 0.712 on 830 rows (98% of the labels are final); the newest "
        "batch is of 2013-10-03, 2.0 h old, fresh."
    )


def test_numbers_that_json_has_not_become_null() -> None:
    assert finite({"a": [float("nan"), 1.5], "b": {"c": float("inf")}}) == {
        "a": [None, 1.5],
        "b": {"c": None},
    }
