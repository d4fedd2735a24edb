"""The rows that models are judged on, and what the models say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.learning.band import Band

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """One model's finished scores of some rows, and its threshold and band, if it has them."""

    scores: Array
    threshold: float | None = None
    band: Band | None = None

    def at(self, rows: Any) -> Scored:
        """Those of some of the rows."""
        return Scored(self.scores[rows], self.threshold, self.band)


@dataclass(frozen=True)
class Holdout:
    """The holdout's rows, as arrays of one length.

    Attributes:
        labels: as numbers, as `Target.coded` gives them.
        dates: prediction dates.
        slices: for each declared slice, every row's value as text (None: no value).
        groups: for each row, what stands for its group; None where rows are not split by groups.
    """

    labels: Array
    dates: NDArray[np.datetime64]
    slices: Mapping[str, NDArray[np.object_]]
    groups: NDArray[np.int64] | None = None
