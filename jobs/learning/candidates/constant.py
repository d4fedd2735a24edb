"""The constant: everybody gets the same score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.learning.dataset import Parts
from jobs.learning.targets.target import Score, Target, read


@dataclass(frozen=True)
class Constant:
    """One score for all rows, such as the share of yes in training."""

    score: Score
    kind: str = "constant"

    def raw(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        return np.full((batch.num_rows, *np.shape(self.score)), self.score)

    def parameters(self) -> dict[str, Any]:
        return {"score": self.score}

    def files(self) -> dict[str, bytes]:
        return {}

    def importance(self) -> Mapping[str, float]:
        return {}

    @classmethod
    def from_parameters(cls, written: Mapping[str, Any], files: Mapping[str, bytes]) -> Constant:
        return cls(read(written["score"]))


def fit(parts: Parts, target: Target, metric: str) -> Constant:
    """The score that is best for all rows of the training part where `metric` decides."""
    return Constant(target.constant(parts.train, metric))
