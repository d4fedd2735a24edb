"""Which rows a prediction date may see: those that had arrived before its cutoff, and no others.

A silver row is one version of a fact. It can be seen from the first prediction date whose cutoff
is after its arrival, up to the last one whose cutoff is not after the arrival of the version that
superseded it. The cutoff of a date is the declared one, but for the dates in `late`, whose night
waited for its files.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as f

from jobs.usecase import UseCase

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

Late = Mapping[dt.date, dt.datetime]

FIRST, LAST = "_first_seen", "_last_seen"
FOR_EVER = "9999-12-31"


def seen(silver: DataFrame, usecase: UseCase, late: Late) -> DataFrame:
    """Each version with the prediction dates that see it, `_first_seen` to `_last_seen`.

    A version that no date sees, because another came before the next cutoff, is left out.
    """
    last = f.date_sub(first_date_after(f.col("_superseded_at"), usecase, late), 1)
    return (
        silver.withColumn(FIRST, first_date_after(f.col("_arrived_at"), usecase, late))
        .withColumn(LAST, f.coalesce(last, f.lit(FOR_EVER).cast("date")))
        .where(f.col(FIRST) <= f.col(LAST))
    )


def seen_on(silver: DataFrame, usecase: UseCase, late: Late, date: str) -> DataFrame:
    """Of each row's versions the one that the prediction date in column `date` sees."""
    visible = f.col(date).between(f.col(FIRST), f.col(LAST))
    return seen(silver, usecase, late).where(visible).drop(FIRST, LAST)


def cutoff_of(date: Column, usecase: UseCase, late: Late) -> Column:
    """The cutoff of a prediction date in UTC; of others than the late the same as `Plan.cutoff`.

    A local time that the clock skips is taken with the offset before the change, and one that
    comes twice is the first of the two, in Spark as in Python.
    """
    time = f.lit(f" {usecase.cutoff.isoformat()}")
    local = f.concat(date.cast("string"), time).cast("timestamp")
    declared = f.to_utc_timestamp(local, usecase.timezone)
    if not late:
        return declared
    pairs = [f.lit(each) for pair in sorted(late.items()) for each in pair]
    return f.coalesce(f.create_map(*pairs)[date], declared)


def first_date_after(moment: Column, usecase: UseCase, late: Late) -> Column:
    """The first prediction date whose cutoff is after `moment`; null for null."""
    local_day = f.to_date(f.from_utc_timestamp(moment, usecase.timezone))
    passed = moment >= cutoff_of(local_day, usecase, late)
    return f.date_add(local_day, passed.cast("int"))
