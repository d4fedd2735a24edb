"""Labels of what happens later: what the events of some days make of an entity.

Which customers will order within 30 days? The source of the labels has a row for each order then,
and none for those who do not order; who is asked about, the source of the entities says.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from jobs.lake.made import WHOLE, Inputs, Made
from jobs.lake.table import Table
from jobs.lake.tables import Tables
from jobs.plan import Dates, Plan
from jobs.usecase import Within

# Of a version, the label and when it is final, as `labels_of` finds them.
OUTCOME, FINAL = "_outcome", "_final"

_ASKED, _EVENTS, _AT, _NEWEST = "_asked_at", "_events", "_at", "_newest"
_VALUE, _FROM, _UNTIL = "_value", "_from", "_until"
_TYPES = {"any": "boolean", "count": "boolean"} | dict.fromkeys(
    ("sum", "mean", "min", "max"), "double"
)


def made_of_events(
    plan: Plan, within: Within, dates: Dates | None, also: Collection[str]
) -> dict[str, Inputs]:
    """What the labels that events of some days tell of are made of, by part of `gold.labels`.

    A prediction date is there once the events of all of its days are: without those of a day that
    was held back, they would say of some that nothing happened.

    Args:
        dates: batch dates of the events; None for a snapshot, which has one part.
        also: parts that are looked at whatever events there are.
    """
    tables, usecase = Tables(plan), plan.usecase
    events = Made(tables.silver(usecase.label.source)).inputs()
    entities = Made(tables.silver(usecase.entity.source)).inputs()
    if dates is None:
        whole = {"silver": {**events[WHOLE]}, "entities": entities} if WHOLE in events else None
        return {} if whole is None else {WHOLE: whole}
    return {
        part: {
            "silver": {day: {**events[day]} for day in days_of(within, part)},
            "entities": {**entities.get(part, entities.get(WHOLE, {}))},
        }
        for part in {*map(str, dates.shifted(first=1 - within.days)), *also}
        if all(day in events for day in days_of(within, part))
    }


def days_of(within: Within, part: str) -> list[str]:
    """The days whose events a label of prediction date `part` is made of."""
    first = dt.date.fromisoformat(part)
    return [str(first + dt.timedelta(days=n)) for n in range(within.days)]


def read_outcomes(
    plan: Plan, within: Within, spark: SparkSession, stale: Mapping[str, Inputs]
) -> DataFrame:
    """The outcomes of those parts of `gold.labels` of which the events are there.

    Args:
        stale: what the parts are made of, as `made_of_events` says it.
    """
    tables, usecase = Tables(plan), plan.usecase
    listed, happened = (
        tables.silver(name) for name in (usecase.entity.source, usecase.label.source)
    )
    entities, events = listed.read(spark), happened.read(spark)
    if happened.partition:
        parts = sorted(part for part, inputs in stale.items() if inputs["silver"])
        days = sorted({day for part in parts for day in days_of(within, part)})
        events = events.where(happened.of_dates(days))
        entities = _of(entities, listed, usecase.entity.day, parts)
    return outcomes(plan, within, entities, events)


def final_of(plan: Plan) -> Column:
    """When the label of an entity's date is final, by the calendar: local midnight, in UTC."""
    usecase = plan.usecase
    ended = F.date_add(F.col(usecase.entity.day), plan.days_to_maturity).cast("timestamp")
    return F.to_utc_timestamp(ended, usecase.timezone)


def outcomes(plan: Plan, within: Within, entities: DataFrame, events: DataFrame) -> DataFrame:
    """What events make of each entity, in versions.

    An event counts for the prediction dates of which it is one of the `within.days` days, and while
    no other version of it has superseded it. The first version is known since the entity is,
    another one begins where an event changes the outcome. What ended before the label was final
    is left out.

    Args:
        entities: silver's rows of the entities' source.
        events: silver's rows of the label's source.

    Returns:
        The entity's key and date, `_outcome`, `_final`, `_arrived_at` and `_superseded_at`.
    """
    usecase = plan.usecase
    entity, source = usecase.entity, usecase.sources[usecase.label.source]
    names = list(dict.fromkeys((*entity.key, entity.day)))
    listed = entities.groupBy(*names).agg(F.min("_arrived_at").alias(_ASKED))
    asked = _when_final(plan, within, listed, events)
    day = F.col(str(source.date))
    happened = (
        events.withColumn(_VALUE, F.expr(usecase.label.expression).cast(_TYPES[within.do]))
        .where(F.col(_VALUE).isNotNull())
        .withColumn(_FROM, F.col("_arrived_at"))
        .withColumn(_UNTIL, F.col("_superseded_at"))
        .withColumn(_EVENTS, F.struct(_VALUE, _FROM, _UNTIL))
        .withColumn(_AT, _dates_of(within, day))
        .select(
            *[name for name in names if name != entity.day], F.col(_AT).alias(entity.day), _EVENTS
        )
    )
    together = (
        asked.join(happened, on=names, how="left")
        .groupBy(*names, _ASKED, FINAL)
        .agg(F.collect_list(_EVENTS).alias(_EVENTS))
    )
    moments = F.flatten(F.transform(_EVENTS, lambda one: F.array(one[_FROM], one[_UNTIL])))
    # The end of an event that still counts is null, and later than nothing.
    later = F.filter(moments, lambda moment: moment > F.col(_ASKED))
    turn = Window.partitionBy(*names).orderBy(_AT)
    first = F.row_number().over(turn) == 1
    return (
        together.withColumn(_AT, F.explode(F.array_distinct(F.concat(F.array(_ASKED), later))))
        .withColumn(OUTCOME, _worked_out(within, F.col(_EVENTS), F.col(_AT)))
        .withColumn("_is_news", first | ~F.col(OUTCOME).eqNullSafe(F.lag(OUTCOME).over(turn)))
        .where("_is_news")
        .withColumn("_arrived_at", F.col(_AT))
        .withColumn("_superseded_at", F.lead(_AT).over(turn))
        .where(f"_superseded_at is null or _superseded_at > {FINAL}")
        .select(*names, OUTCOME, FINAL, "_arrived_at", "_superseded_at")
    )


def _when_final(plan: Plan, within: Within, listed: DataFrame, events: DataFrame) -> DataFrame:
    """Entities with the moment when their label is final: nothing is missing of its days by then.

    Of events in files of days, none is final before the file of its last day has come. A snapshot
    tells of the time until its newest event was known, and of no label that is final later.
    """
    day, source = plan.usecase.entity.day, plan.usecase.sources[plan.usecase.label.source]
    dated = listed.withColumn(FINAL, final_of(plan))
    if not source.is_daily:
        newest = events.agg(F.max("_arrived_at").alias(_NEWEST))
        return dated.crossJoin(F.broadcast(newest)).where(f"{FINAL} <= {_NEWEST}").drop(_NEWEST)
    came = events.groupBy("_batch_date").agg(F.min("_arrived_at").alias(_NEWEST))
    whole = (
        came.withColumn(day, _dates_of(within, F.col("_batch_date")))
        .groupBy(day)
        .agg(F.max(_NEWEST).alias(_NEWEST))
    )
    told = dated.join(F.broadcast(whole), on=day, how="left")
    return told.withColumn(FINAL, F.greatest(FINAL, _NEWEST)).drop(_NEWEST)


def _dates_of(within: Within, day: Column) -> Column:
    """The prediction dates that events of a day count for, one row each."""
    return F.explode(F.sequence(F.date_sub(day, within.days - 1), day))


def _worked_out(within: Within, events: Column, at: Column) -> Column:
    """What the events that count at a moment come to."""
    live = F.filter(
        events,
        lambda one: (one[_FROM] <= at) & (one[_UNTIL].isNull() | (one[_UNTIL] > at)),
    )
    # In order, because a sum of doubles depends on it.
    values = F.array_sort(F.transform(live, lambda one: one[_VALUE]))
    total = F.aggregate(values, F.lit(0.0), lambda so_far, value: so_far + value)
    match within.do:
        case "any":
            return F.exists(values, lambda value: value)
        case "count":
            return F.size(F.filter(values, lambda value: value)).cast("double")
        case "sum":
            return total
        case "mean":
            return F.when(F.size(values) > 0, total / F.size(values))
        case "min":
            return F.array_min(values)
        case "max":
            return F.array_max(values)


def _of(entities: DataFrame, listed: Table, day: str, parts: list[str]) -> DataFrame:
    if listed.partition:
        return entities.where(listed.of_dates(parts))
    return entities.where(F.col(day).cast("string").isin(parts))
