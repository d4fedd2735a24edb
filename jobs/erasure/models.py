"""Which registered versions learned from an entity."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as f

from jobs.context import Context
from jobs.erasure.entity import Entity
from jobs.learning.rebuild import trained_on
from jobs.plan import Dates
from jobs.usecase import Source, UseCase

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression


def models_of(context: Context, entity: Entity, sources: Mapping[str, Source]) -> tuple[int, ...]:
    """The versions that learned from features or labels that silver's rows of it went into.

    A row of a daily source goes into those of its day and, as history, of the days after it.
    Of a snapshot that lists entities or labels, features of all days since it was known, and
    labels of the days that its rows name, may be made of it. Rows of others are looked up for
    rows that have the entity: only if there are none, their days count, too.
    """
    spark, tables, usecase = context.engine.session(), context.tables, context.plan.usecase
    learned: set[dt.date] = set()
    listed: list[dt.date] = []
    looked_up: list[dt.date] = []
    for source, spec in sources.items():
        silver = tables.silver(source)
        rows = silver.read(spark).where(entity.typed_in(silver.schema))
        day = f.col("_batch_date") if spec.is_daily else _first_day(usecase, spec)
        days = [row[0] for row in rows.select(day).distinct().collect()]
        if spec.is_daily:
            history = max(usecase.features.history, spec.arrives.lag)
            within = usecase.label.within if source == usecase.label.source else None
            back = within.days - 1 if within else 0
            learned |= {
                date for day in days for date in Dates.one(day).shifted(first=-back, last=history)
            }
        elif source in (usecase.entity.source, usecase.label.source):
            listed += days
        else:
            looked_up += days
    if since := listed or (looked_up if not learned else []):
        learned |= {*Dates(min(since), max(*since, dt.date.today()))}
    return trained_on(context.plan, learned) if learned else ()


def _first_day(usecase: UseCase, spec: Source) -> Expression:
    """Of a snapshot's rows the first day whose features or labels can be made of each."""
    known = f.to_date(f.from_utc_timestamp("_arrived_at", usecase.timezone))
    date, within = usecase.entity.date, usecase.label.within
    if within is not None and spec is usecase.sources[usecase.label.source]:
        return f.least(known, f.date_sub(f.col(str(spec.date)), within.days - 1))
    return f.least(known, f.col(date)) if date in spec.columns else known
