"""The constant: everybody gets the training part's rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F

from jobs.learning.dataset import Parts


@dataclass(frozen=True)
class Constant:
    """One score for all rows: `rate`, the share of yes in training."""

    rate: float
    kind: str = "constant"

    def raw(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        return np.full(batch.num_rows, self.rate)

    def parameters(self) -> dict[str, Any]:
        return {"rate": self.rate}

    def files(self) -> dict[str, bytes]:
        return {}

    def importance(self) -> Mapping[str, float]:
        return {}

    @classmethod
    def from_parameters(cls, written: Mapping[str, Any], files: Mapping[str, bytes]) -> Constant:
        return cls(written["rate"])


def fit(parts: Parts) -> Constant:
    """Average the training part's labels."""
    return Constant(float(parts.train.agg(F.avg("label")).collect()[0][0]))
