"""CSV and its like, gzipped or not.

Records are numbered from 1 after the header; blank lines do not count. A record that cannot be
split into the declared columns is kept whole, as text, in `_malformed`.
"""

from __future__ import annotations

import csv as python_csv
import datetime as dt
import json
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from jobs.ingest import drift
from jobs.ingest.drift import Layout
from jobs.ingest.text import Limits, Text, Unreadable, shortened
from jobs.usecase import Source


def batches(
    raw: BinaryIO, name: str, size: int, spec: Source, day: dt.date, limits: Limits
) -> Iterator[pa.RecordBatch]:
    """The records of a file; see `jobs.ingest.records.batches`."""
    if size == 0:
        raise Unreadable("is empty (0 bytes)")
    text = Text(raw, name, size, spec.format.encoding, limits)
    split = _Split(spec, text.limits)
    reader = _open(text, spec, split)
    layout = _layout(reader.schema.names, spec, day)
    last = None
    for batch in _each(reader, text):
        last = batch if batch.num_rows else last
        yield from split.numbered(_declared(batch, layout))
    yield from split.rest()
    _check_end(text, spec, split, last)


def _layout(found: list[str], spec: Source, day: dt.date) -> Layout:
    if len(found) == 1 and len(spec.columns) > 1:
        raise Unreadable(f"has one column only; is its delimiter {spec.format.delimiter!r}?")
    return drift.layout(found, spec, day)


def _declared(batch: pa.RecordBatch, layout: Layout) -> pa.RecordBatch:
    """The declared columns and `_extra`."""
    rows = batch.num_rows
    columns = [
        pa.nulls(rows, pa.string()) if header is None else batch[header]
        for header in layout.columns.values()
    ]
    extra = pa.nulls(rows, pa.string())
    if layout.extra:
        others = batch.select(list(layout.extra)).to_pylist()
        extra = pa.array([json.dumps(row) for row in others], pa.string())
    return pa.RecordBatch.from_arrays([*columns, extra], names=[*layout.columns, "_extra"])


def _open(text: Text, spec: Source, split: _Split) -> csv.CSVStreamingReader:
    headers = drift.headers(spec)
    if spec.drift == "keep_extra":
        # Arrow would guess the types of columns that it is not told of.
        line = text.first_line().decode()
        headers += next(python_csv.reader([line], delimiter=spec.format.delimiter), [])
    try:
        return csv.open_csv(
            pa.PythonFile(text, mode="r"),
            csv.ReadOptions(use_threads=False, block_size=text.limits.record),
            csv.ParseOptions(
                delimiter=spec.format.delimiter,
                newlines_in_values=True,
                invalid_row_handler=split.keep,
            ),
            csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(headers, pa.string()),
                null_values=list(spec.format.nothing),
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            raise Unreadable(_parse_error(error, text)) from error
        if not text.ends_with_newline:
            raise Unreadable(text.cut_off()) from error
        raise Unreadable("has no header: it holds blank lines only") from error


def _each(reader: csv.CSVStreamingReader, text: Text) -> Iterator[pa.RecordBatch]:
    try:
        yield from reader
    except pa.ArrowInvalid as error:
        raise Unreadable(_parse_error(error, text)) from error


def _parse_error(error: pa.ArrowInvalid, text: Text) -> str:
    if "straddling" in str(error):
        return (
            f"holds a record of more than {text.limits.record:,} bytes; is there a quote that "
            "never closes?"
        )
    return f"cannot be split into records ({error})"


def _check_end(text: Text, spec: Source, split: _Split, last: pa.RecordBatch | None) -> None:
    if not text.ends_with_newline and spec.format.final_newline == "required":
        raise Unreadable(text.cut_off())
    if split.records == 0:
        raise Unreadable("has a header but no rows")
    if text.quotes % 2 and split.ends_inside_lines(last):
        raise Unreadable(f"opens a quote in record {split.records:,} that never closes")


class _Split:
    """Numbers the records of one file, and keeps those that could not be split."""

    def __init__(self, spec: Source, limits: Limits) -> None:
        names = [*spec.columns, "_extra", "_malformed"]
        self.schema = pa.schema([*((name, pa.string()) for name in names), ("_row", pa.int64())])
        self.limits = limits
        self.records = 0
        self.last_text = ""
        self._waiting: list[tuple[int, str]] = []
        self._skipped: set[int] = set()

    def keep(self, row: csv.InvalidRow) -> str:
        # Arrow counts the header as row 1.
        number = row.number - 1
        fields = f"{row.actual_columns} fields instead of {row.expected_columns}"
        self._waiting.append((number, f"{fields}: {shortened(row.text)}"))
        self._skipped.add(number)
        self.last_text = row.text
        return "skip"

    def numbered(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        numbers = self._numbers(batch.num_rows)
        kept = pa.RecordBatch.from_arrays(
            [*batch.columns, pa.nulls(batch.num_rows, pa.string()), numbers], schema=self.schema
        )
        if batch.num_rows:
            yield self._without_huge(kept)
        yield from self._malformed()

    def rest(self) -> Iterator[pa.RecordBatch]:
        """Malformed records after the last good one."""
        self.records = max([self.records, *self._skipped])
        yield from self._malformed()

    def ends_inside_lines(self, last: pa.RecordBatch | None) -> bool:
        """Whether the file's last record spans several lines."""
        if self.records in self._skipped:
            return "\n" in self.last_text
        ends = [column[-1].as_py() for column in last.columns] if last is not None else []
        return any("\n" in (value or "") for value in ends)

    def _numbers(self, rows: int) -> pa.Array:
        # Arrow parses ahead, so records of later blocks can be among the skipped ones already.
        skipped = np.array([number for number in self._skipped if number > self.records], np.int64)
        numbers = np.arange(self.records + 1, self.records + 1 + rows + len(skipped))
        if len(skipped):
            numbers = np.setdiff1d(numbers, skipped, assume_unique=True)[:rows]
        self.records = int(numbers[-1]) if rows else self.records
        return pa.array(numbers, pa.int64())

    def _without_huge(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Take records with a field beyond the limit out, and keep the beginning of that field."""
        if batch.nbytes <= self.limits.value:
            return batch
        huge: dict[int, str] = {}
        for name in batch.schema.names[:-2]:
            lengths = pc.binary_length(batch[name])
            for at in pc.indices_nonzero(pc.greater(lengths, self.limits.value)).to_pylist():
                value = batch[name][at].as_py()
                size = len(value.encode())
                huge[at] = f"field {name} holds {size:,} bytes: {shortened(value)}"
        if not huge:
            return batch
        self._waiting += [(batch["_row"][at].as_py(), text) for at, text in huge.items()]
        return batch.filter(pa.array([at not in huge for at in range(batch.num_rows)]))

    def _malformed(self) -> Iterator[pa.RecordBatch]:
        if not self._waiting:
            return
        numbers, texts = zip(*self._waiting, strict=True)
        self._waiting = []
        columns = len(self.schema) - 2
        yield pa.RecordBatch.from_arrays(
            [
                *(pa.nulls(len(numbers), pa.string()) for _ in range(columns)),
                pa.array(texts, pa.string()),
                pa.array(numbers, pa.int64()),
            ],
            schema=self.schema,
        )
