"""What a use case's feature module is given."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyspark.sql import functions as f

from jobs.errors import WrongUsage
from jobs.features.known import FIRST, LAST, seen, seen_on
from jobs.features.running import DATE
from jobs.plan import Dates
from jobs.usecase import UseCase

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class FeatureInputs:
    """The silver tables that the features of some prediction dates may look at.

    Attributes:
        usecase: the declaration.
        dates: the prediction dates to build.
        silver: every source's rows with all versions; of daily sources only the days from
            `features.history` before the first date up to the last date.
        late: the cutoffs of the dates whose night waited for its files.
    """

    usecase: UseCase
    dates: Dates
    silver: Mapping[str, DataFrame]
    late: Mapping[dt.date, dt.datetime] = field(default_factory=dict)

    def entities(self) -> DataFrame:
        """The entities of each prediction date as known at its cutoff, with `prediction_date`."""
        entity = self.usecase.entity
        # Only the days that are needed are read if Spark knows that the files lie by this.
        source = self.usecase.sources[entity.source]
        is_file_s = source.is_daily and source.date == entity.date
        dated = self.silver[entity.source].withColumn(
            DATE, f.col("_batch_date" if is_file_s else entity.date)
        )
        asked = f.col(DATE).between(f.lit(self.dates.first), f.lit(self.dates.last))
        wanted = dated.where(asked & f.col(entity.date).isNotNull())
        return seen_on(wanted, self.usecase, self.late, DATE)

    def facts(self, source: str) -> DataFrame:
        """A daily source's versions with `_day` and the dates that see them."""
        if not self.usecase.sources[source].is_daily:
            raise WrongUsage(
                f"The features take {source} as a source of days, but it is a snapshot.",
                "Give the source a `date` in the use-case file, or read it by looked_up().",
            )
        # As in `entities`; a row's date is its file's, or conform would not have let it through.
        return seen(self.silver[source], self.usecase, self.late).withColumn(
            "_day", f.col("_batch_date")
        )

    def looked_up(self, rows: DataFrame, source: str, on: str, wanted: Sequence[str]) -> DataFrame:
        """`rows` with columns of a snapshot as each row's `prediction_date` sees it, or null.

        Args:
            on: the column of `rows` that holds the snapshot's (single) key.
            wanted: columns of the snapshot to add.
        """
        (key,) = self.usecase.sources[source].key
        versions = seen(self.silver[source], self.usecase, self.late)
        there = versions.select(f.col(key).alias("_on"), *wanted, FIRST, LAST)
        same = (f.col(on) == f.col("_on")) & f.col(DATE).between(f.col(FIRST), f.col(LAST))
        return rows.join(f.broadcast(there), on=same, how="left").drop("_on", FIRST, LAST)

    def joined(self, facts: DataFrame, source: str, on: str, wanted: Sequence[str]) -> DataFrame:
        """Facts with columns of a snapshot, each pair seen on the dates that see both of the two.

        A fact whose key the snapshot does not have is left out.
        """
        (key,) = self.usecase.sources[source].key
        there = seen(self.silver[source], self.usecase, self.late).select(
            f.col(key).alias("_on"), *wanted, f.col(FIRST).alias("_from"), f.col(LAST).alias("_to")
        )
        meet = (f.col(FIRST) <= f.col("_to")) & (f.col("_from") <= f.col(LAST))
        pairs = facts.join(f.broadcast(there), on=(f.col(on) == f.col("_on")) & meet, how="inner")
        return (
            pairs.withColumn(FIRST, f.greatest(FIRST, "_from"))
            .withColumn(LAST, f.least(LAST, "_to"))
            .drop("_on", "_from", "_to")
        )
