"""Which dates a run works on, from its partition key and its form."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.errors import Refused, WrongUsage
from jobs.plan import Dates, Plan
from jobs.settings import Settings

if TYPE_CHECKING:
    from daybreak_airflow.dates import Asked

TODAY = dt.date(2026, 11, 21)
FIRST, LAST = dt.date(2013, 1, 1), dt.date(2013, 12, 31)


@pytest.fixture
def plan(airflow_env: dict[str, str], tmp_path: Path) -> Plan:
    return Plan.of("flight_delay", Settings(home=tmp_path))


def asked(partition: str | None = None, params: Mapping[str, Any] | None = None) -> Asked:
    from daybreak_airflow.dates import Asked

    return Asked(today=TODAY, partition=partition, params=params or {})


def test_a_night_is_its_partition(plan: Plan) -> None:
    from daybreak_airflow.dates import night

    assert night(plan, asked("2013-03-10")) == Dates.one(dt.date(2013, 3, 10))


def test_a_night_by_hand_is_the_date_of_the_form(plan: Plan) -> None:
    from daybreak_airflow.dates import night

    assert night(plan, asked(params={"date": "2013-03-10"})) == Dates.one(dt.date(2013, 3, 10))


def test_a_night_by_hand_without_a_date_is_the_newest(plan: Plan) -> None:
    from daybreak_airflow.dates import newest, night

    assert night(plan, asked(params={"date": None})) == Dates.one(LAST)
    assert newest(plan, dt.date(2013, 5, 1)) == dt.date(2013, 5, 1)
    assert newest(plan, dt.date(2012, 12, 31)) == FIRST


def test_two_different_dates_are_refused(plan: Plan) -> None:
    from daybreak_airflow.dates import night

    with pytest.raises(WrongUsage, match="2013-03-10 but its date says 2013-03-11"):
        night(plan, asked("2013-03-10", {"date": "2013-03-11"}))


@pytest.mark.parametrize("date", ["2012-12-31", "2014-01-01"])
def test_a_date_outside_the_schedule_is_refused(plan: Plan, date: str) -> None:
    from daybreak_airflow.dates import night

    with pytest.raises(Refused, match=f"{date} is not a prediction date"):
        night(plan, asked(date))


def test_what_is_no_date_is_refused(plan: Plan) -> None:
    from daybreak_airflow.dates import night

    with pytest.raises(WrongUsage, match="is not a date"):
        night(plan, asked("../../etc"))


def test_a_training_reaches_from_the_start_to_its_cutoff(plan: Plan) -> None:
    from daybreak_airflow.dates import history, learning

    params = {"cutoff": "2013-10-01", "holdout_until": None}
    assert learning(plan, asked(params=params)) == Dates(FIRST, dt.date(2013, 10, 1))
    assert history(plan, asked(params=params)) == learning(plan, asked(params=params))


def test_a_training_without_dates_needs_the_features_of_its_cutoff_alone(plan: Plan) -> None:
    from daybreak_airflow.dates import featured, history

    params = asked(params={"cutoff": "2013-10-01"})
    assert featured(plan, params) == history(plan, params)
    entity = plan.usecase.entity.model_copy(update={"date": None})
    undated = Plan(plan.usecase.model_copy(update={"entity": entity}), plan.settings)
    assert history(undated, params) == Dates(FIRST, dt.date(2013, 10, 1))
    assert featured(undated, params) == Dates.one(dt.date(2013, 10, 1))


def test_a_training_before_the_first_date_is_refused(plan: Plan) -> None:
    from daybreak_airflow.dates import learning

    with pytest.raises(Refused, match="its first prediction date is 2013-01-01") as refused:
        learning(plan, asked(params={"cutoff": "2012-12-31"}))
    assert "--date 2013-01-01" in refused.value.remedy


def test_a_holdout_after_the_cutoff_needs_its_own_labels(plan: Plan) -> None:
    """The labels of 28 October are final when 29 October, its day of maturity, has ended."""
    from daybreak_airflow.dates import history, learning

    params = {"cutoff": "2013-10-01", "holdout_until": "2013-10-28"}
    assert learning(plan, asked(params=params)) == Dates(FIRST, dt.date(2013, 10, 1))
    built = history(plan, asked(params=params))
    assert built == Dates(FIRST, dt.date(2013, 10, 30))
    assert plan.last_mature(built.last) == dt.date(2013, 10, 28)
