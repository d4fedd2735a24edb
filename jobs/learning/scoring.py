"""Scores of a frame's rows, computed where the rows are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql.types import ArrayType, DoubleType, StructField, StructType
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from jobs.learning.model import Model
from jobs.learning.recipe.rows import require

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


# Of a score that is a number, and of one that is a number for each class.
TYPES = (DoubleType(), ArrayType(DoubleType()))
# What a model's speed is measured on, and how often: whatever else the machine does only slows it.
TIMED_ROWS, TIMES = 10_000, 5


def with_scores(frame: DataFrame, models: Mapping[str, Model], keep: tuple[str, ...]) -> DataFrame:
    """The columns `keep` of a frame and, for each model, its finished score by its name.

    A score is a number or, where the target has classes, an array of one for each.

    Raises:
        Refused: a model needs a feature that the frame has not.
    """
    for model in models.values():
        require(model.features, frame.columns)
    kept = [frame.schema[name] for name in keep]
    scores = [StructField(name, TYPES[len(m.target.shape)]) for name, m in models.items()]

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = [batch.column(name) for name in keep]
            columns += [to_arrow(model.score(batch)) for model in models.values()]
            yield pa.RecordBatch.from_arrays(columns, [*keep, *models])

    read = dict.fromkeys([*keep, *(name for model in models.values() for name in model.features)])
    return frame.select(*read).mapInArrow(score, StructType([*kept, *scores]))


def microseconds(model: Model, batch: pa.RecordBatch) -> float:
    """How long a model takes to score one row of a batch, on one core: the quickest of some times.

    Raises:
        ValueError: the batch has no rows.
    """
    if not batch.num_rows:
        raise ValueError("no rows to score")
    with threadpool_limits(1):
        quickest = min(_seconds(model, batch) for _ in range(TIMES))
    return quickest * 1e6 / int(batch.num_rows)


def _seconds(model: Model, batch: pa.RecordBatch) -> float:
    started = time.perf_counter()
    model.score(batch)
    return time.perf_counter() - started


def to_arrow(scores: NDArray[np.float64]) -> pa.Array:
    """Scores of shape (rows,) or (rows, classes) as an Arrow column."""
    if scores.ndim == 1:
        return pa.array(scores)
    starts = np.arange(len(scores) + 1, dtype=np.int32) * scores.shape[1]
    return pa.ListArray.from_arrays(starts, scores.ravel())


def from_arrow(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """The opposite of `to_arrow`."""
    found: NDArray[np.float64]
    if not pa.types.is_list(column.type):
        found = column.to_numpy()
        return found
    found = column.combine_chunks().flatten().to_numpy()
    return found.reshape(len(column), len(found) // max(1, len(column)))
