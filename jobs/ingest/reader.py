"""Files to bronze rows on Spark's executors, classic or over Connect.

Twice over the files: the first pass parses each to its end and says whether it can be taken in,
because nothing of a file may be committed before its last byte was seen; the second reads the
accepted ones, and fails if one has changed in between.
"""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa
from pyspark.sql.types import (
    DateType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from jobs.errors import Refused, Unavailable
from jobs.ingest.deltatable import Landed
from jobs.ingest.landing import LandedFile
from jobs.ingest.records import batches
from jobs.ingest.store import ACCESS, Store
from jobs.ingest.text import Limits, Unreadable
from jobs.lake.local_rows import local_rows
from jobs.lake.tombstones import Tombstones
from jobs.usecase import Source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FILES = StructType(
    [
        StructField("name", StringType()),
        StructField("size", LongType()),
        StructField("batch_date", DateType()),
        StructField("arrived_at", TimestampType()),
        StructField("sha256", StringType()),
    ]
)
FULL = (errno.ENOSPC, errno.EDQUOT)
INSPECTED = "name string, sha256 string, rows long, reason string, lost string, denied string"


@dataclass(frozen=True)
class Inspected:
    """What reading a file to its end showed.

    Attributes:
        file: which one.
        sha256: of its bytes as stored; empty if it could not be opened.
        rows: records, malformed ones included.
        reason: why it is refused, the rest of a sentence that begins with its name; or empty.
    """

    file: LandedFile
    sha256: str
    rows: int
    reason: str


def inspect(
    spark: SparkSession, store: Store, spec: Source, files: list[LandedFile], limits: Limits
) -> list[Inspected]:
    """Read files to their end, and say of each what is in it or why it is refused.

    Raises:
        Unavailable: the store did not answer an executor.
        Refused: it did not let an executor in; that says nothing of the files.
    """
    open_files = [file for file in files if not file.problem]
    refused = [Inspected(file, "", 0, file.problem) for file in files if file.problem]
    if not open_files:
        return refused
    by_name = {file.name: file for file in open_files}
    listed = _listed(spark, [(file, "") for file in open_files])
    found = listed.mapInArrow(_Inspect(store, spec, limits), INSPECTED).collect()
    for row in found:
        if row["lost"]:
            raise Unavailable(row["lost"], "The next attempt may succeed.")
        if row["denied"]:
            raise Refused(row["denied"], ACCESS)
    return refused + [
        Inspected(by_name[row["name"]], row["sha256"], row["rows"], row["reason"]) for row in found
    ]


def read(
    spark: SparkSession,
    store: Store,
    spec: Source,
    accepted: list[Inspected],
    schema: StructType,
    limits: Limits,
    erased: Tombstones,
) -> DataFrame:
    """The bronze rows of accepted files but for those of erased entities.

    The job fails if a file is not what was inspected.
    """
    listed = _listed(spark, [(each.file, each.sha256) for each in accepted])
    reads = _Read(store, spec, limits, tuple(schema.names), erased.of(spec.columns))
    return listed.mapInArrow(reads, schema)


def _listed(spark: SparkSession, files: list[tuple[LandedFile, str]]) -> DataFrame:
    rows = [(each.name, each.size, each.batch_date, each.arrived_at, sha) for each, sha in files]
    return local_rows(spark, rows, FILES)


class _Hashed(io.RawIOBase):
    """Bytes as stored, hashed while they are read."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._hash = hashlib.sha256()
        self._hashed = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        at = self._raw.tell()
        found = self._raw.read(size)
        # The first bytes are looked at twice, to tell gzip; Parquet begins at the end, and what
        # lies before that is hashed later.
        if at <= self._hashed:
            self._hash.update(found[self._hashed - at :])
            self._hashed = max(self._hashed, at + len(found))
        return found

    def seek(self, at: int, whence: int = io.SEEK_SET) -> int:
        return self._raw.seek(at, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def hexdigest(self) -> str:
        """Of the whole file, also of what nobody has read."""
        self._raw.seek(self._hashed)
        while chunk := self._raw.read(1 << 20):
            self._hash.update(chunk)
            self._hashed += len(chunk)
        return self._hash.hexdigest()


@dataclass(frozen=True)
class _Inspect:
    store: Store
    spec: Source
    limits: Limits

    def __call__(self, listed: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for file in _each(listed):
            sha256, rows, reason, lost, denied = "", 0, "", "", ""
            try:
                sha256, rows, reason = self._one(file)
            except Unavailable as error:
                lost = error.sentence
            except Refused as error:
                denied = error.sentence
            found = (file["name"], sha256, rows, reason, lost, denied)
            names = ("name", "sha256", "rows", "reason", "lost", "denied")
            yield pa.RecordBatch.from_arrays([pa.array([each]) for each in found], names=names)

    def _one(self, file: dict[str, Any]) -> tuple[str, int, str]:
        try:
            with _opened(self.store, file, self.spec, self.limits) as content:
                rows, reason = 0, ""
                try:
                    rows = sum(batch.num_rows for batch in content.batches)
                except Unreadable as error:
                    rows, reason = 0, str(error)
                return content.digest(), rows, reason
        except Unreadable as error:
            return "", 0, str(error)
        except OSError as error:
            if error.errno in FULL:
                # Of this machine, where the store's bytes are spooled; it says nothing of the file.
                raise
            return "", 0, f"cannot be opened ({type(error).__name__}: {error.strerror or error})"


@dataclass(frozen=True)
class _Read:
    store: Store
    spec: Source
    limits: Limits
    columns: tuple[str, ...]
    erased: Tombstones

    def __call__(self, listed: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for file in _each(listed):
            with _opened(self.store, file, self.spec, self.limits) as content:
                for batch in content.batches:
                    yield self._bronze(self._left(batch), file)
                if content.digest() != file["sha256"]:
                    raise Unreadable(f"{file['name']} changed while it was being read")

    def _left(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """What is not of an erased entity. Most use cases never erased anybody."""
        if not self.erased.erased:
            return batch
        columns = self.spec.columns
        kept = [not self.erased.has(row, columns) for row in batch.to_pylist()]
        return batch.filter(pa.array(kept))

    def _bronze(self, batch: pa.RecordBatch, file: dict[str, Any]) -> pa.RecordBatch:
        origin = {
            "_batch_date": pa.scalar(file["batch_date"], pa.date32()),
            "_arrived_at": pa.scalar(file["arrived_at"], pa.timestamp("us", "UTC")),
            "_file": pa.scalar(file["name"], pa.string()),
            "_sha256": pa.scalar(file["sha256"], pa.string()),
        }
        rows = batch.num_rows
        columns = {name: batch[name] for name in batch.schema.names}
        columns |= {name: pa.repeat(value, rows) for name, value in origin.items()}
        return pa.RecordBatch.from_arrays(
            [columns[name] for name in self.columns], names=list(self.columns)
        )


@dataclass(frozen=True)
class _Content:
    """What is in a file or table, and its digest once that was read."""

    batches: Iterator[pa.RecordBatch]
    digest: Callable[[], str]


@contextmanager
def _opened(store: Store, file: dict[str, Any], spec: Source, limits: Limits) -> Iterator[_Content]:
    name, day = file["name"], file["batch_date"]
    if spec.format.type == "delta":
        table = Landed.open(*store.table(name))
        yield _Content(table.batches(spec, day, limits), table.digest)
        return
    with store.open(name) as raw:
        hashed = _Hashed(raw)
        found = batches(cast(BinaryIO, hashed), name, file["size"], spec, day, limits)
        yield _Content(found, hashed.hexdigest)


def _each(listed: Iterator[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    for batch in listed:
        for file in batch.to_pylist():
            at: dt.datetime = file["arrived_at"]
            yield {**file, "arrived_at": at.astimezone(dt.UTC)}
