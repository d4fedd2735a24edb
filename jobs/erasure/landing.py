"""Landing files without an entity, which ingest still knows."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

from pyspark.sql import functions as f

from jobs.context import Context
from jobs.erasure.entity import Entity
from jobs.erasure.leftover import content_of, left_out
from jobs.erasure.receipt import Progress
from jobs.erasure.rewriting import without
from jobs.ingest.landing import LandedFile, landed, landing_store
from jobs.ingest.ledger import seen
from jobs.ingest.text import Unreadable
from jobs.lake.local_rows import local_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def erase_landing(context: Context, entity: Entity, source: str, progress: Progress) -> None:
    """Rewrite the files that hold the entity, and let the ledger know them again."""
    spec = context.plan.usecase.sources[source]
    if spec.format.type == "delta":
        progress.note(f"landing of {source}: a Delta table of others, not touched", 0)
        return
    store = landing_store(context.plan)
    taken, changed = _files_in_bronze(context, entity, source), []
    known = seen(context.engine.session(), context.tables.ledger())[source].newest
    for file in landed(context.plan, source, None):
        try:
            content = content_of(store, file)
            less, gone = without(content, spec, file.batch_date, entity)
        except FileNotFoundError:
            continue
        except Unreadable as error:
            progress.leave(file.name, str(error))
            continue
        if gone:
            store.deliver(file.name, BytesIO(less), file.arrived_at)
            progress.note(f"landing {file.name}", gone)
        if gone or file.name in taken:
            # What was corrected under an old arrival came when it was taken.
            last = known.get(file.name)
            if last is not None and last[0] == hashlib.sha256(content).hexdigest():
                file = replace(file, arrived_at=last[1])
            changed.append((file, less))
    for name, why in left_out(context.plan, source, entity).items():
        progress.leave(name, why)
    if changed:
        _recognise(context, source, changed)


def _files_in_bronze(context: Context, entity: Entity, source: str) -> set[str]:
    bronze, spec = context.tables.bronze(source), context.plan.usecase.sources[source]
    rows = bronze.read(context.engine.session()).where(entity.in_bronze(spec.columns))
    return {row[0] for row in rows.select("_file").distinct().collect()}


def _recognise(context: Context, source: str, changed: list[tuple[LandedFile, bytes]]) -> None:
    """Put the new size and hash of rewritten files into the ledger and into bronze.

    Otherwise the next night would take them for corrections.
    """
    spark, tables = context.engine.session(), context.tables
    known = local_rows(
        spark,
        [
            (file.name, file.arrived_at, len(content), hashlib.sha256(content).hexdigest())
            for file, content in changed
        ],
        "_file string, _arrived_at timestamp, _size long, _hash string",
    )
    ledger, bronze = tables.ledger(), tables.bronze(source)
    of_source = f"source = '{source}'"
    entries = _joined(ledger.read(spark).where(of_source), known)
    ledger.replace(
        entries.withColumn("bytes", f.coalesce("_size", "bytes"))
        .withColumn("_sha256", f.coalesce("_hash", "_sha256"))
        .select(*ledger.schema.names),
        of_source,
    )
    if bronze.exists():
        days = bronze.of_dates(sorted({file.batch_date for file, _ in changed}))
        rows = _joined(bronze.read(spark).where(days), known)
        renamed = rows.withColumn("_sha256", f.coalesce("_hash", "_sha256"))
        bronze.replace(renamed.select(*bronze.schema.names), days)


def _joined(rows: DataFrame, known: DataFrame) -> DataFrame:
    return rows.join(f.broadcast(known), on=["_file", "_arrived_at"], how="left")
