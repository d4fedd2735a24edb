"""A landed file's records as Arrow batches of text, whatever its format.

Each batch has every declared column as text, then `_extra`, `_malformed` and `_row`: the number of
the record in its file, from 1.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

import pyarrow as pa

from jobs.ingest import delimited, jsonlines, parquet
from jobs.ingest.text import Limits
from jobs.usecase import Source

Reader = Callable[[BinaryIO, str, int, Source, dt.date, Limits], Iterator[pa.RecordBatch]]

READERS: Mapping[str, Reader] = {
    "csv": delimited.batches,
    "jsonl": jsonlines.batches,
    "parquet": parquet.batches,
}


def batches(
    raw: BinaryIO, name: str, size: int, spec: Source, day: dt.date, limits: Limits
) -> Iterator[pa.RecordBatch]:
    """The records of a file.

    Args:
        raw: its bytes as stored, from the first one.
        size: how many there are.
        day: the file's batch date, which says what columns it must have.

    Raises:
        Unreadable: the file as a whole cannot be taken in. Batches that came before that do
            not count.
    """
    return READERS[spec.format.type](raw, name, size, spec, day, limits)
