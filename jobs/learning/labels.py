"""Labels: what came true, since when it was known, and from when on it is final."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lake.tables import Tables
from jobs.plan import Plan


def labels_of(plan: Plan, silver: DataFrame) -> DataFrame:
    """The labels in the versions of the label source's silver table.

    A version whose label is null, such as that of a cancelled flight, gives no row; the versions
    it superseded stay superseded. `matured_at` is the local midnight `maturity` days after the
    prediction date has ended, in UTC. Columns: those of `gold.labels`.
    """
    usecase = plan.usecase
    days = 1 + usecase.label.maturity
    final = F.to_utc_timestamp(
        F.date_add("prediction_date", days).cast("timestamp"), usecase.timezone
    )
    return (
        silver.withColumn("prediction_date", F.col(usecase.entity.date))
        .withColumn("label", F.expr(usecase.label.expression).cast("double"))
        .where(F.col("label").isNotNull())
        .withColumn("matured_at", final)
        .select(*Tables(plan).labels().schema.names)
    )
