"""What is in quarantine, counted for people."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from jobs.lake.tables import Tables
from jobs.plan import Dates

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Quarantined:
    """Rows of one file that failed one rule.

    `column` and `example` are None for a rule about the whole row; `line` is the number of the
    first of the records in its file, from 1 and without the header.
    """

    source: str
    date: dt.date
    rule: str
    column: str | None
    rows: int
    example: str | None
    file: str
    line: int


@dataclass(frozen=True)
class Which:
    """Which quarantined rows are asked for; None takes all.

    Attributes:
        days: the days of their files.
        rule: the rule that they failed.
        file: the name of their file below the landing root.
    """

    days: Dates | None = None
    rule: str | None = None
    file: str | None = None


def summary(spark: SparkSession, tables: Tables, which: Which) -> list[Quarantined]:
    """Quarantined rows by source, batch date, rule, column and file, in this order."""
    found = _rows(spark, tables, which)
    by = ["source", "_batch_date", "rule", "column"]
    rows = (
        found.groupBy(*by, "_file")
        .agg(F.count(F.lit(1)), F.min_by("value", "_row"), F.min("_row"))
        .orderBy(*by, "_file")
        .collect()
    )
    return [
        Quarantined(row[0], row[1], row[2], row[3], row[5], row[6], row[4], row[7]) for row in rows
    ]


def days(spark: SparkSession, tables: Tables, which: Which) -> dict[str, list[dt.date]]:
    """The batch dates that have quarantined rows, by source, sorted; only sources that have any."""
    found: dict[str, list[dt.date]] = {}
    rows = _rows(spark, tables, which).select("source", "_batch_date").distinct().collect()
    for source, day in sorted(tuple(row) for row in rows):
        found.setdefault(source, []).append(day)
    return found


def _rows(spark: SparkSession, tables: Tables, which: Which) -> DataFrame:
    parts = [_of_source(spark, tables, source) for source in tables.plan.usecase.sources]
    found = reduce(lambda one, other: one.unionByName(other), parts)
    if which.days is not None:
        ends = F.lit(which.days.first), F.lit(which.days.last)
        found = found.where(F.col("_batch_date").between(*ends))
    if which.rule is not None:
        found = found.where(F.col("rule") == F.lit(which.rule))
    if which.file is not None:
        found = found.where(F.col("_file") == F.lit(which.file))
    return found


def _of_source(spark: SparkSession, tables: Tables, source: str) -> DataFrame:
    return tables.quarantine(source).read(spark).withColumn("source", F.lit(source))
