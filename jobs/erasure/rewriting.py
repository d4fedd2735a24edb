"""A landing file without the records of one entity, and otherwise byte for byte as it was."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa
from pyarrow import parquet

from jobs.ingest import drift
from jobs.ingest.text import GZIP
from jobs.usecase import Source

# Of a record's declared columns as text, and the whole record as it is written.
Belongs = Callable[[Mapping[str, str | None], str], bool]


def without(content: bytes, spec: Source, day: dt.date, belongs: Belongs) -> tuple[bytes, int]:
    """The file's content without the records that belong to an entity, and how many they were.

    A file that holds none is given back as it is, also one that cannot be read.

    Args:
        content: as stored, packed or not.
        day: the file's batch date.
        belongs: says of a record whether it is the entity's.
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

    def lines() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):
            taken.append(line)
            yield line

    places: dict[str, int] = {}
    try:
        for record in csv.reader(lines(), delimiter=spec.format.delimiter):
            raw = "".join(taken)
            taken.clear()
            if not places and record:
                places = _places([name.removeprefix("\ufeff") for name in record], spec)
                yield None, raw
                continue
            yield (
                {name: record[at] for name, at in places.items() if at < len(record)},
                raw,
            )
    except csv.Error:
        pass
    # What comes after a record that cannot be read stays one piece.
    rest = "".join(taken)
    if rest:
        yield {}, rest


def _places(found: list[str], spec: Source) -> dict[str, int]:
    return {
        name: found.index(header)
        for name, column in spec.columns.items()
        for header in (column.header or name, *column.formerly)
        if header in found
    }


def _json_lines(text: str, spec: Source) -> Iterator[tuple[dict[str, str | None] | None, str]]:
    columns = {
        header: name
        for name, column in spec.columns.items()
        for header in (column.header or name, *column.formerly)
    }
    for line in io.StringIO(text, newline="\n"):
        try:
            found = json.loads(line, parse_int=str, parse_float=str)
        except ValueError:
            found = {}
        values = found if isinstance(found, dict) else {}
        yield {name: values[each] for each, name in columns.items() if each in values}, line


def _parquet(content: bytes, spec: Source, day: dt.date, belongs: Belongs) -> tuple[bytes, int]:
    try:
        table = parquet.read_table(io.BytesIO(content))
        layout = drift.layout(table.schema.names, spec, day)
    except Exception:
        return content, 0
    headers = {name: header for name, header in layout.columns.items() if header is not None}
    texts = table.select(list(headers.values())).to_pylist()
    gone = [
        belongs({name: _text(row[header]) for name, header in headers.items()}, str(row))
        for row in texts
    ]
    if not any(gone):
        return content, 0
    out = io.BytesIO()
    parquet.write_table(table.filter(pa.array([not each for each in gone])), out)
    return out.getvalue(), sum(gone)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
