"""Labels: what came true, since when it was known, and from when on it is final."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.features.known import first_date_after
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
    entity = usecase.entity
    declared = f"{usecase.label.model_dump_json()} {entity.key} {usecase.timezone}"
    # Of which date a label is that has none depends on the cutoff.
    declared += f" {entity.date or usecase.cutoff}"
    wanted = None if dates is None else set(map(str, dates))
    return {
        part: {"declared": declared, "silver": {**inputs}}
        for part, inputs in Made(silver).inputs().items()
        if wanted is None or part in wanted
    }


def labels_of(plan: Plan, silver: DataFrame) -> DataFrame:
    """The labels in the versions of the label source's silver table.

    A version whose label is null, such as that of a cancelled flight, gives no row; the versions
    it superseded stay superseded, and neither does one without the column that is its date.
    `matured_at` is the local midnight `maturity` days after the prediction date has ended, in UTC.
    The label of an entity without a date is of the first prediction date that knows it, and final
    when it is known. Columns: those of `gold.labels`.
    """
    usecase, table = plan.usecase, Tables(plan).labels()
    label = F.expr(usecase.label.expression).cast(table.schema["label"].dataType)
    if usecase.entity.date is None:
        since = F.col("_arrived_at")
        told = silver.withColumn("label", label).withColumn("matured_at", since)
        dated = told.withColumn("prediction_date", first_date_after(since, usecase, {}))
    else:
        told = silver.withColumn("prediction_date", F.col(usecase.entity.date))
        ended = F.date_add("prediction_date", plan.days_to_maturity).cast("timestamp")
        final = F.to_utc_timestamp(ended, usecase.timezone)
        dated = told.withColumn("label", label).withColumn("matured_at", final)
    known = F.col("label").isNotNull() & F.col("prediction_date").isNotNull()
    return dated.where(known).select(*table.schema.names)
