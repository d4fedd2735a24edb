"""Labels of what happens later: what the events of some days make of an entity.

Which customers will order within 30 days? The source of the labels has a row for each order then,
and none for those who do not order; who is asked about, the source of the entities says.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from jobs.lake.made import WHOLE, Inputs, Made
from jobs.lake.table import Table
from jobs.lake.tables import Tables
from jobs.plan import Dates, Plan
from jobs.usecase import Within

# The label of a version, as `labels_of` finds it.
OUTCOME = "_outcome"

_ASKED, _EVENTS, _AT, _BASE = "_asked_at", "_events", "_at", "_base"
_VALUE, _FROM, _UNTIL = "_value", "_from", "_until"
# Columns of rows that are no part of what names them.
_VERSION = ("_arrived_at", "_superseded_at")


def made_of_events(plan: Plan, within: Within, dates: Dates | None) -> dict[str, Inputs]:
    """What the labels that events of some days tell of are made of, by part of `gold.labels`.

    A prediction date is there once the events of all of its days are: without those of a day that
    was held back, they would say of some that nothing happened.

    Args:
        dates: batch dates of the events; None for a snapshot, which has one part.
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
        for part in map(str, dates.shifted(first=1 - within.days))
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


def outcomes(plan: Plan, within: Within, entities: DataFrame, events: DataFrame) -> DataFrame:
    """What events make of each entity, in versions: as known when it is final, and after that.

    An event counts for the prediction dates of which it is one of the `within.days` days, and while
    no other version of it has superseded it. The first version of an outcome is that of the moment
    when it is final; another one begins where an event that came late, or was corrected, changes
    it.

    Args:
        entities: silver's rows of the entities' source.
        events: silver's rows of the label's source.

    Returns:
        The entity's key and date, `_outcome`, `_arrived_at` and `_superseded_at`.
    """
    usecase = plan.usecase
    entity, source = usecase.entity, usecase.sources[usecase.label.source]
    names = list(dict.fromkeys((*entity.key, entity.day)))
    ended = F.date_add(F.col(entity.day), plan.days_to_maturity).cast("timestamp")
    final = F.to_utc_timestamp(ended, usecase.timezone)
    asked = (
        entities.groupBy(*names)
        .agg(F.min("_arrived_at").alias(_ASKED))
        .withColumn(_BASE, F.greatest(final, _ASKED))
    )
    day = F.col(str(source.date))
    happened = (
        events.withColumn(_VALUE, F.expr(usecase.label.expression).cast(_TYPES[within.do]))
        .where(F.col(_VALUE).isNotNull())
        .withColumn(_FROM, F.col("_arrived_at"))
        .withColumn(_UNTIL, F.col("_superseded_at"))
        .withColumn(_EVENTS, F.struct(_VALUE, _FROM, _UNTIL))
        .withColumn(_AT, F.explode(F.sequence(F.date_sub(day, within.days - 1), day)))
        .select(
            *[name for name in names if name != entity.day], F.col(_AT).alias(entity.day), _EVENTS
        )
    )
    together = (
        asked.join(happened, on=names, how="left")
        .groupBy(*names, _ASKED, _BASE)
        .agg(F.collect_list(_EVENTS).alias(_EVENTS))
    )
    # The end of an event that still counts is null, and later than nothing.
    moments = F.flatten(F.transform(_EVENTS, lambda one: F.array(one[_FROM], one[_UNTIL])))
    later = F.filter(moments, lambda moment: moment > F.col(_BASE))
    before = F.array_max(F.filter(moments, lambda moment: moment <= F.col(_BASE)))
    points = F.explode(F.array_distinct(F.concat(F.array(_BASE), later)))
    value = _worked_out(within, F.col(_EVENTS), F.col(_AT))
    # As known right before it is final, or asked for: no earlier version is ever looked at.
    known = F.when(F.col(_AT) > F.col(_BASE), F.col(_AT)).otherwise(F.greatest(_ASKED, "_before"))
    turn = Window.partitionBy(*names).orderBy(_AT)
    first = F.row_number().over(turn) == 1
    return (
        together.withColumn("_before", before)
        .withColumn(_AT, points)
        .withColumn(OUTCOME, value)
        .withColumn("_is_news", first | ~F.col(OUTCOME).eqNullSafe(F.lag(OUTCOME).over(turn)))
        .where("_is_news")
        .withColumn("_arrived_at", known)
        .withColumn("_superseded_at", F.lead("_arrived_at").over(turn))
        .select(*names, OUTCOME, *_VERSION)
    )


_TYPES = {"any": "boolean", "count": "boolean"} | dict.fromkeys(
    ("sum", "mean", "min", "max"), "double"
)


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
