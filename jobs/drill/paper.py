"""A landing file as rows of text that a fault can be planted into, and back again."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import parquet

from jobs.ingest.records import batches
from jobs.ingest.text import Limits
from jobs.usecase import Source

Row = dict[str, str | None]


@dataclass(frozen=True)
class Paper:
    """The records of one file by declared column, and how they are written."""

    name: str
    spec: Source
    headers: tuple[str, ...]
    rows: tuple[Row, ...]

    @classmethod
    def read(cls, name: str, content: bytes, spec: Source, day: dt.date) -> Paper:
        """The sound records of a file."""
        found = batches(io.BytesIO(content), name, len(content), spec, day, Limits())
        rows = [row for batch in found for row in batch.to_pylist() if not row["_malformed"]]
        columns = list(spec.columns)
        return cls(
            name,
            spec,
            tuple(spec.columns[each].headers(each)[0] for each in columns),
            tuple({each: row[each] for each in columns} for row in rows),
        )

    def written(self, rows: Sequence[Row] | None = None, headers: Sequence[str] = ()) -> bytes:
        """Some rows as a file of the same kind.

        Args:
            rows: instead of its own; their keys are the declared columns, and columns that come
                after those under their own names.
            headers: the names of the declared columns in the file, in their order.
        """
        rows = self.rows if rows is None else rows
        columns = list(self.spec.columns)
        named = dict(zip(columns, headers or self.headers, strict=True))
        extra = [name for name in (rows[0] if rows else {}) if name not in named]
        table = [
            {named.get(each, each): row.get(each) for each in (*named, *extra)} for row in rows
        ]
        return _written(table, [*named.values(), *extra], self.name, self.spec)


def _written(table: list[Row], names: list[str], name: str, spec: Source) -> bytes:
    kind = spec.format.type
    if kind == "parquet":
        content = io.BytesIO()
        columns = {each: pa.array([row[each] for row in table], pa.string()) for each in names}
        parquet.write_table(pa.table(columns), content)
        return content.getvalue()
    if kind == "jsonl":
        text = "".join(json.dumps(row) + "\n" for row in table)
    else:
        out = io.StringIO()
        writer = csv.writer(out, delimiter=spec.format.delimiter, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([row[each] for each in names] for row in table)
        text = out.getvalue()
    whole = text.encode(spec.format.encoding)
    return gzip.compress(whole) if name.endswith(".gz") else whole
