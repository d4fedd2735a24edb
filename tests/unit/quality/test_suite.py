from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest

from jobs.plan import Dates, Plan
from jobs.quality import suite
from jobs.settings import Settings


@pytest.fixture(scope="module")
def plan(settings: Settings) -> Plan:
    return Plan.of("flight_delay", settings)


def _found(of: suite.Suite, expect: str) -> list[object]:
    return [one.arguments.get("column") for one in of.expectations if one.expect == expect]


def test_a_silver_suite_follows_from_the_columns(plan: Plan) -> None:
    of = suite.silver(plan, "actuals")
    assert of.table == "silver.actuals"
    by = {(one.expect, one.arguments.get("column")): one for one in of.expectations}
    assert by[suite.ROWS_BETWEEN, None].arguments == {"min_value": 1}
    assert by[suite.BETWEEN, "arr_delay"].arguments == {
        "column": "arr_delay",
        "min_value": -240,
        "max_value": 2880,
    }
    assert by[suite.BETWEEN, "arr_delay"].field == "sources.actuals.columns.arr_delay"
    assert by[suite.IN_SET, "origin"].arguments["value_set"] == ["EWR", "JFK", "LGA"]
    assert by[suite.MATCHES, "carrier"].arguments["regex"] == r"\A(?:[A-Z0-9]{2})\z"
    assert (suite.NOT_NULL, "dep_time") not in by
    assert by[suite.NON_NULL_SHARE, "arr_delay"].field == "gates.silver.actuals[0]"


def test_the_unique_key_of_silver_includes_the_version(plan: Plan) -> None:
    (unique,) = [
        one for one in suite.silver(plan, "weather").expectations if one.expect == suite.KEY_UNIQUE
    ]
    assert unique.arguments == {"column_list": ["origin", "time_hour", "_arrived_at"]}


def test_no_column_is_asked_twice_whether_it_is_null(plan: Plan) -> None:
    for source in plan.usecase.sources:
        counted = Counter(_found(suite.silver(plan, source), suite.NOT_NULL))
        assert set(counted.values()) == {1}


def test_a_column_that_files_of_some_days_lack_may_be_null(plan: Plan) -> None:
    """Its row rule knows the days; the gate sees days before and after together."""
    usecase, actuals = plan.usecase, plan.usecase.sources["actuals"]
    later = {"dest": actuals.columns["dest"].model_copy(update={"since": dt.date(2013, 6, 1)})}
    spec = actuals.model_copy(update={"columns": {**actuals.columns, **later}, "drift": "declared"})
    changed = usecase.model_copy(update={"sources": {**usecase.sources, "actuals": spec}})
    asked = _found(suite.silver(Plan(changed, plan.settings), "actuals"), suite.NOT_NULL)
    assert "dest" not in asked
    assert {"carrier", "flight_date"} <= set(asked)


def test_numbers_without_ends_must_still_be_finite(plan: Plan) -> None:
    (alt,) = [
        one
        for one in suite.silver(plan, "airports").expectations
        if one.expect == suite.BETWEEN and one.arguments["column"] == "alt"
    ]
    assert alt.arguments["max_value"] == suite.LARGEST
    assert alt.arguments["min_value"] == -suite.LARGEST


def test_no_numeric_feature_may_be_all_null(plan: Plan) -> None:
    days = Dates(dt.date(2013, 10, 1), dt.date(2013, 10, 2))
    asked = set(_found(suite.features(plan, days), suite.NON_NULL_SHARE))
    assert set(plan.usecase.features.numeric) <= asked


def test_one_night_may_know_nothing_of_a_feature(plan: Plan) -> None:
    """No flight of the evening of 8 February 2013 arrived, so 9 February has no share of late."""
    of = suite.features(plan, Dates.one(dt.date(2013, 2, 9)))
    assert "late_evening_origin_1" not in _found(of, suite.NON_NULL_SHARE)
    assert {"prediction_date", "late_evening_origin_1"} <= set(_found(of, suite.BETWEEN))


def test_labels_are_yes_or_no_and_numbers_finite(plan: Plan) -> None:
    number = plan.usecase.label.model_copy(update={"type": "regression"})
    numbers = Plan(plan.usecase.model_copy(update={"label": number}), plan.settings)
    day = Dates.one(dt.date(2013, 10, 1))
    finite = {"min_value": -suite.LARGEST, "max_value": suite.LARGEST}
    for of, column, expect, wanted in (
        (suite.labels(plan), "label", suite.IN_SET, {"value_set": [0.0, 1.0]}),
        (suite.labels(numbers), "label", suite.BETWEEN, finite),
        (suite.predictions(numbers, day, 842), "score", suite.BETWEEN, finite),
    ):
        by = {(one.expect, one.arguments.get("column")): one.arguments for one in of.expectations}
        assert by[expect, column] == {"column": column, **wanted}


def test_predictions_need_a_score_for_every_row_of_features(plan: Plan) -> None:
    of = suite.predictions(plan, Dates.one(dt.date(2013, 10, 1)), 842)
    by = {(one.expect, one.arguments.get("column")): one.arguments for one in of.expectations}
    assert by[suite.ROWS_EQUAL, None] == {"value": 842}
    assert by[suite.BETWEEN, "score"] == {"column": "score", "min_value": 0.0, "max_value": 1.0}
    assert by[suite.DISTINCT_COUNT, "model_version"]["max_value"] == 1
    assert (suite.NOT_NULL, "score") in by
