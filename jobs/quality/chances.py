"""An expectation that the probabilities of classes add up to 1 in each row.

Great Expectations' own for sums of columns compares for equality, which no sum of shares holds.
This module imports Great Expectations, so it is itself only imported when a gate runs.
"""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.execution_engine.sparkdf_execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from pyspark.sql import functions as F

from jobs.quality.verdict import verdict

METRIC = "table.chances_not_one"
# How far the sum of a row may be from 1.
TOLERANCE = 1e-6


class ChancesNotOne(TableMetricProvider):
    """Counts rows whose columns do not add up to 1, and shows one of them."""

    metric_name = METRIC
    value_keys = ("column_list",)

    @metric_value(engine=SparkDFExecutionEngine)
    def _spark(
        cls,  # noqa: N805  # the decorator makes it a class method
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],
    ) -> dict[str, Any]:
        df, _, _ = execution_engine.get_compute_domain(
            metric_domain_kwargs, domain_type=MetricDomainTypes.TABLE
        )
        columns = [F.col(name) for name in metric_value_kwargs["column_list"]]
        off = F.abs(sum(columns, F.lit(0.0)) - 1)
        # A null has another expectation; NaN is larger than any number to Spark.
        wrong = off > TOLERANCE
        found = df.agg(
            F.count(F.lit(1)).alias("rows"),
            F.count_if(wrong).alias("wrong"),
            F.min(F.when(wrong, F.to_json(F.struct(*columns)))).alias("example"),
        ).collect()[0]
        return {"rows": found["rows"], "wrong": found["wrong"], "example": found["example"]}


class ExpectChancesToAddUpToOne(BatchExpectation):
    """Expect that the columns of `column_list` add up to 1 in every row, within 0.000001."""

    column_list: list[str]

    metric_dependencies: ClassVar[tuple[str, ...]] = (METRIC,)
    success_keys: ClassVar[tuple[str, ...]] = ("column_list",)

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        return verdict(metrics[METRIC])
