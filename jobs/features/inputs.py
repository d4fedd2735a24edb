"""What a use case's feature module is given."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyspark.sql import functions as f

from jobs.declared import DATE
from jobs.errors import WrongUsage
from jobs.features.known import FIRST, LAST, seen, seen_on
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
        """The entities of each prediction date as known at its cutoff, with `prediction_date`.

        Without a date they are of each of the dates that see them.
        """
        entity = self.usecase.entity
        if entity.date is None:
            listed = seen(self.silver[entity.source], self.usecase, self.late)
            first = f.greatest(FIRST, f.lit(self.dates.first))
            last = f.least(LAST, f.lit(self.dates.last))
            each = f.explode(f.sequence(first, last)).alias(DATE)
            return listed.where(first <= last).select("*", each).drop(FIRST, LAST)
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
        """The versions of a source with a date, with `_day` and the dates that see them."""
        spec = self.usecase.sources[source]
        if spec.date is None:
            raise WrongUsage(
                f"The features take {source} as a source of days, but it has no date.",
                "Give the source a `date` in the use-case file, or join it.",
            )
        # As in `entities`; a row's date is its file's, or conform would not have let it through.
        day = f.col("_batch_date" if spec.is_daily else spec.date)
        return seen(self.silver[source], self.usecase, self.late).withColumn("_day", day)

    def versions(self, source: str) -> DataFrame:
        """A source's versions with the dates that see them.

        Of a daily source a date sees the days from `features.history` before it, and not what was
        delivered for later ones, however many other days are at hand.
        """
        found = seen(self.silver[source], self.usecase, self.late)
        if not self.usecase.sources[source].is_daily:
            return found
        until = f.date_add("_batch_date", self.usecase.features.history)
        return found.withColumn(FIRST, f.greatest(FIRST, "_batch_date")).withColumn(
            LAST, f.least(f.col(LAST), until)
        )

    def looked_up(
        self, rows: DataFrame, source: str, by: Mapping[str, str], columns: Mapping[str, str]
    ) -> DataFrame:
        """`rows` with columns of a source as each row's `prediction_date` sees it, or null.

        Args:
            by: columns of `rows`, each with the column of the source's key that is equal to it.
            columns: by new names, columns of the source.
        """
        there = self.versions(source).select(
            *[f.col(theirs).alias(f"_on_{place}") for place, theirs in enumerate(by.values())],
            *[f.col(theirs).alias(name) for name, theirs in columns.items()],
            FIRST,
            LAST,
        )
        same = [f.col(mine) == f.col(f"_on_{place}") for place, mine in enumerate(by)]
        known = f.col(DATE).between(f.col(FIRST), f.col(LAST))
        found = rows.join(there, on=[*same, known], how="left")
        return found.select(*rows.columns, *columns)

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
