"""Bronze to silver and quarantine: a pure function of the bronze rows and the declaration.

Silver keeps versions. A key that comes again with other values, in a file that arrived later,
ends the version before it; with the same values it is a redelivery and leaves no trace. A key
that a newer snapshot no longer has stays known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as f

from jobs.conform.rules import checks, fails, typed
from jobs.lake.tables import ORIGIN
from jobs.usecase import Source

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame

ORIGINS = [column.name for column in ORIGIN]


@dataclass(frozen=True)
class Conformed:
    """Rows that passed, by version, and one row for each rule that a row failed."""

    silver: DataFrame
    quarantine: DataFrame


def conform(bronze: DataFrame, spec: Source, *, unique: bool = False) -> Conformed:
    """Type, check and version all bronze rows of some batch dates (or of a whole snapshot).

    Rules by name: `malformed`, `required`, `type`, `range`, `set`, `pattern`, `wrong_date`,
    declared rules, and `duplicate_key`: a key that comes twice with one arrival, of which the
    first record stays.

    Args:
        unique: no key comes twice, so that there are no versions to tell apart. Saves a sort.
    """
    rows = _typed(bronze, spec)
    good = rows.where(~f.col("_fails"))
    failed = _failed(rows.where("_fails"), spec)
    if unique:
        ended = good.withColumn("_superseded_at", f.lit(None).cast("timestamp"))
        return Conformed(_silver(ended, spec), failed)
    repeats = f.lag("_arrived_at").over(_versions(spec)) == f.col("_arrived_at")
    marked = good.withColumn("_repeats", f.coalesce(repeats, f.lit(False)))
    return Conformed(
        _silver(_versioned(marked.where(~f.col("_repeats")), spec), spec),
        failed.unionByName(_duplicates(marked.where("_repeats"), spec)),
    )


def repeated(bronze: DataFrame, spec: Source) -> DataFrame:
    """The `_batch_date`s in which a key may come twice: all that do, and seldom one more."""
    keys = [typed(name, spec.columns[name]) for name in spec.key]
    place = [f.col("_batch_date")] if spec.arrives.as_ == "daily" else []
    # One number to group by is much cheaper than the columns; a collision only costs a sort.
    hashed = f.xxhash64(*place, *keys).alias("key")
    rows = bronze.where("_malformed is null").select("_batch_date", hashed)
    counted = rows.groupBy("key").agg(f.count("*").alias("n"), f.max("_batch_date").alias("last"))
    return counted.where("n > 1").select(f.col("last").alias("_batch_date")).distinct()


def _typed(bronze: DataFrame, spec: Source) -> DataFrame:
    rows = bronze.select(
        *[typed(name, column).alias(name) for name, column in spec.columns.items()],
        *[f.col(name).alias(f"_text_{name}") for name in spec.columns],
        "_malformed",
        *ORIGINS,
    )
    # Spark would move a filter below the casts, and so cast again for every rule. It leaves one
    # alone that is not deterministic, and no row's number is negative.
    pinned = f.monotonically_increasing_id() < 0
    return rows.withColumn("_fails", fails(spec) | pinned)


def _failed(rows: DataFrame, spec: Source) -> DataFrame:
    malformed = f.col("_malformed").isNotNull()
    broken = _failure("malformed", "", f.col("_malformed"))
    ways = [
        f.when(check.fails, _failure(check.rule, check.column, check.value))
        for check in checks(spec)
    ]
    found = f.when(malformed, f.array(broken)).otherwise(f.array_compact(f.array(*ways)))
    return _quarantine(rows.withColumn("_failure", f.explode(found)), spec)


def _duplicates(rows: DataFrame, spec: Source) -> DataFrame:
    key = f.to_json(f.struct(*[f.col(f"_text_{name}").alias(name) for name in spec.key]))
    return _quarantine(rows.withColumn("_failure", _failure("duplicate_key", "", key)), spec)


def _failure(rule: str, column: str, value: Expression) -> Expression:
    return f.struct(
        f.lit(rule).alias("rule"),
        f.lit(column or None).cast("string").alias("column"),
        value.alias("value"),
    )


def _quarantine(rows: DataFrame, spec: Source) -> DataFrame:
    texts = [f.col(f"_text_{name}").alias(name) for name in spec.columns]
    whole = f.to_json(f.struct(*texts, "_malformed"), {"ignoreNullFields": "false"})
    return rows.select(
        "_failure.rule", "_failure.column", "_failure.value", whole.alias("row"), *ORIGINS
    )


def _versioned(rows: DataFrame, spec: Source) -> DataFrame:
    values = f.struct(*[name for name in spec.columns if name not in spec.key])
    before = f.lag(values).over(_versions(spec))
    place = f.row_number().over(_versions(spec))
    changed = (place == 1) | ~values.eqNullSafe(before)
    kept = rows.withColumn("_changed", changed).where("_changed")
    return kept.withColumn("_superseded_at", f.lead("_arrived_at").over(_versions(spec)))


def _versions(spec: Source):  # type: ignore[no-untyped-def]  # WindowSpec differs over Connect
    place = ["_batch_date"] if spec.arrives.as_ == "daily" else []
    return Window.partitionBy(*place, *spec.key).orderBy("_arrived_at", "_file", "_row")


def _silver(rows: DataFrame, spec: Source) -> DataFrame:
    return rows.select(*spec.columns, *ORIGINS, "_superseded_at")
