"""Bronze to silver and quarantine: a pure function of the bronze rows and the declaration.

Silver keeps versions. A key that comes again with other values, in a file that arrived later,
ends the version before it; with the same values it is a redelivery and leaves no trace. A key
that the newer content of its file no longer has ends when that content arrived. A key that a
newer file of a snapshot no longer has stays known.

A row arrived when its file did. Where the source says when its rows could be known, the first
version of a key counts from then, if that was earlier; what corrects it counts from its arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as f
from pyspark.sql.types import DateType, LongType, StringType, StructField, StructType

from jobs.conform.rules import FOUND, checks, fails, typed
from jobs.conform.since import known_at
from jobs.lake.deliveries import Delivered
from jobs.lake.local_rows import local_rows
from jobs.lake.tables import ORIGIN
from jobs.usecase import Source

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame

ORIGINS = [column.name for column in ORIGIN]
CONTENTS = StructType(
    [
        StructField("_batch_date", DateType()),
        StructField("_file", StringType()),
        StructField("_micros", LongType()),
        StructField("_next", LongType()),
    ]
)


@dataclass(frozen=True)
class Conformed:
    """Rows that passed, by version, and one row for each rule that a row failed."""

    silver: DataFrame
    quarantine: DataFrame


def conform(
    bronze: DataFrame,
    spec: Source,
    *,
    once: bool = False,
    known: Mapping[str, DataFrame] | None = None,
    replaced: Iterable[tuple[Delivered, int]] = (),
    zone: str = "UTC",
) -> Conformed:
    """Type, check and version all bronze rows of some batch dates (or of a whole snapshot).

    Rules by name: `malformed`, `required`, `type`, `range`, `set`, `pattern`, `reference`,
    `wrong_date`, declared rules, then `unique` and `duplicate_key`: of records that share what
    they must not, with one arrival, the first stays.

    Args:
        once: no key comes twice, so that there are no versions to tell apart. Saves a sort.
        known: for each column with a reference, the values it may have, as one column.
        replaced: contents with newer content of the same file, and when that arrived.
        zone: the time zone of dates since which rows could be known.

    Raises:
        Refused: the source's `known` is neither a date nor a timestamp.
    """
    rows = _typed(bronze, spec, known or {})
    failed = _failed(rows.where("_fails"), spec)
    good, shared = _unique(rows.where(~f.col("_fails")), spec)
    if shared is not None:
        failed = failed.unionByName(shared)
    if once:
        since = good.withColumn("_arrived_at", known_at(good, spec, zone))
        ended = since.withColumn("_superseded_at", f.lit(None).cast("timestamp"))
        return Conformed(_silver(ended, spec), failed)
    repeats = f.lag("_arrived_at").over(_versions(spec)) == f.col("_arrived_at")
    marked = good.withColumn("_gone", f.lit(False)).withColumn(
        "_repeats", f.coalesce(repeats, f.lit(False))
    )
    kept = marked.where(~f.col("_repeats"))
    return Conformed(
        _silver(_versioned(_with_withdrawals(kept, spec, list(replaced)), spec, zone), spec),
        failed.unionByName(_shared(marked.where("_repeats"), spec, "duplicate_key", spec.key)),
    )


def repeated(bronze: DataFrame, spec: Source) -> DataFrame:
    """The `_batch_date`s in which a key may come twice: all that do, and seldom one more."""
    keys = [typed(name, spec.columns[name]) for name in spec.key]
    # One number to group by is much cheaper than the columns; a collision only costs a sort.
    hashed = f.xxhash64(*_place(spec), *keys).alias("key")
    rows = bronze.where("_malformed is null").select("_batch_date", hashed)
    counted = rows.groupBy("key").agg(f.count("*").alias("n"), f.max("_batch_date").alias("last"))
    return counted.where("n > 1").select(f.col("last").alias("_batch_date")).distinct()


def _typed(bronze: DataFrame, spec: Source, known: Mapping[str, DataFrame]) -> DataFrame:
    rows = bronze.select(
        *[typed(name, column).alias(name) for name, column in spec.columns.items()],
        *[f.col(name).alias(f"_text_{name}") for name in spec.columns],
        "_malformed",
        *ORIGINS,
    )
    for name, values in known.items():
        listed = values.toDF("_value").distinct().withColumn(FOUND + name, f.lit(True))
        same = f.col(name) == f.col("_value")
        rows = rows.join(f.broadcast(listed), on=same, how="left").drop("_value")
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


def _unique(rows: DataFrame, spec: Source) -> tuple[DataFrame, DataFrame | None]:
    """The rows that share nothing they must not, and the failures of the others."""
    failed: DataFrame | None = None
    for columns in spec.unique:
        window = Window.partitionBy("_batch_date", "_file", "_arrived_at", *columns)
        told = f.greatest(*[f.col(name).isNull() for name in columns], f.lit(False))
        place = f.row_number().over(window.orderBy("_row"))
        marked = rows.withColumn("_shares", (place > 1) & ~told)
        found = _shared(marked.where("_shares"), spec, "unique", columns)
        failed = found if failed is None else failed.unionByName(found)
        rows = marked.where(~f.col("_shares")).drop("_shares")
    return rows, failed


def _shared(rows: DataFrame, spec: Source, rule: str, columns: Iterable[str]) -> DataFrame:
    names = list(columns)
    values = f.to_json(f.struct(*[f.col(f"_text_{name}").alias(name) for name in names]))
    # The key is no column; of other columns the failure says which they are.
    column = "" if rule == "duplicate_key" else ", ".join(names)
    return _quarantine(rows.withColumn("_failure", _failure(rule, column, values)), spec)


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


def _with_withdrawals(
    rows: DataFrame, spec: Source, replaced: list[tuple[Delivered, int]]
) -> DataFrame:
    """The rows, and one marked `_gone` for each key that the newer content of its file lacks."""
    if not replaced:
        return rows
    contents = local_rows(
        rows.sparkSession,
        [(old.batch_date, old.file, old.arrived_at, then) for old, then in replaced],
        CONTENTS,
    )
    of_file = Window.partitionBy(*_place(spec), *spec.key, "_file").orderBy("_arrived_at")
    numbered = rows.withColumn("_micros", f.unix_micros("_arrived_at"))
    again = f.lead("_micros").over(of_file)
    dated = numbered.join(
        f.broadcast(contents), on=["_batch_date", "_file", "_micros"], how="left"
    ).withColumn("_again", again)
    gone = dated.where("_next is not null and not (_again <=> _next)")
    ends = gone.withColumn("_arrived_at", f.timestamp_micros("_next")).withColumn(
        "_gone", f.lit(True)
    )
    both = rows.unionByName(ends.select(*rows.columns))
    # Another file may have given the key in the meantime; then it is not this one's to take away.
    source = f.when(~f.col("_gone"), f.col("_file"))
    before = _versions(spec).rowsBetween(Window.unboundedPreceding, -1)
    given_by = f.last(source, ignorenulls=True).over(before)
    marked = both.withColumn("_given_by", given_by)
    return marked.where(~f.col("_gone") | (f.col("_given_by") == f.col("_file"))).drop("_given_by")


def _versioned(rows: DataFrame, spec: Source, zone: str) -> DataFrame:
    values = f.struct("_gone", *[name for name in spec.columns if name not in spec.key])
    before = f.lag(values).over(_versions(spec))
    place = f.row_number().over(_versions(spec))
    changed = (place == 1) | ~values.eqNullSafe(before)
    first = rows.withColumn("_first", place == 1)
    kept = first.withColumn("_changed", changed).where("_changed")
    ended = kept.withColumn("_superseded_at", f.lead("_arrived_at").over(_versions(spec)))
    since = f.when(f.col("_first"), known_at(rows, spec, zone)).otherwise(f.col("_arrived_at"))
    return ended.where(~f.col("_gone")).withColumn("_arrived_at", since)


def _place(spec: Source) -> list[Expression]:
    """A key of a daily source names a row of one day, that of a snapshot a row of all."""
    return [f.col("_batch_date")] if spec.is_daily else []


def _versions(spec: Source):  # type: ignore[no-untyped-def]  # WindowSpec differs over Connect
    # What is taken away at a moment goes before what is given at it.
    order = (f.col("_arrived_at"), f.desc("_gone"), f.col("_file"), f.col("_row"))
    return Window.partitionBy(*_place(spec), *spec.key).orderBy(*order)


def _silver(rows: DataFrame, spec: Source) -> DataFrame:
    return rows.select(*spec.columns, *ORIGINS, "_superseded_at")
