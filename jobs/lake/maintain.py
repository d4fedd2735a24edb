"""Upkeep of Delta tables: small files put together, files that no version needs removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyarrow import fs

from jobs.lake.table import Table
from jobs.lake.tables import Tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A reader of an older version, such as a training that was started before, may need its files.
KEEP_HOURS = 30 * 24


def compact(spark: SparkSession, tables: Tables) -> tuple[int, int]:
    """Compact and vacuum every table of a use case; gives bytes on disk before and after."""
    before = _bytes(tables.root)
    for table in _all(tables):
        if table.exists():
            spark.sql(f"OPTIMIZE delta.`{table.path}`")
            spark.sql(f"VACUUM delta.`{table.path}` RETAIN {KEEP_HOURS} HOURS")
    return before, _bytes(tables.root)


def _all(tables: Tables) -> list[Table]:
    sources = list(tables.plan.usecase.sources)
    return [
        *(tables.bronze(source) for source in sources),
        tables.ledger(),
        *(tables.silver(source) for source in sources),
        *(tables.quarantine(source) for source in sources),
        tables.features(),
        tables.labels(),
        tables.predictions(),
    ]


def _bytes(root: str) -> int:
    if "://" in root:
        system, path = fs.FileSystem.from_uri(root)
    else:
        system, path = fs.LocalFileSystem(), root
    found = system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
    return sum(info.size or 0 for info in found)
