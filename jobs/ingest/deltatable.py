"""A landed Delta table: its newest version is what was delivered.

Read by delta-rs, which needs no JVM and reads folders and S3 alike.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from jobs.errors import Unavailable
from jobs.ingest import drift, parquet
from jobs.ingest.text import Limits, Unreadable
from jobs.usecase import Source

if TYPE_CHECKING:
    from deltalake import DeltaTable


# What delta-rs says if a store did not do what it was asked, after its own attempts; what is not
# there is a FileNotFoundError.
OF_THE_STORE = "Error performing"


@dataclass(frozen=True)
class Landed:
    """An opened table."""

    table: DeltaTable

    @classmethod
    def open(cls, uri: str, options: Mapping[str, str]) -> Landed:
        """The newest version of the table at `uri`.

        Raises:
            Unreadable: there is no table, or its log is damaged.
            Unavailable: the store did not give it.
        """
        from deltalake import DeltaTable

        with _reading("is no Delta table that can be read"):
            return cls(DeltaTable(uri, storage_options=dict(options)))

    def digest(self) -> str:
        """A SHA-256 of what the version consists of."""
        actions = pa.table(self.table.get_add_actions(flatten=True)).to_pylist()
        files = sorted(f"{each['path']} {each['size_bytes']}" for each in actions)
        return hashlib.sha256("\n".join(files).encode()).hexdigest()

    def batches(self, spec: Source, day: dt.date, limits: Limits) -> Iterator[pa.RecordBatch]:
        """The records of the version; see `jobs.ingest.records.batches`."""
        with _reading("has a version that cannot be read"):
            dataset = self.table.to_pyarrow_dataset()
            layout, row = drift.layout(dataset.schema.names, spec, day), 0
            parquet.require_single_values(dataset.schema, layout)
            for batch in dataset.to_batches(batch_size=parquet.AT_ONCE):
                if batch.num_rows:
                    yield parquet.as_text(batch, layout, spec, row, limits)
                row += batch.num_rows
        if row == 0:
            raise Unreadable("has columns but no rows")


@contextmanager
def _reading(unreadable: str) -> Iterator[None]:
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (DeltaError, pa.ArrowException, OSError) as error:
        gone = isinstance(error, FileNotFoundError)
        if OF_THE_STORE in str(error) and not gone:
            raise Unavailable(
                f"The landing store does not give a Delta table: {_said(error)}.",
                "Check the network and the credentials; the next attempt may succeed.",
            ) from error
        raise Unreadable(f"{unreadable} ({_said(error)})") from error


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
