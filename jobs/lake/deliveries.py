"""What the ledger says was taken in: which content of which file, for which day."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from pyspark.sql import functions as f

from jobs.lake.tables import Tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Delivered:
    """One file's content in bronze; `arrived_at` is in microseconds since 1970."""

    batch_date: dt.date
    file: str
    arrived_at: int
    rows: int


def taken(spark: SparkSession, tables: Tables) -> Mapping[str, list[Delivered]]:
    """Every content taken into bronze, by source; a source without any has an empty list."""
    found: dict[str, list[Delivered]] = defaultdict(list)
    ledger = tables.ledger()
    if not ledger.exists():
        return found
    # A moment as a number: the process's own time zone has an hour that is ambiguous.
    micros = f.unix_micros("_arrived_at")
    rows = ledger.read(spark).where("outcome = 'taken'")
    for row in rows.select("source", "_batch_date", "_file", micros, "rows").distinct().collect():
        found[row[0]].append(Delivered(row[1], row[2], row[3], row[4]))
    return found


def replaced(delivered: Iterable[Delivered]) -> list[tuple[Delivered, int]]:
    """The contents that newer content of the same file has replaced, and when that arrived."""
    by_file: dict[str, list[Delivered]] = defaultdict(list)
    for each in delivered:
        by_file[each.file].append(each)
    found = []
    for contents in by_file.values():
        contents.sort(key=lambda each: each.arrived_at)
        found += [(old, new.arrived_at) for old, new in pairwise(contents)]
    return found
