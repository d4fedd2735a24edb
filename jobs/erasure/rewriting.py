"""A landing file without the records of one entity, and otherwise byte for byte as it was."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa
from pyarrow import parquet

from jobs.ingest.jsonlines import text_of
from jobs.ingest.records import batches
from jobs.ingest.text import GZIP, Limits, Unreadable
from jobs.usecase import Source

# Of a record's declared columns as text, and the whole record as it is written.
Belongs = Callable[[Mapping[str, str | None], str], bool]


def without(content: bytes, spec: Source, day: dt.date, belongs: Belongs) -> tuple[bytes, int]:
    """The file's content without the records that belong to an entity, and how many they were.

    A file that holds none is given back as it is, also one that cannot be read.

    Args:
        content: as stored, packed or not.
        day: the file's batch date.
        belongs: says of a record whether it is the entity's. It is given the declared columns as
            text, None for one that the record lacks; or no columns at all for a record that
            cannot be split, and in each case the record as it is written.
    """
    if spec.format.type == "parquet":
        return _parquet(content, spec, day, belongs)
    packed = content.startswith(GZIP)
    try:
        text = (gzip.decompress(content) if packed else content).decode(spec.format.encoding)
    except (OSError, EOFError, UnicodeError):
        return content, 0
    records = _json_lines(text, spec) if spec.format.type == "jsonl" else _csv(text, spec)
    kept, gone = [], 0
    for row, raw in records:
        if row is not None and belongs(row, raw):
            gone += 1
        else:
            kept.append(raw)
    if not gone:
        return content, 0
    whole = "".join(kept).encode(spec.format.encoding)
    return gzip.compress(whole) if packed else whole, gone


def _csv(text: str, spec: Source) -> Iterator[tuple[dict[str, str | None] | None, str]]:
    """Each record by declared column (None for the header), and its very characters."""
    taken: list[str] = []
    lines = io.StringIO(text, newline="")

    def told() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    reader = csv.reader(told(), delimiter=spec.format.delimiter)
    header: list[str] = []
    # Larger than any file: what is too large to be a value, ingest says.
    before = csv.field_size_limit(sys.maxsize)
    try:
        while True:
            try:
                record = next(reader)
            except StopIteration:
                break
            except csv.Error:
                record = []
            raw = "".join(taken)
            taken.clear()
            if not header and record:
                header = [name.removeprefix("\ufeff") for name in record]
                yield None, raw
            elif len(record) == len(header):
                yield _declared(dict(zip(header, record, strict=True)), spec), raw
            else:
                yield {}, raw
    finally:
        csv.field_size_limit(before)
    if taken:
        yield {}, "".join(taken)


def _declared(found: Mapping[str, str | None], spec: Source) -> dict[str, str | None]:
    """A record by declared column; None for a column that it lacks."""
    return {
        name: next((found[each] for each in column.headers(name) if each in found), None)
        for name, column in spec.columns.items()
    }


def _json_lines(text: str, spec: Source) -> Iterator[tuple[dict[str, str | None] | None, str]]:
    for line in io.StringIO(text, newline="\n"):
        if not line.strip():
            yield None, line
            continue
        try:
            found = json.loads(line, parse_int=str, parse_float=str)
        except ValueError:
            found = None
        if isinstance(found, dict):
            texts = {name: text_of(value) for name, value in found.items()}
            yield _declared(texts, spec), line
        else:
            yield {}, line


def _parquet(content: bytes, spec: Source, day: dt.date, belongs: Belongs) -> tuple[bytes, int]:
    name, size = "x.parquet", len(content)
    try:
        read = batches(io.BytesIO(content), name, size, spec, day, Limits())
        rows = [row for batch in read for row in batch.to_pylist()]
    except Unreadable:
        return content, 0
    gone = [belongs({name: row[name] for name in spec.columns}, str(row)) for row in rows]
    if not any(gone):
        return content, 0
    out = io.BytesIO()
    table = parquet.read_table(io.BytesIO(content))
    parquet.write_table(table.filter(pa.array([not each for each in gone])), out)
    return out.getvalue(), sum(gone)
