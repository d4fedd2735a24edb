"""Scores of a frame's rows, computed where the rows are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql.types import DoubleType, StructField, StructType

from jobs.learning.model import Model
from jobs.learning.recipe.rows import require

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def with_scores(frame: DataFrame, models: Mapping[str, Model], keep: tuple[str, ...]) -> DataFrame:
    """The columns `keep` of a frame and, for each model, its calibrated score by its name.

    Raises:
        Refused: a model needs a feature that the frame has not.
    """
    for model in models.values():
        require(model.features, frame.columns)
    kept = [frame.schema[name] for name in keep]
    scores = [StructField(name, DoubleType()) for name in models]

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = [batch.column(name) for name in keep]
            columns += [pa.array(model.score(batch)) for model in models.values()]
            yield pa.RecordBatch.from_arrays(columns, [*keep, *models])

    read = dict.fromkeys([*keep, *(name for model in models.values() for name in model.features)])
    return frame.select(*read).mapInArrow(score, StructType([*kept, *scores]))
