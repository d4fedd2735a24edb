"""Rows between two steps: columns as they stand, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import csr_array

from jobs.errors import Refused
from jobs.transforms.step import Kind

Numbers = NDArray[np.float64]
# Fitted numbers are rounded to this many significant digits, so that how a machine adds up cannot
# change a model.
DIGITS = 9
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Block:
    """Columns of the matrix that belong together.

    Attributes:
        matrix: a row for each row, a column for each label.
        labels: the values or buckets that the columns stand for.
        hashed: whether the labels are buckets, of which most are 0 in most rows.
    """

    matrix: csr_array
    labels: Sequence[str | int]
    hashed: bool

    def names(self, column: str) -> list[str]:
        """The names of the matrix's columns."""
        sign = ":" if self.hashed else "="
        return [f"{column}{sign}{label}" for label in self.labels]


# `Numbers`, NaN for what is missing; categories and text as Arrow strings; timestamps as Arrow
# timestamps in the use case's time zone; or a `Block`.
Column: TypeAlias = Any
Columns = dict[str, Column]


@dataclass(frozen=True)
class Rows:
    """Some rows.

    Attributes:
        columns: as they stand, in the order in which they came.
        size: number of rows.
        timezone: the use case's.
        fold: of a row that is learned from, a number by which it belongs to a fold; else -1.
    """

    columns: Mapping[str, Column]
    size: int
    timezone: str
    fold: NDArray[np.int64]

    def after(self, made: Columns, without: Sequence[str]) -> Rows:
        """The rows with new columns, or new ones in place of others, and without some."""
        fitting = {n: _fitting(c) if isinstance(c, np.ndarray) else c for n, c in made.items()}
        found = {**self.columns, **fitting}
        return replace(self, columns={n: c for n, c in found.items() if n not in without})


@dataclass(frozen=True)
class Sample:
    """Training rows to learn from.

    Attributes:
        labels: 1 for yes and 0 for no, or the numbers that are to be predicted.
        ranked: the most frequent values of categories, the most frequent first, where they are
            known of all training rows and not only of these.
    """

    rows: Rows
    labels: Numbers
    ranked: Mapping[str, tuple[str, ...]]


def read(
    table: pa.Table | pa.RecordBatch, inputs: Mapping[str, Kind], timezone: str, fold: Any = None
) -> Rows:
    """Columns of `gold.features` as the first step finds them.

    Args:
        fold: of rows that are learned from, `jobs.learning.recipe.fit.FOLD`; null for others.

    Raises:
        Refused: a column is missing.
    """
    require(tuple(inputs), table.schema.names)
    columns = {
        name: READ[kind](_whole(table.column(name)), timezone) for name, kind in inputs.items()
    }
    none = np.full(table.num_rows, -1, dtype=np.int64)
    folds = none if fold is None else pc.fill_null(_whole(fold), -1).to_numpy()
    return Rows(columns, table.num_rows, timezone, folds)


def require(wanted: tuple[str, ...], found: list[str]) -> None:
    """Raise `Refused` if a feature column is not there."""
    missing = [name for name in wanted if name not in found]
    if missing:
        raise Refused(
            f"{len(missing)} of the model's {len(wanted)} features are not in the data: "
            f"{', '.join(missing)}.",
            "Bring the features back, or train a model without them.",
        )


def rounded(value: float) -> float:
    """A fitted number, to nine significant digits."""
    return float(f"{value:.{DIGITS}g}")


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if not isinstance(column, pa.ChunkedArray):
        return column
    # Two gigabytes of text are too much for one array with short offsets.
    long = column.cast(pa.large_string()) if pa.types.is_string(column.type) else column
    return long.combine_chunks()


def _numbers(column: pa.Array, _: str) -> Numbers:
    return _fitting(column.cast(pa.float64()).to_numpy(zero_copy_only=False))


def _fitting(values: Numbers) -> Numbers:
    """Numbers that the matrix can hold, which are finite as float32; others are missing."""
    return np.where(np.abs(values) <= LARGEST, values, np.nan)


def _strings(column: pa.Array, _: str) -> pa.Array:
    return column.cast(pa.large_string())


def _timestamp(column: pa.Array, timezone: str) -> pa.Array:
    local = pa.timestamp("us", timezone)
    if not pa.types.is_date(column.type):
        return column.cast(local)
    midnight = column.cast(pa.timestamp("us"))
    return pc.assume_timezone(midnight, timezone, ambiguous="earliest", nonexistent="latest")


READ: dict[Kind, Callable[[pa.Array, str], Column]] = {
    "number": _numbers,
    "category": _strings,
    "timestamp": _timestamp,
    "text": _strings,
}
