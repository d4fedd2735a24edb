"""Labels: what came true, since when it was known, and from when on it is final.

They come from a source, and from people where the use case takes their word (`label.feedback`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, LongType, StructField, StructType

from jobs.features.known import first_date_after
from jobs.lake.local_rows import local_rows
from jobs.lake.made import Inputs, Made
from jobs.lake.table import Table
from jobs.lake.tables import Tables
from jobs.learning.later import OUTCOME, made_of_events
from jobs.plan import Dates, Plan
from jobs.usecase import Label

# The number of a row that a person wrote; null in what a source says.
GIVEN = "_given"


def made_of(
    plan: Plan,
    silver: Table,
    dates: Dates | None,
    given: Mapping[str, Inputs] | None = None,
) -> dict[str, Inputs]:
    """What the labels of each batch date of the label source are made of if written now.

    Args:
        silver: the label source's table.
        dates: its batch dates, of whose labels they tell; None for a snapshot, which has one part.
        given: what people wrote for each part, of any date; None where they write nothing.
    """
    usecase, within = plan.usecase, plan.usecase.label.within
    # Neither who labelled nor what is rare changes a label, nor does what is not there.
    absent = {name for name in ("group", "within") if not getattr(usecase.label, name)}
    label = usecase.label.model_dump_json(exclude={"labellers", "rare", *absent})
    declared = f"{label} {usecase.entity.key} {usecase.timezone}"
    # Of which date a label is that has none depends on the cutoff.
    declared += f" {usecase.entity.date or usecase.cutoff}"
    if within is None:
        made = Made(silver).inputs()
        wanted = set(made) if dates is None else set(map(str, dates))
        told: dict[str, Inputs] = {
            part: {"silver": {**each}} for part, each in made.items() if part in wanted
        }
    else:
        told = made_of_events(plan, within, dates)
    by_part = given or {}
    return {
        part: {
            "declared": declared,
            **told.get(part, {"silver": {}}),
            **({} if given is None else {"feedback": by_part.get(part, {})}),
        }
        for part in {*told, *by_part}
    }


def labels_of(plan: Plan, silver: DataFrame, given: DataFrame | None = None) -> DataFrame:
    """The labels in the versions of the label source's silver table, and those that people gave.

    Of labels of what happens later, the versions are outcomes.

    A version whose label is null, such as that of a cancelled flight, gives no row; the versions
    it superseded stay superseded, and neither does one without the column that is its date.
    `matured_at` is the local midnight `maturity` days after the prediction date has ended, or the
    last of the days whose events make the label, in UTC;
    of what a person says, the moment when it was said. The label of an entity without a date is of
    the first prediction date that knows it, and final when it is known. Columns: those of
    `gold.labels`.

    Args:
        given: what people wrote, as `given_frame` makes it.
    """
    usecase, table = plan.usecase, Tables(plan).labels()
    label = _gathered(usecase.label, table.schema["label"].dataType)
    if usecase.entity.date is None:
        since = F.col("_arrived_at")
        final, date = since, first_date_after(since, usecase, {})
    else:
        date = F.col(usecase.entity.day)
        ended = F.date_add(date, plan.days_to_maturity).cast("timestamp")
        final = F.to_utc_timestamp(ended, usecase.timezone)
    # At once, so that each sees the source's columns, and not another of these.
    dated = silver.withColumns({"prediction_date": date, "matured_at": final, "label": label})
    told = dated.where(F.col("prediction_date").isNotNull()).select(*table.schema.names)
    versions = told if given is None else _in_turn(told, _told(plan, given), usecase.entity.key)
    return versions.where(F.col("label").isNotNull())


def given_frame(plan: Plan, spark: SparkSession, rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """What people wrote as a frame: key, `label`, `_arrived_at`, and the row's number."""
    labels = Tables(plan).labels().schema
    own = (*plan.usecase.entity.key, "label", "_arrived_at")
    schema = StructType([*(labels[name] for name in own), StructField(GIVEN, LongType())])
    return local_rows(spark, [tuple(row[name] for name in schema.names) for row in rows], schema)


def without_entity(plan: Plan, given: DataFrame, entities: DataFrame) -> int:
    """How many rows that people wrote are of keys that the source of the entities does not have.

    They are labels all the same: if the entity comes later, it has its label.
    """
    entity = plan.usecase.entity
    days = [row[0] for row in given.select(entity.day).distinct().collect()]
    listed = entities.where(F.col(entity.day).isin(days)).select(*entity.key)
    return given.join(listed, on=list(entity.key), how="left_anti").count()


def _gathered(label: Label, type_: DataType) -> Column:
    """What the source says, with rare classes as the ones that they become."""
    found = (F.col(OUTCOME) if label.within else F.expr(label.expression)).cast(type_)
    for into, names in label.group.items():
        found = F.when(found.isin(*names), into).otherwise(found)
    return found


def _told(plan: Plan, given: DataFrame) -> DataFrame:
    """What people wrote, as versions of labels that nothing has superseded yet."""
    return (
        given.withColumn("prediction_date", F.col(plan.usecase.entity.day))
        .withColumn("matured_at", F.col("_arrived_at"))
        .withColumn("_superseded_at", F.lit(None).cast("timestamp"))
    )


def _in_turn(told: DataFrame, given: DataFrame, key: Sequence[str]) -> DataFrame:
    """Versions of the source and those of people, each superseded by the one that was known next.

    A version of the source that says the same as the source's before it is no news: it does not
    end what a person has said since. Nor does a row that leaves its file.
    """
    # Of one moment a person's word is the last.
    turn = Window.partitionBy(*key, "prediction_date").orderBy("_arrived_at", GIVEN)
    before = turn.rowsBetween(Window.unboundedPreceding, -1)
    so_far = turn.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    after = turn.rowsBetween(1, Window.unboundedFollowing)
    by_person = F.col(GIVEN).isNotNull()
    # In a struct, because a label that is null says something, too.
    last_told = F.last(F.when(~by_person, F.struct("label")), ignorenulls=True).over(before)
    is_news = by_person | ~F.col("label").eqNullSafe(last_told["label"])
    newest_is_given = F.last(F.when(F.col("_news"), by_person), ignorenulls=True).over(so_far)
    stand = by_person | ~F.coalesce("_newest_is_given", F.lit(False))
    next_given = F.min(F.when(by_person, F.col("_arrived_at"))).over(after)
    ends = F.when(by_person, F.min("_arrived_at").over(after)).otherwise(
        F.least("_superseded_at", next_given)
    )
    return (
        told.withColumn(GIVEN, F.lit(None).cast("long"))
        .unionByName(given)
        .withColumn("_news", is_news)
        .withColumn("_newest_is_given", newest_is_given)
        .where(stand)
        .withColumn("_ends", ends)
        .where("_ends is null or _ends > _arrived_at")
        .withColumn("_superseded_at", F.col("_ends"))
        .select(*told.columns)
    )
