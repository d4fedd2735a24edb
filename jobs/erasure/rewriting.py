"""A landing file without the records of one entity, and otherwise byte for byte as it was.

It is searched by the columns that name the entity, whatever else is wrong with it: what ingest has
refused may hold the entity as well. What cannot be searched so is searched as raw text.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

import pyarrow as pa
from pyarrow import parquet

from jobs.erasure.entity import Entity
from jobs.ingest.drift import Layout
from jobs.ingest.jsonlines import text_of
from jobs.ingest.parquet import AT_ONCE, as_text, require_single_values
from jobs.ingest.text import GZIP, Limits, Unreadable
from jobs.usecase import Source

PARQUET = b"PAR1"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# No text has these: it is packed, encrypted, or in an encoding that is not known.
UNPRINTED = re.compile(r"[\x00-\x08\x0e-\x1f]")
# As large as any file: what is too large to be a value, ingest says.
ANY = Limits(value=sys.maxsize)

# Of a record, the declared columns as text, None for one that it lacks; no columns at all if it
# cannot be split; None for what is no record. And the record as it is written.
Record = tuple[dict[str, str | None] | None, str]


def without(content: bytes, spec: Source, day: dt.date, entity: Entity) -> tuple[bytes, int]:
    """The file's content without the records of an entity, and how many they were.

    A file that holds none is given back as it is. A record that cannot be split is the entity's if
    it names it.

    Args:
        content: as stored, packed or not.
        day: the file's batch date, which says what columns it must have.

    Raises:
        Unreadable: it cannot be searched, and may name the entity; the rest of a sentence that
            begins with the file's name.
    """
    if spec.format.type == "parquet":
        return _parquet(content, spec, day, entity)
    packed = content.startswith(GZIP)
    plain = _unpacked(content) if packed else content
    kept, gone = [], 0
    owns = entity.owns(spec.columns)
    try:
        for record, raw in _records(_decoded(plain, spec), spec, day, entity):
            if record is not None and (
                owns(record) if record else entity.is_named_in(raw, spec.columns)
            ):
                gone += 1
            else:
                kept.append(raw)
    except Unreadable:
        if _may_name(plain, spec, spec.format.encoding, entity):
            raise
        return content, 0
    if not gone:
        return content, 0
    whole = "".join(kept).encode(spec.format.encoding)
    return gzip.compress(whole) if packed else whole, gone


def _unpacked(content: bytes) -> bytes:
    most = max(ANY.unpacked, ANY.ratio * len(content))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            found = stream.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(f"is a gzip file that cannot be unpacked ({error})") from error
    if len(found) > most:
        raise Unreadable(f"unpacks from {len(content):,} bytes to more than {most:,}: a gzip bomb")
    return found


def _decoded(plain: bytes, spec: Source) -> str:
    try:
        text = plain.decode(spec.format.encoding)
    except (UnicodeError, LookupError) as error:
        raise Unreadable(f"is not {spec.format.encoding} text") from error
    if "\0" in text:
        raise Unreadable(f"holds a NUL character: it is not {spec.format.encoding} text")
    return text


def _may_name(plain: bytes, spec: Source, encoding: str, entity: Entity) -> bool:
    """Whether raw text names the entity in an encoding that it is likely in, or is no text."""
    texts = []
    for each in ("utf-16",) if plain.startswith(UTF_16) else (encoding, "utf-8", "cp1252"):
        with suppress(UnicodeError, LookupError):
            texts.append(plain.decode(each, errors="replace"))
    named = any(entity.is_named_in(each, spec.columns) for each in texts)
    return named or all(map(UNPRINTED.search, texts))


def _require_columns(
    found: Collection[str], spec: Source, day: dt.date, entity: Entity
) -> dict[str, str | None]:
    """The header of each column that names the entity; None if files of the day need not have it.

    Raises:
        Unreadable: one is lacking, or is there twice.
    """
    headers: dict[str, str | None] = {}
    for name in entity.values:
        column = spec.columns[name]
        there = [each for each in found if each in column.headers(name)]
        if len(there) > 1:
            raise Unreadable(f"has {name!r} twice")
        if not there and (spec.drift != "declared" or column.expected_on(day)):
            raise Unreadable(f"lacks {column.headers(name)[0]!r}")
        headers[name] = there[0] if there else None
    return headers


def _records(text: str, spec: Source, day: dt.date, entity: Entity) -> Iterator[Record]:
    if spec.format.type == "jsonl":
        return _json_lines(text, spec, day, entity)
    return _csv(text, spec, day, entity)


def _csv(text: str, spec: Source, day: dt.date, entity: Entity) -> Iterator[Record]:
    taken: list[str] = []
    lines = io.StringIO(text, newline="")

    def told() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    reader = csv.reader(told(), delimiter=spec.format.delimiter)
    header: list[str] = []
    raw = ""
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
                _require_columns(header, spec, day, entity)
                yield None, raw
            elif len(record) == len(header):
                yield _declared(dict(zip(header, record, strict=True)), spec), raw
            else:
                yield {}, raw
    finally:
        csv.field_size_limit(before)
    if taken:
        yield {}, "".join(taken)
    # All that comes after such a quote is in one record, whosever it is.
    if raw.count('"') % 2 and "\n" in raw.rstrip("\r\n"):
        raise Unreadable("opens a quote that never closes")


def _declared(found: Mapping[str, str | None], spec: Source) -> dict[str, str | None]:
    """A record by declared column; None for a column that it lacks."""
    return {
        name: next((found[each] for each in column.headers(name) if each in found), None)
        for name, column in spec.columns.items()
    }


def _json_lines(text: str, spec: Source, day: dt.date, entity: Entity) -> Iterator[Record]:
    keys: set[str] = set()
    for line in io.StringIO(text, newline="\n"):
        if not line.strip():
            yield None, line
            continue
        try:
            found = json.loads(line, parse_int=str, parse_float=str)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            keys |= found.keys()
            texts = {name: text_of(value) for name, value in found.items()}
            yield _declared(texts, spec), line
        else:
            yield {}, line
    if keys:
        _require_columns(keys, spec, day, entity)


def _parquet(content: bytes, spec: Source, day: dt.date, entity: Entity) -> tuple[bytes, int]:
    owns = entity.owns(spec.columns)
    try:
        file = _opened(content)
        headers = _require_columns(file.schema_arrow.names, spec, day, entity)
        if None in headers.values():
            return content, 0
        layout = Layout(headers, ())
        require_single_values(file.schema_arrow, layout)
        gone = [
            owns(record)
            for batch in file.iter_batches(AT_ONCE, columns=[*filter(None, headers.values())])
            for record in as_text(batch, layout, spec, 0, ANY).to_pylist()
        ]
        if not any(gone):
            return content, 0
        kept = file.read().filter(pa.array([not each for each in gone]))
    except (Unreadable, pa.ArrowException, OSError) as error:
        if _may_be_in(content, spec, entity):
            said = str(error) if isinstance(error, Unreadable) else "is no Parquet file"
            raise Unreadable(said) from error
        return content, 0
    out = io.BytesIO()
    parquet.write_table(kept, out)
    return out.getvalue(), sum(gone)


def _opened(content: bytes) -> parquet.ParquetFile:
    file = parquet.ParquetFile(io.BytesIO(content))
    groups = range(file.metadata.num_row_groups)
    unpacked = sum(file.metadata.row_group(at).total_byte_size for at in groups)
    if unpacked > max(ANY.unpacked, ANY.ratio * len(content)):
        raise Unreadable(f"unpacks from {len(content):,} bytes to {unpacked:,}: a bomb")
    return file


def _may_be_in(content: bytes, spec: Source, entity: Entity) -> bool:
    """Whether any row of a Parquet file names the entity, or the file cannot be read."""
    if not content.startswith(PARQUET):
        return _may_name(content, spec, "utf-8", entity)
    try:
        return any(
            entity.is_named_in(json.dumps(row, default=str, ensure_ascii=False), spec.columns)
            for batch in _opened(content).iter_batches(AT_ONCE)
            for row in batch.to_pylist()
        )
    # Also of values that Python has no type for.
    except (Unreadable, pa.ArrowException, OSError, ValueError, OverflowError):
        return True
