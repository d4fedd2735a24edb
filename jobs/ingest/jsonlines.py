"""JSON lines: one object a line, gzipped or not.

Numbers keep the digits they are written with, and a nested value is kept as JSON. A key that some
records lack, or have with a text that means missing, is missing in those; one that all lack is
missing in the file.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from jobs.ingest import drift
from jobs.ingest.text import Limits, Text, Unreadable, shortened
from jobs.usecase import Source

AT_ONCE = 10_000  # records in a batch
# Escapes of NUL, which no database takes, and of halves of characters.
UNFIT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})")
PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")


def batches(
    raw: BinaryIO, name: str, size: int, spec: Source, day: dt.date, limits: Limits
) -> Iterator[pa.RecordBatch]:
    """The records of a file; see `jobs.ingest.records.batches`."""
    if size == 0:
        raise Unreadable("is empty (0 bytes)")
    text = Text(raw, name, size, spec.format.encoding, limits)
    records = _Records(spec, limits)
    for number, line in enumerate(_lines(text), 1):
        records.add(number, line)
        if records.waiting >= AT_ONCE:
            yield records.batch()
    if not text.ends_with_newline and spec.format.final_newline == "required":
        raise Unreadable(text.cut_off())
    if not records.seen:
        raise Unreadable("holds no records: its lines are blank")
    drift.layout(sorted(records.keys), spec, day)
    yield records.batch()


def _lines(text: Text) -> Iterator[bytes]:
    """Lines that are not blank, without their ends."""
    rest = b""
    while chunk := text.read():
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line.strip())
        if len(rest) > text.limits.record:
            raise Unreadable(f"holds a line of more than {text.limits.record:,} bytes")
    if rest.strip():
        yield rest


class _Records:
    """Collects the records of one file."""

    def __init__(self, spec: Source, limits: Limits) -> None:
        self.seen = 0
        self.keys: set[str] = set()
        self._limits, self._nothing = limits, spec.format.nothing
        self._names = [*spec.columns, "_extra", "_malformed"]
        self._column = {
            header: name for name, column in spec.columns.items() for header in column.headers(name)
        }
        self._rows: list[dict[str, Any]] = []

    @property
    def waiting(self) -> int:
        return len(self._rows)

    def add(self, number: int, line: bytes) -> None:
        self.seen = number
        self._rows.append({**self._parsed(line), "_row": number})

    def batch(self) -> pa.RecordBatch:
        """The records collected since the last one."""
        rows, self._rows = self._rows, []
        columns = [pa.array([row.get(name) for row in rows], pa.string()) for name in self._names]
        numbers = pa.array([row["_row"] for row in rows], pa.int64())
        return pa.RecordBatch.from_arrays([*columns, numbers], names=[*self._names, "_row"])

    def _parsed(self, line: bytes) -> dict[str, str | None]:
        try:
            # As text, so that no digit is lost and NaN is left to the rule about types.
            found = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError) as error:
            return {"_malformed": f"no JSON ({error}): {shortened(line.decode())}"}
        if not isinstance(found, dict):
            return {"_malformed": f"no JSON object: {shortened(line.decode())}"}
        if UNFIT.search(PAIR.sub(b"", line)):
            return {"_malformed": f"holds a character that is none: {shortened(line.decode())}"}
        self.keys |= found.keys()
        texts = {self._column[key]: text_of(found[key]) for key in found if key in self._column}
        row = {name: None if text in self._nothing else text for name, text in texts.items()}
        for name, value in row.items():
            if value is not None and len(value) > self._limits.value:
                said = f"field {name} holds {len(value.encode()):,} bytes: {shortened(value)}"
                return {"_malformed": said}
        extra = {key: value for key, value in found.items() if key not in self._column}
        return {**row, "_extra": json.dumps(extra)} if extra else row


def text_of(value: object) -> str | None:
    """A field's value as the text that it is in bronze; None if it is null."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)
