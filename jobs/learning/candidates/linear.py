"""The linear candidate: logistic regression on standardised features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from jobs.learning.preprocess import Encoding, Scaling, fit_scaling

# A light ridge: enough to make collinear 0/1 columns identifiable.
RIDGE = 1e-4
# Of the kept coefficients, so that how a machine adds up cannot change a model.
DIGITS = 7


@dataclass(frozen=True)
class Linear:
    """Coefficients of the standardised columns, and the intercept."""

    encoding: Encoding
    scaling: Scaling
    coefficients: tuple[float, ...]
    intercept: float
    kind: str = "linear"

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        return np.array(self.coefficients)

    def raw(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        ready = self.scaling.apply(self.encoding.matrix(batch))
        # einsum adds each row up by itself; BLAS may round a row by its neighbours.
        margin = np.einsum("ij,j->i", ready, self._weights) + self.intercept
        chances: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(margin, -500, 500)))
        return chances

    def parameters(self) -> dict[str, Any]:
        return {
            "encoding": self.encoding.to_json(),
            "scaling": self.scaling.to_json(),
            "coefficients": list(self.coefficients),
            "intercept": self.intercept,
        }

    def files(self) -> dict[str, bytes]:
        return {}

    def importance(self) -> Mapping[str, float]:
        """Sizes of the coefficients, per standard deviation of a numeric column."""
        names = self.scaling.columns(self.encoding)
        return {name: abs(c) for name, c in zip(names, self.coefficients, strict=True)}

    @classmethod
    def from_parameters(cls, written: Mapping[str, Any], files: Mapping[str, bytes]) -> Linear:
        return cls(
            Encoding.from_json(written["encoding"]),
            Scaling.from_json(written["scaling"]),
            tuple(written["coefficients"]),
            written["intercept"],
        )


def fit(rows: pa.Table, encoding: Encoding) -> Linear:
    """Fit by Newton steps (scikit-learn) with a light ridge, on a sample of the training part.

    A line through some hundred columns is settled by far fewer rows than trees can use: see
    `infra/decisions/0006-the-linear-candidate-learns-from-a-sample.md`.

    Args:
        rows: the encoding's inputs and `label`; all in memory.
    """
    matrix = encoding.matrix(rows.combine_chunks().to_batches()[0])
    scaling = fit_scaling(matrix, encoding)
    ready = scaling.apply(matrix)
    learner = LogisticRegression(C=1 / (RIDGE * len(ready)), solver="newton-cholesky")
    learner.fit(ready, rows["label"].to_numpy())
    values = [float(f"{value:.{DIGITS}g}") for value in learner.coef_[0]]
    return Linear(encoding, scaling, tuple(values), float(f"{learner.intercept_[0]:.{DIGITS}g}"))
