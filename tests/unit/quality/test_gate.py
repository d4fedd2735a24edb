"""The gate against real Great Expectations and Spark."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from jobs.errors import Refused
from jobs.lake.local_rows import local_rows
from jobs.plan import Dates, Plan
from jobs.quality import gate, suite
from jobs.quality.expectations import GateBroken
from jobs.quality.suite import Expected, Suite
from jobs.settings import PROJECT, Settings
from jobs.spec.document import parse
from jobs.usecase import Expectation, Gates, UseCase

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DAY = dt.date(2013, 10, 1)
FLIGHTS = parse(PROJECT / "jobs/usecases/flight_delay/usecase.yaml")
DELAYS = Suite(
    "silver.actuals",
    (
        Expected(suite.ROWS_BETWEEN, {"min_value": 1}, "sources.actuals"),
        Expected(suite.NOT_NULL, {"column": "flight"}, "sources.actuals"),
        Expected(
            suite.BETWEEN,
            {"column": "arr_delay", "min_value": -240, "max_value": 2880},
            "sources.actuals.columns.arr_delay",
        ),
        Expected(
            suite.NON_NULL_SHARE,
            {"column": "arr_delay", "min_value": 0, "strict_min": True},
            "features.numeric.arr_delay",
        ),
        Expected(suite.KEY_UNIQUE, {"column_list": ["origin", "flight"]}, "entity.key"),
    ),
)


def _flights(spark: SparkSession, rows: list[tuple[Any, ...]]) -> DataFrame:
    return local_rows(spark, rows, "origin string, flight bigint, arr_delay double").coalesce(1)


@pytest.fixture(scope="module")
def plan(settings: Settings) -> Plan:
    return Plan.of("flight_delay", settings)


def test_good_rows_pass(spark: SparkSession) -> None:
    found = gate.validate(_flights(spark, [("EWR", 1, 5.0), ("JFK", 1, None)]), DELAYS, 2)
    assert (found.passed, found.rows, found.failures) == (True, 2, ())
    gate.require(found, "2013-10-01", "nowhere")


def test_an_empty_table_does_not_pass(spark: SparkSession) -> None:
    found = gate.validate(_flights(spark, []), DELAYS, 0)
    assert not found.passed
    assert suite.ROWS_BETWEEN in {failure.expectation for failure in found.failures}


def test_a_column_without_values_does_not_pass(spark: SparkSession) -> None:
    found = gate.validate(_flights(spark, [("EWR", 1, None), ("EWR", 2, None)]), DELAYS, 2)
    assert [(f.expectation, f.column) for f in found.failures] == [
        (suite.NON_NULL_SHARE, "arr_delay")
    ]


def test_a_refusal_names_table_expectation_counts_and_examples(spark: SparkSession) -> None:
    rows = [("EWR", n % 9, 9999.0 if n in (1, 2, 3) else 5.0) for n in range(10)]
    found = gate.validate(_flights(spark, rows), DELAYS, len(rows))
    with pytest.raises(Refused) as refused:
        gate.require(found, "2013-10-01", "/lake/_staging/rows")
    assert refused.value.sentence == (
        "silver.actuals of 2013-10-01 (10 rows): expect_column_values_to_be_between(arr_delay) "
        "failed: 3 of 10 rows, e.g. 9999.0 (expected min_value -240, max_value 2880); "
        "expect_key_to_be_unique(origin, flight) failed: "
        '2 of 10 rows, e.g. {"origin":"EWR","flight":0}.'
    )
    assert "/lake/_staging/rows" in refused.value.remedy
    assert json.loads(json.dumps(found.to_json()))["failures"][0]["unexpected_count"] == 3


def test_a_missing_column_is_the_gates_own_error_and_not_bad_data(spark: SparkSession) -> None:
    rows = _flights(spark, [("EWR", 1, 5.0)]).drop("arr_delay")
    with pytest.raises(GateBroken, match="arr_delay") as broken:
        gate.validate(rows, DELAYS, 1)
    assert not isinstance(broken.value, Refused)


def test_an_expectation_that_spark_refuses_is_the_gates_own_error(spark: SparkSession) -> None:
    bad = Suite("t", (Expected(suite.MATCHES, {"column": "origin", "regex": "("}, "gates.t[0]"),))
    with pytest.raises(GateBroken, match=r"gates\.t\[0\]"):
        gate.validate(_flights(spark, [("EWR", 1, 5.0)]), bad, 1)


def test_scores_that_are_no_probabilities_are_refused(spark: SparkSession, plan: Plan) -> None:
    tables = suite.Tables(plan)
    schema = tables.predictions().schema
    scores = [0.5, float("nan"), 1.5, None]
    rows = [
        tuple(_value(field.name, n, score) for field in schema)
        for n, score in enumerate(scores, start=1)
    ]
    found = gate.validate(
        local_rows(spark, rows, schema), suite.predictions(plan, Dates.one(DAY), 5), len(rows)
    )
    said = {(f.expectation, f.column): f for f in found.failures}
    assert said[suite.BETWEEN, "score"].unexpected_count == 2
    assert said[suite.NOT_NULL, "score"].unexpected_count == 1
    assert said[suite.ROWS_EQUAL, None].observed == "4"
    assert (suite.KEY_UNIQUE, None) not in said
    assert (suite.BETWEEN, "prediction_date") not in said


def _value(name: str, flight: int, score: float | None) -> object:
    known: dict[str, object] = {
        "flight_date": DAY,
        "prediction_date": DAY,
        "flight": flight,
        "sched_dep_time": 515,
        "score": score,
        "prediction": True,
        "model_version": 3,
        "scored_at": dt.datetime(2013, 10, 1, 6),
    }
    return known.get(name, "AA")


def test_the_declared_expectations_exist_and_take_their_arguments(plan: Plan) -> None:
    gate.check(plan.usecase, FLIGHTS)


@pytest.mark.parametrize(
    ("expect", "arguments", "said"),
    [
        ("expect_the_unexpected", {}, "no expectation 'expect_the_unexpected'"),
        ("expect_column_to_exists", {}, "(did you mean 'expect_column_to_exist'?)"),
        (suite.BETWEEN, {"column": "score", "minimum": 0, "max_value": 1}, "minimum"),
        (suite.BETWEEN, {"column": "score"}, "min_value and max_value"),
    ],
)
def test_an_expectation_that_cannot_be_is_refused_by_line_and_field(
    plan: Plan, expect: str, arguments: dict[str, object], said: str
) -> None:
    wrong = _declaring(plan.usecase, Expectation(expect=expect, arguments=arguments))
    line = FLIGHTS.text.splitlines().index("  predictions:") + 2
    with pytest.raises(Refused) as refused:
        gate.check(wrong, FLIGHTS)
    assert refused.value.sentence.startswith(f"{FLIGHTS.path}:{line}: gates.predictions[0]: ")
    assert said in refused.value.sentence


def _declaring(usecase: UseCase, one: Expectation) -> UseCase:
    return usecase.model_copy(update={"gates": Gates(predictions=(one,))})
