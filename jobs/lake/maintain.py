"""Upkeep of Delta tables: small files put together, files that no version needs removed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from jobs.lake import files
from jobs.lake.moments import now
from jobs.lake.parallel import side_by_side
from jobs.lake.table import Table
from jobs.lake.tables import Tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A reader of an older version, such as a training that was started before, may need its files.
KEEP_HOURS = 30 * 24
MICROSECONDS_AN_HOUR = 3_600_000_000


def compact(
    spark: SparkSession, tables: Tables, keep_hours: Mapping[str, int]
) -> Mapping[str, tuple[int, int]]:
    """Compact and vacuum every table of a use case; gives bytes on disk before and after by layer.

    Args:
        keep_hours: by table name, for how many hours the files of older versions stay, where that
            is longer than usual.
    """
    before = _bytes(tables)

    def upkeep(table: Table) -> None:
        if table.exists():
            hours = max(KEEP_HOURS, keep_hours.get(table.name, 0))
            spark.sql(f"OPTIMIZE delta.`{table.path}`")
            spark.sql(f"VACUUM delta.`{table.path}` RETAIN {hours} HOURS")
        _forget_staged(tables, table)

    side_by_side(everything(tables, tables.plan.usecase.sources), upkeep)
    after = _bytes(tables)
    return {layer: (size, after.get(layer, 0)) for layer, size in before.items()}


def everything(tables: Tables, sources: Iterable[str]) -> list[Table]:
    """Every table of some sources, and of what is made of all of them."""
    sources = list(sources)
    return [
        *(tables.bronze(source) for source in sources),
        tables.ledger(),
        *(tables.silver(source) for source in sources),
        *(tables.quarantine(source) for source in sources),
        tables.features(),
        tables.labels(),
        tables.predictions(),
    ]


def _forget_staged(tables: Tables, table: Table) -> None:
    """What was staged so long ago that nobody inspects it any more, or was committed then."""
    folder = tables.staged(table, "any").path.rsplit("/", 1)[0]
    for path in files.list_folder(folder):
        staged = tables.staged(table, path.rsplit("/", 1)[1])
        if now() - staged.staged_at() > KEEP_HOURS * MICROSECONDS_AN_HOUR:
            staged.discard()


def _bytes(tables: Tables) -> dict[str, int]:
    layers = ("bronze", "silver", "quarantine", "gold", "_staging")
    return {layer: files.size(f"{tables.root}/{layer}") for layer in layers}
