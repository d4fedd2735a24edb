"""Parquet files, their values as the text that CSV would have of them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from jobs.ingest import drift
from jobs.ingest.drift import Layout
from jobs.ingest.text import Limits, Unreadable, shortened
from jobs.usecase import Source

AT_ONCE = 65_536  # records in a batch


def batches(
    raw: BinaryIO, name: str, size: int, spec: Source, day: dt.date, limits: Limits
) -> Iterator[pa.RecordBatch]:
    """The records of a file; see `jobs.ingest.records.batches`."""
    if size == 0:
        raise Unreadable("is empty (0 bytes)")
    try:
        yield from _batches(
            parquet.ParquetFile(pa.PythonFile(raw, mode="r")), size, spec, day, limits
        )
    except (pa.ArrowException, OSError) as error:
        said = " ".join(str(error).split())
        raise Unreadable(f"is cut off after {size:,} bytes, or no Parquet file ({said})") from error


def _batches(
    file: parquet.ParquetFile, size: int, spec: Source, day: dt.date, limits: Limits
) -> Iterator[pa.RecordBatch]:
    unpacked = sum(
        file.metadata.row_group(at).total_byte_size for at in range(file.metadata.num_row_groups)
    )
    if unpacked > max(limits.unpacked, limits.ratio * size):
        raise Unreadable(f"unpacks from {size:,} bytes to {unpacked:,}: a bomb")
    if file.metadata.num_rows == 0:
        raise Unreadable("has columns but no rows")
    layout, row = drift.layout(file.schema_arrow.names, spec, day), 0
    require_single_values(file.schema_arrow, layout)
    for batch in file.iter_batches(AT_ONCE):
        yield as_text(batch, layout, spec, row, limits)
        row += batch.num_rows


def require_single_values(schema: pa.Schema, layout: Layout) -> None:
    """Refuse declared columns that hold lists, structs or bytes.

    Raises:
        Unreadable: there is one; the sentence names it.
    """
    for header in filter(None, layout.columns.values()):
        kind = schema.field(header).type
        if not _has_text(kind):
            raise Unreadable(f"has {header!r} as {kind}, which is no single value")


def as_text(
    batch: pa.RecordBatch, layout: Layout, spec: Source, before: int, limits: Limits
) -> pa.RecordBatch:
    """A batch of typed columns as `jobs.ingest.records.batches` gives them.

    Args:
        before: how many records of the file came before it.
    """
    rows = batch.num_rows
    columns = [
        pa.nulls(rows, pa.string())
        if header is None
        else _without(
            _text(batch[header], whole=spec.columns[name].type == "integer"), spec.format.nothing
        )
        for name, header in layout.columns.items()
    ]
    numbers = pa.array(range(before + 1, before + 1 + rows), pa.int64())
    names = [*layout.columns, "_extra", "_malformed", "_row"]
    found = [*columns, _extra(batch, layout.extra), pa.nulls(rows, pa.string()), numbers]
    return _without_huge(pa.RecordBatch.from_arrays(found, names=names), limits)


def _has_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _has_text(kind.value_type)
    simple = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_boolean,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_decimal,
        pa.types.is_date,
        pa.types.is_timestamp,
        pa.types.is_null,
    )
    return any(each(kind) for each in simple)


def _text(values: pa.Array, *, whole: bool) -> pa.Array:
    """Values as text. Where whole numbers are declared, 5.0 is 5: a column with a missing value
    often comes as floating."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        # Without a zone it stays without one, and fails the rule about types if the column has no
        # `format` and `zone`.
        zone = "Z" if kind.tz else ""
        return pc.strftime(
            values.cast(pa.timestamp("us", "UTC" if kind.tz else None)),
            format=f"%Y-%m-%dT%H:%M:%S{zone}",
        )
    if whole and pa.types.is_floating(kind):
        numbers = values.cast(pa.float64())
        integral = pc.and_(pc.is_finite(numbers), pc.equal(numbers, pc.floor(numbers)))
        small = pc.and_(integral, pc.less(pc.abs(numbers), 2.0**53))
        safe = pc.if_else(small, numbers, 0.0).cast(pa.int64()).cast(pa.string())
        return pc.if_else(small, safe, numbers.cast(pa.string()))
    return values.cast(pa.string())


def _without(texts: pa.Array, nothing: tuple[str, ...]) -> pa.Array:
    """The texts, null where one means missing."""
    if not nothing:
        return texts
    missing = pc.is_in(texts, value_set=pa.array(nothing, texts.type))
    return pc.if_else(missing, pa.scalar(None, texts.type), texts)


def _extra(batch: pa.RecordBatch, names: tuple[str, ...]) -> pa.Array:
    if not names:
        return pa.nulls(batch.num_rows, pa.string())
    rows = batch.select(list(names)).to_pylist()
    return pa.array([json.dumps(row, default=str) for row in rows], pa.string())


def _without_huge(batch: pa.RecordBatch, limits: Limits) -> pa.RecordBatch:
    """Records with a value beyond the limit are malformed, and keep that value's beginning."""
    if batch.nbytes <= limits.value:
        return batch
    rows = batch.to_pylist() if _is_huge(batch, limits) else None
    if rows is None:
        return batch
    for row in rows:
        for name, value in list(row.items()):
            if isinstance(value, str) and len(value.encode()) > limits.value:
                said = f"field {name} holds {len(value.encode()):,} bytes: {shortened(value)}"
                row.update(dict.fromkeys(set(row) - {"_row"}), _malformed=said)
                break
    return pa.RecordBatch.from_pylist(rows, schema=batch.schema)


def _is_huge(batch: pa.RecordBatch, limits: Limits) -> bool:
    longest = (pc.max(pc.binary_length(batch[name])).as_py() for name in batch.schema.names[:-2])
    return any((length or 0) > limits.value for length in longest)
