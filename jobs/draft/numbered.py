"""A file whose rows nothing names, with their numbers."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TextIO

import pyarrow as pa
from pyarrow import parquet

from jobs.draft.sniff import Sheet, sheet
from jobs.errors import Refused
from jobs.ingest.text import Limits

NUMBER = "row_id"


def numbered(of: Sheet, folder: Path) -> Sheet:
    """A copy of a file in `folder`, with a first column `row_id` that counts its rows from 1.

    Nothing else is changed, nor the time at which the file was last written.

    Raises:
        Refused: it has such a column already, or what is counted are not the rows that are read.
    """
    if NUMBER in of.columns:
        raise Refused(
            f"{NUMBER} of {of.path.name} does not name its rows: values come twice or are missing.",
            "Mend it, or give the columns that name a row with --key.",
        )
    copy, form = folder / of.path.name, of.spec.format
    if form.type == "parquet":
        _number_table(of.path, copy)
    else:
        with _text(of.path, "rt", form.encoding) as read, _text(copy, "wt", form.encoding) as write:
            if form.type == "jsonl":
                write.writelines(_objects(read))
            else:
                write.writelines(_records(read, form.delimiter))
    at = of.path.stat()
    os.utime(copy, ns=(at.st_atime_ns, at.st_mtime_ns))
    found = sheet(copy, of.name)
    if found.rows.total != of.rows.total or not found.columns[NUMBER].is_unique:
        raise Refused(
            f"The rows of {of.path.name} cannot be numbered: it has {of.rows.total:,} rows, and "
            f"{found.rows.total:,} with their numbers.",
            "Add a column with an identifier to the file, or give the columns with --key.",
        )
    return found


def _number_table(path: Path, copy: Path) -> None:
    source, first = parquet.ParquetFile(path), 1
    schema = source.schema_arrow.insert(0, pa.field(NUMBER, pa.int64()))
    with parquet.ParquetWriter(copy, schema) as target:
        for batch in source.iter_batches():
            numbers = pa.array(range(first, first + batch.num_rows), pa.int64())
            target.write_batch(pa.record_batch([numbers, *batch.columns], schema=schema))
            first += batch.num_rows


def _text(path: Path, mode: Literal["rt", "wt"], encoding: str) -> TextIO:
    """A text with its line ends as they are."""
    if path.name.endswith(".gz"):
        return gzip.open(path, mode, encoding=encoding, newline="")
    return path.open(mode, encoding=encoding, newline="")


def _objects(lines: TextIO) -> Iterator[str]:
    number = 0
    for line in _unmarked(lines):
        blank, brace, rest = line.partition("{")
        if blank.strip() or not brace:
            # Of what is no object only the count goes on, as it does where it is read.
            number += bool(line.strip())
            yield line
            continue
        number += 1
        comma = "" if rest.lstrip().startswith("}") else ", "
        yield f'{blank}{{"{NUMBER}": {number}{comma}{rest}'


def _records(lines: TextIO, delimiter: str) -> Iterator[str]:
    """The lines of CSV, each record's first one with its number before it."""
    taken: list[str] = []

    def taking() -> Iterator[str]:
        for line in _unmarked(lines):
            taken.append(line)
            yield line

    number = -1
    csv.field_size_limit(Limits().record)
    for record in csv.reader(taking(), delimiter=delimiter):
        number += bool(record)
        before = f"{number or NUMBER}{delimiter}" if record else ""
        yield before + "".join(taken)
        taken.clear()


def _unmarked(lines: TextIO) -> Iterator[str]:
    """Lines without the mark of a byte order at their beginning, which belongs to no value."""
    for place, line in enumerate(lines):
        yield line if place else line.removeprefix("\ufeff")
