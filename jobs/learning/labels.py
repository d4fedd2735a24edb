"""Labels: what came true, since when it was known, and from when on it is final.

They come from a source, and from people where the use case takes their word (`label.feedback`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType

from jobs.features.known import first_date_after
from jobs.lake.local_rows import local_rows
from jobs.lake.made import Inputs, Made
from jobs.lake.table import Table
from jobs.lake.tables import Tables
from jobs.learning.later import FINAL, OUTCOME, final_of, made_of_events
from jobs.plan import Dates, Plan
from jobs.usecase import Label

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import DataType

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
    by_part = given or {}
    if within is None:
        made = Made(silver).inputs()
        wanted = set(made) if dates is None else {*map(str, dates), *by_part}
        told: dict[str, Inputs] = {
            part: {"silver": {**each}} for part, each in made.items() if part in wanted
        }
    else:
        told = made_of_events(plan, within, dates, by_part)
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
    last of the days whose events make the label, in UTC, and not before their files have come; of
    what a person says, the moment when it was said. The label of an entity without a date is final
    when it is known, and of the first prediction date that knows it; a version of its row that goes
    on saying the same is known since the first one that said so. Columns: those of `gold.labels`.

    Args:
        given: what people wrote, as `given_frame` makes it.
    """
    usecase, table = plan.usecase, Tables(plan).labels()
    label = _gathered(usecase.label, table.schema["label"].dataType)
    # At once, so that each sees the source's columns, and not another of these.
    own = {**_of_day(plan), "label": label}
    told = silver.withColumns(own).select(
        *usecase.entity.key, *own, "_arrived_at", "_superseded_at"
    )
    if usecase.entity.date is not None:
        told = told.where(F.col("prediction_date").isNotNull())
    versions = (
        told if given is None else _in_turn(told, _told(plan, given), usecase.entity.labelled)
    )
    labels = versions.where(F.col("label").isNotNull())
    dated = labels if usecase.entity.date is not None else _since_known(plan, labels)
    return dated.select(*table.schema.names)


def _of_day(plan: Plan) -> dict[str, Column]:
    """The date of a row's label and when it is final, where the row itself says so."""
    usecase = plan.usecase
    if usecase.entity.date is None:
        return {}
    final = F.col(FINAL) if usecase.label.within else final_of(plan)
    return {"prediction_date": F.col(usecase.entity.day), "matured_at": final}


def _since_known(plan: Plan, labels: DataFrame) -> DataFrame:
    """Labels of entities without a date, with date and maturity: since when each was said."""
    turn = Window.partitionBy(*plan.usecase.entity.key).orderBy("_arrived_at")
    same = F.col("label").eqNullSafe(F.lag("label").over(turn))
    goes_on = same & F.col("_arrived_at").eqNullSafe(F.lag("_superseded_at").over(turn))
    since = F.last(F.col("_begins"), ignorenulls=True).over(turn)
    return labels.withColumn("_begins", F.when(~goes_on, F.col("_arrived_at"))).withColumns(
        {"matured_at": since, "prediction_date": first_date_after(since, plan.usecase, {})}
    )


def given_frame(plan: Plan, spark: SparkSession, rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """What people wrote as a frame: what it is of, `label`, `_arrived_at`, the row's number."""
    labels = Tables(plan).labels().schema
    own = (*plan.usecase.entity.labelled, "label", "_arrived_at")
    schema = StructType([*(labels[name] for name in own), StructField(GIVEN, LongType())])
    return local_rows(spark, [tuple(row[name] for name in schema.names) for row in rows], schema)


def without_entity(plan: Plan, given: DataFrame, entities: DataFrame) -> int:
    """How many rows that people wrote are of what the source of the entities does not have.

    They are labels all the same: if the entity comes later, it has its label.
    """
    entity = plan.usecase.entity
    if entity.date is not None:
        dated = _dated(plan, given)
        days = [row[0] for row in dated.select("prediction_date").distinct().collect()]
        entities = entities.where(F.col(entity.day).isin(days))
        entities = entities.withColumn("prediction_date", F.col(entity.day))
    listed = entities.select(*entity.labelled)
    return given.join(listed, on=list(entity.labelled), how="left_anti").count()


def _gathered(label: Label, type_: DataType) -> Column:
    """What the source says, with rare classes as the ones that they become."""
    found = (F.col(OUTCOME) if label.within else F.expr(label.expression)).cast(type_)
    for into, names in label.group.items():
        found = F.when(found.isin(*names), into).otherwise(found)
    return found


def _told(plan: Plan, given: DataFrame) -> DataFrame:
    """What people wrote, as versions of labels that nothing has superseded yet."""
    told = given.withColumn("_superseded_at", F.lit(None).cast("timestamp"))
    if plan.usecase.entity.date is None:
        return told
    return _dated(plan, told).withColumn("matured_at", F.col("_arrived_at"))


def _dated(plan: Plan, given: DataFrame) -> DataFrame:
    """What people wrote with the prediction date, which may be a column of the key."""
    entity = plan.usecase.entity
    if entity.date not in entity.key:
        return given
    return given.withColumn("prediction_date", F.col(entity.day))


def _in_turn(told: DataFrame, given: DataFrame, by: Sequence[str]) -> DataFrame:
    """Versions of the source and those of people, each superseded by the one that was known next.

    A version of the source that says the same as the source's before it is no news: it does not
    end what a person has said since. Nor does a row that leaves its file.

    Args:
        by: columns that name what a label is of.
    """
    # Of one moment a person's word is the last.
    turn = Window.partitionBy(*by).orderBy("_arrived_at", GIVEN)
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
