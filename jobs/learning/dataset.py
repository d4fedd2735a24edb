"""Training sets: features joined with the labels that were known at a moment."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from jobs.errors import Refused, Unavailable
from jobs.lake import files
from jobs.lake.maintain import MICROSECONDS_AN_HOUR
from jobs.lake.moments import now
from jobs.lake.table import Table
from jobs.lake.tables import Tables
from jobs.plan import Dates, Split

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

ASIDE = "_staging/training"
A_WEEK = 7 * 24 * MICROSECONDS_AN_HOUR


@dataclass(frozen=True)
class Versions:
    """The Delta versions a training read, by which its rows can be read again."""

    features: int
    labels: int


@dataclass(frozen=True)
class Parts:
    """What a model may learn from: `train` fits, `validation` stops, calibrates and chooses."""

    train: DataFrame
    validation: DataFrame

    @classmethod
    def of(cls, frame: DataFrame, split: Split) -> Parts:
        """Cut a frame by its prediction dates; the holdout's rows are in neither part."""
        return cls(frame.where(_within(split.train)), frame.where(_within(split.validation)))


def versions(tables: Tables) -> Versions:
    """The newest versions of features and labels.

    Raises:
        Refused: one of the two tables was never written.
    """
    return Versions(_version(tables.features()), _version(tables.labels()))


def labelled(
    tables: Tables,
    spark: SparkSession,
    dates: Dates,
    known_at: dt.datetime,
    read: Versions | None = None,
    columns: Sequence[str] | None = None,
) -> DataFrame:
    """Features of `dates` with the labels known and final at `known_at`, one row per entity.

    Columns: the entity's key, `prediction_date`, the features, `label`. A moment later than a
    training's cutoff is right only for a holdout that lies after that cutoff. The label of an
    entity without a date is that of each of its rows.

    Args:
        read: the versions to read; None: the newest.
        columns: those of the frame, where they are not the ones declared now.
    """
    read = read or versions(tables)
    labels = tables.labels().read(spark, version=read.labels)
    if columns is None:
        features = tables.features().read(spark, version=read.features).drop("_cutoff_at")
    else:
        then = tables.features().as_of(spark, read.features)
        features = then.select(*[name for name in columns if name != "label"])
    entity = tables.plan.usecase.entity
    names = [*entity.key]
    if entity.date is not None:
        names, labels = [*names, "prediction_date"], labels.where(_within(dates))
    known = labels.where(_known(known_at)).where(F.col("label").isNotNull())
    return features.where(_within(dates)).join(known.select(*names, "label"), on=names, how="inner")


def entities(tables: Tables, spark: SparkSession, dates: Dates, read: Versions) -> int:
    """How many rows there are of features of `dates`, with a label or without."""
    features = tables.features().read(spark, version=read.features)
    return features.where(_within(dates)).count()


def outcomes(tables: Tables, spark: SparkSession, dates: Dates, known_at: dt.datetime) -> DataFrame:
    """The rows of the label's source, of `dates` and as they were known at a moment."""
    usecase = tables.plan.usecase
    rows = tables.silver(usecase.label.source).read(spark).where(_in_force(known_at))
    if usecase.entity.date is None:
        return rows
    return rows.where(F.col(usecase.entity.date).between(F.lit(dates.first), F.lit(dates.last)))


@contextmanager
def set_aside(frame: DataFrame, tables: Tables) -> Iterator[str]:
    """The folder of a copy of some rows as Parquet, for as long as they are needed.

    A training reads its rows a dozen times, and the join behind them should be done once; kept in
    the memory of an engine that never ends, they would stay there when the training is killed.
    Nobody may erase beside the copying, and an erasure clears away what was copied. What a kill
    leaves goes with `forget_set_aside`.

    Raises:
        Unavailable: an erasure took the copy away while it was needed.
    """
    folder = f"{tables.root}/{ASIDE}/{now()}-{uuid.uuid4().hex}"
    written = False
    try:
        frame.write.parquet(folder)
        written = True
        yield folder
    except Exception as error:
        if written and not files.exists(folder):
            raise Unavailable(
                f"Something was erased from {tables.plan.name} while a training was reading its "
                "copy of the rows, which went too.",
                "Train again, which learns from what is left.",
            ) from error
        raise
    finally:
        files.remove_folder(folder)


def forget_set_aside(tables: Tables) -> None:
    """Remove what a training has set aside that was killed; none takes as long as a week."""
    for path in files.list_folder(f"{tables.root}/{ASIDE}"):
        if int(path.rsplit("/", 1)[1].partition("-")[0]) < now() - A_WEEK:
            files.remove_folder(path)


def content_hash(frame: DataFrame) -> str:
    """A SHA-256 of a frame's rows that does not depend on their order."""
    row = F.xxhash64(*sorted(frame.columns))
    total = F.sum(row.cast("decimal(38,0)"))
    found = frame.agg(F.count("*"), total, F.bit_xor(row)).collect()[0]
    return hashlib.sha256("|".join(str(value) for value in found).encode()).hexdigest()


def _version(table: Table) -> int:
    found = table.version()
    if found is None:
        raise Refused(
            f"{table.name} has never been written: there is nothing to learn from.",
            "Run the nights before the cutoff first.",
        )
    return found


def _within(dates: Dates) -> Column:
    return F.col("prediction_date").between(F.lit(dates.first), F.lit(dates.last))


def _known(moment: dt.datetime) -> Column:
    return _in_force(moment) & (F.col("matured_at") <= F.lit(moment))


def _in_force(moment: dt.datetime) -> Column:
    at = F.lit(moment)
    superseded = F.col("_superseded_at")
    current = superseded.isNull() | (superseded >= at)
    return (F.col("_arrived_at") < at) & current
