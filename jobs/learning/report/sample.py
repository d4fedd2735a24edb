"""Some rows of the holdout with all their features: what the arrays of scores cannot tell of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F

from jobs.learning import reference
from jobs.learning.cut import Cut
from jobs.learning.holdout import Scored
from jobs.learning.intervals import Resamples
from jobs.learning.metrics.metric import Array
from jobs.learning.model import Model

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# As many rows with their features are in memory at most.
ROWS = 50_000
# So many are scored at a time.
BATCH = 10_000
GROUP = "_group"


@dataclass(frozen=True)
class Sample:
    """Rows, the same ones in the same order every time.

    Attributes:
        table: the columns that name a row, and the features.
        labels: as numbers.
        scored: by the challenger.
        drawn: which rows hang together, as in the evaluation's bootstrap.
    """

    table: pa.Table
    labels: Array
    scored: Scored
    drawn: NDArray[np.int64]

    @classmethod
    def of(
        cls, rows: DataFrame, count: int, unique: tuple[str, ...], model: Model, cut: Cut | None
    ) -> Self:
        """Of a holdout of `count` rows whose labels are numbers, chosen by a hash of their names.

        Args:
            unique: the columns that name a row.
        """
        grouped = cut is not None and cut.grouped
        if cut is not None and grouped:
            rows = rows.withColumn(GROUP, F.xxhash64(*cut.columns))
        columns = dict.fromkeys((*unique, "prediction_date", "label", *model.features))
        wanted = (*columns, *((GROUP,) if grouped else ()))
        found = reference.taken(rows, unique, F.lit(-(-count // ROWS)), wanted)
        scores = [model.score(batch) for batch in found.to_batches(max_chunksize=BATCH)]
        dates = found["prediction_date"].to_numpy().astype("datetime64[D]")
        groups = found[GROUP].to_numpy() if grouped else None
        return cls(
            table=found,
            labels=found["label"].to_numpy(),
            scored=Scored(np.concatenate(scores), model.threshold),
            drawn=Resamples.of(dates, 0, groups).groups,
        )
