"""Labels: what came true, since when it was known, and from when on it is final."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lake.made import Inputs, Made
from jobs.lake.table import Table
from jobs.lake.tables import Tables
from jobs.plan import Dates, Plan


def made_of(plan: Plan, silver: Table, dates: Dates | None) -> dict[str, Inputs]:
    """What the labels of each batch date of the label source are made of if written now.

    Args:
        silver: the label source's table.
        dates: its batch dates; None for a snapshot, which has one part.
    """
    usecase = plan.usecase
    declared = f"{usecase.label.model_dump_json()} {usecase.entity.key} {usecase.timezone}"
    wanted = None if dates is None else set(map(str, dates))
    return {
        part: {"declared": declared, "silver": {**inputs}}
        for part, inputs in Made(silver).inputs().items()
        if wanted is None or part in wanted
    }


def labels_of(plan: Plan, silver: DataFrame) -> DataFrame:
    """The labels in the versions of the label source's silver table.

    A version whose label is null, such as that of a cancelled flight, gives no row; the versions
    it superseded stay superseded. `matured_at` is the local midnight `maturity` days after the
    prediction date has ended, in UTC. Columns: those of `gold.labels`.
    """
    usecase, table = plan.usecase, Tables(plan).labels()
    days = 1 + usecase.label.maturity
    final = F.to_utc_timestamp(
        F.date_add("prediction_date", days).cast("timestamp"), usecase.timezone
    )
    return (
        silver.withColumn("prediction_date", F.col(usecase.entity.date))
        .withColumn("label", F.expr(usecase.label.expression).cast(table.schema["label"].dataType))
        .where(F.col("label").isNotNull())
        .withColumn("matured_at", final)
        .select(*table.schema.names)
    )
