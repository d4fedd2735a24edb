"""How rows fall into the bins of a reference, day by day, and how far that lies apart.

What a model keeps of its training's distributions is in `jobs.learning.reference`; here it is cut
and counted, by a training for its own weeks and by the monitor for tonight's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Counts = NDArray[np.float64]

# Added to the share of each bin, so that an empty one does not make the index infinite; to the
# share and not to the rows, so that a month of twice as many rows has the same index.
FLOOR = 1e-4
DAY, ROWS = "_day", "rows"
COUNTED = f"{DAY} int, {ROWS} array<bigint>"


@dataclass(frozen=True)
class Bins:
    """One feature's reference: how to cut it, and how many rows fell into each bin.

    Attributes:
        edges: between the bins of a numeric feature; None for a categorical one.
        values: the values that have a bin of their own in a categorical one.
        rows: reference rows in each bin; the last two of a categorical feature are other values
            and missing, the last of a numeric one is missing (NaN and infinity among it).
    """

    edges: tuple[float, ...] | None
    values: tuple[str, ...]
    rows: tuple[float, ...]

    def place(self, column: pa.Array) -> NDArray[np.int64]:
        """The bin of each value."""
        missing = len(self.rows) - 1
        if self.edges is None:
            found = pc.index_in(column, value_set=pa.array(self.values, pa.string()))
            known = pc.fill_null(found, len(self.values)).to_numpy(zero_copy_only=False)
            absent = column.is_null().to_numpy(zero_copy_only=False)
            return np.where(absent, missing, known).astype(np.int64)
        numbers = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        cut = np.searchsorted(np.array(self.edges), numbers, side="right")
        return np.where(np.isfinite(numbers), cut, missing).astype(np.int64)

    def by_day(self, column: pa.Array, day: NDArray[np.int64], days: int) -> NDArray[np.int64]:
        """How many values of each day (0 to `days` - 1) fall into each bin; a row for each day."""
        width = len(self.rows)
        counted = np.bincount(day * width + self.place(column), minlength=days * width)
        return counted.reshape(days, width)


def bins_of(reference: Mapping[str, Any]) -> dict[str, Bins]:
    """The features of a model's reference as bins.

    Its scores are there as `score`, and the classes that it predicts as `prediction`.
    """
    numeric = dict(reference["numeric"])
    if "score" in reference:
        numeric["score"] = reference["score"]
    categorical = dict(reference["categorical"])
    if "prediction" in reference:
        categorical["prediction"] = reference["prediction"]
    found = {name: _numeric(seen) for name, seen in numeric.items()}
    return found | {name: _categorical(seen) for name, seen in categorical.items()}


def count(frame: DataFrame, bins: Mapping[str, Bins]) -> dict[str, Counts]:
    """The rows of `frame` by day and bin, for those features that it has, in one Spark job.

    A matrix for each feature, with a row for each date from the first to the last
    `prediction_date` there is. What comes back from a partition is a number for each of its days
    and each bin of all features.
    """
    here = {name: one for name, one in bins.items() if name in frame.columns}
    if not here:
        return {}

    def tally(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        totals: dict[int, NDArray[np.int64]] = {}
        for batch in batches:
            days, day = np.unique(batch.column(DAY).to_numpy(), return_inverse=True)
            parts = [one.by_day(batch.column(n), day, len(days)) for n, one in here.items()]
            for each, rows in zip(days.tolist(), np.hstack(parts), strict=True):
                totals[each] = totals.get(each, 0) + rows
        if totals:
            rows = pa.array(list(totals.values()), pa.list_(pa.int64()))
            days = pa.array(list(totals), pa.int32())
            yield pa.RecordBatch.from_arrays([days, rows], [DAY, ROWS])

    read = frame.select(F.unix_date("prediction_date").alias(DAY), *here)
    found = read.mapInArrow(tally, COUNTED).toArrow()
    days, widths = found[DAY].to_numpy(), [len(one.rows) for one in here.values()]
    first, last = (int(days.min()), int(days.max())) if len(days) else (0, -1)
    counted = np.zeros((last - first + 1, sum(widths)))
    rows = found[ROWS].combine_chunks().flatten().to_numpy().reshape(len(days), sum(widths))
    np.add.at(counted, days - first, rows)
    return dict(zip(here, np.split(counted, np.cumsum(widths)[:-1], axis=1), strict=True))


def shares(rows: Counts) -> Counts:
    """The share of each bin (the last axis) among the rows, `FLOOR` added to each."""
    total = np.maximum(rows.sum(axis=-1, keepdims=True), 1)
    found: Counts = (rows / total + FLOOR) / (1 + FLOOR * rows.shape[-1])
    return found


def psi(reference: Counts, now: Counts) -> Counts:
    """Population stability index of two samples' rows in the same bins (the last axis).

    The sum over the bins of (a - e) * ln(a / e), with a and e the shares now and in the reference
    (Siddiqi, Credit Risk Scorecards, 2006): the symmetric Kullback-Leibler divergence.
    """
    expected, actual = shares(reference), shares(now)
    found: Counts = ((actual - expected) * np.log(actual / expected)).sum(axis=-1)
    return found


def _numeric(seen: Mapping[str, Any]) -> Bins:
    there = seen["rows"] * (1 - seen["missing"])
    rows = [*(share * there for share in seen["shares"]), seen["rows"] * seen["missing"]]
    return Bins(tuple(seen["edges"]), (), tuple(rows))


def _categorical(seen: Mapping[str, Any]) -> Bins:
    there = seen["rows"] * (1 - seen["missing"])
    each = [*seen["values"].values(), seen["other"]]
    rows = [*(share * there for share in each), seen["rows"] * seen["missing"]]
    return Bins(None, tuple(seen["values"]), tuple(rows))
