"""The tables of one use case, derived from its declaration.

Names that begin with an underscore are the platform's: where a row came from (`_file`, `_row`),
when it could be known (`_arrived_at`), and until when it was the newest version of its key
(`_superseded_at`, null while it is). A version is known at moment t if
`_arrived_at < t and (_superseded_at is null or _superseded_at >= t)`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from jobs.lake.staging import Staged
from jobs.lake.table import Table
from jobs.plan import Plan
from jobs.transforms.step import Kind

TYPES: dict[str, DataType] = {
    "string": StringType(),
    "integer": LongType(),
    "number": DoubleType(),
    "boolean": BooleanType(),
    "date": DateType(),
    "timestamp": TimestampType(),
}

# Of features, by kind.
FEATURE_TYPES: dict[Kind, DataType] = {
    "number": DoubleType(),
    "category": StringType(),
    "timestamp": TimestampType(),
    "text": StringType(),
}

# Where a bronze or silver row came from, and when it arrived.
ORIGIN = [
    StructField("_batch_date", DateType()),
    StructField("_arrived_at", TimestampType()),
    StructField("_file", StringType()),
    StructField("_row", LongType()),
]


@dataclass(frozen=True)
class Tables:
    """Every table of a plan's use case."""

    plan: Plan

    @property
    def root(self) -> str:
        return f"{self.plan.settings.lake}/{self.plan.name}"

    def bronze(self, source: str) -> Table:
        """As it arrived: every declared column as text, one content of a file after another.

        `_sha256` is the file's content hash; `_malformed` holds the text of a record that could
        not be split into the declared columns, which are then null; `_extra` has the columns that
        nobody declared as a JSON object, where the source keeps them.
        """
        columns = [StructField(name, StringType()) for name in self._columns(source)]
        extra = [StructField(name, StringType()) for name in ("_extra", "_malformed", "_sha256")]
        return Table(
            name=f"bronze.{source}",
            path=f"{self.root}/bronze/{source}",
            schema=StructType([*columns, *ORIGIN, *extra]),
            key=("_file", "_arrived_at", "_row"),
            partition=("_batch_date",),
        )

    def ledger(self) -> Table:
        """Every file ever looked at: taken, or not and why.

        `outcome` is `taken`, `duplicate`, `unchanged` or `refused`; `bytes` is the size as
        delivered.
        """
        return Table(
            name="bronze.ledger",
            path=f"{self.root}/bronze/_ledger",
            schema=StructType(
                [
                    StructField("source", StringType()),
                    StructField("_file", StringType()),
                    StructField("_sha256", StringType()),
                    StructField("bytes", LongType()),
                    StructField("rows", LongType()),
                    StructField("_batch_date", DateType()),
                    StructField("_arrived_at", TimestampType()),
                    StructField("outcome", StringType()),
                    StructField("reason", StringType()),
                    StructField("seen_at", TimestampType()),
                ]
            ),
            key=("source", "_file", "_sha256"),
            partition=("source",),
        )

    def silver(self, source: str) -> Table:
        """Typed and checked: one row per key and version."""
        spec = self.plan.usecase.sources[source]
        columns = [StructField(n, TYPES[c.type]) for n, c in spec.columns.items()]
        return Table(
            name=f"silver.{source}",
            path=f"{self.root}/silver/{source}",
            schema=StructType([*columns, *ORIGIN, StructField("_superseded_at", TimestampType())]),
            key=(*spec.key, "_arrived_at"),
            partition=("_batch_date",) if spec.is_daily else (),
        )

    def quarantine(self, source: str) -> Table:
        """One row per row and rule that it failed; `row` is the bronze row as JSON."""
        daily = self.plan.usecase.sources[source].is_daily
        return Table(
            name=f"quarantine.{source}",
            path=f"{self.root}/quarantine/{source}",
            schema=StructType(
                [
                    StructField("rule", StringType()),
                    StructField("column", StringType()),
                    StructField("value", StringType()),
                    StructField("row", StringType()),
                    *ORIGIN,
                ]
            ),
            key=("_file", "_row", "_arrived_at", "rule", "column"),
            partition=("_batch_date",) if daily else (),
        )

    def features(self) -> Table:
        """One row per entity per prediction date, from what was known at its cutoff."""
        spec, key = self.plan.usecase.features, self.plan.usecase.entity.key
        # A feature that is also part of the key is there once.
        return Table(
            name="gold.features",
            path=f"{self.root}/gold/features",
            schema=StructType(
                [
                    *self._key(),
                    StructField("prediction_date", DateType()),
                    *[
                        StructField(name, FEATURE_TYPES[kind])
                        for name, kind in spec.kinds.items()
                        if name not in key
                    ],
                    StructField("_cutoff_at", TimestampType()),
                ]
            ),
            key=self.plan.usecase.entity.unique,
            partition=("prediction_date",),
            keeps_versions=True,
        )

    def labels(self) -> Table:
        """One row per entity and version of its label; `matured_at` is when it is final.

        Of an entity without a date `prediction_date` is the first one whose cutoff the label was
        known at.
        """
        return Table(
            name="gold.labels",
            path=f"{self.root}/gold/labels",
            schema=StructType(
                [
                    *self._key(),
                    StructField("prediction_date", DateType()),
                    StructField("label", TYPES[self.plan.usecase.label.kind.label]),
                    StructField("matured_at", TimestampType()),
                    StructField("_arrived_at", TimestampType()),
                    StructField("_superseded_at", TimestampType()),
                ]
            ),
            key=(*self.plan.usecase.entity.unique, "_arrived_at"),
            partition=("prediction_date",),
            keeps_versions=True,
        )

    def predictions(self) -> Table:
        """Every score: one row per entity, prediction date and model version.

        Of binary labels `score` is the calibrated probability of yes, and `prediction` whether it
        reaches the threshold; of regression both are the predicted number, and `low` and `high` the
        ends of its interval, if there is one. Of several classes `prediction` is the likeliest one,
        or that of least expected cost, and `score` its probability, and each class has a column
        `score_CLASS`.
        """
        usecase = self.plan.usecase
        kinds = usecase.features.kinds
        extra = [StructField(n, FEATURE_TYPES[kinds[n]]) for n in usecase.predict.columns]
        return Table(
            name="gold.predictions",
            path=f"{self.root}/gold/predictions",
            schema=StructType(
                [
                    *self._key(),
                    StructField("prediction_date", DateType()),
                    StructField("score", DoubleType()),
                    StructField("prediction", TYPES[usecase.label.kind.prediction]),
                    *[StructField(name, DoubleType()) for name in usecase.label.score_columns],
                    *[StructField(name, DoubleType()) for name in usecase.predict.ends],
                    *extra,
                    StructField("model_version", IntegerType()),
                    StructField("scored_at", TimestampType()),
                ]
            ),
            key=(*usecase.entity.unique, "model_version"),
            partition=("prediction_date", "model_version"),
        )

    def staged(self, table: Table, batch: str) -> Staged:
        """The staging place of `table` for one batch of dates."""
        return Staged(table, f"{self.root}/_staging", batch)

    def _columns(self, source: str) -> list[str]:
        return list(self.plan.usecase.sources[source].columns)

    def _key(self) -> list[StructField]:
        entity = self.plan.usecase.entity
        columns = self.plan.usecase.sources[entity.source].columns
        return [StructField(name, TYPES[columns[name].type]) for name in entity.key]
