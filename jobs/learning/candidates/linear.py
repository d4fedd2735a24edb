"""The linear candidate: logistic regression on standardised features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.linear_model import LogisticRegression

from jobs.learning.candidates.scaling import Scaling, fit_scaling
from jobs.learning.recipe.fit import FOLD
from jobs.learning.recipe.recipe import Recipe

# A light ridge: enough to make collinear 0/1 columns identifiable.
RIDGE = 1e-4
# Of the kept coefficients, so that how a machine adds up cannot change a model.
DIGITS = 7
# Newton steps take some ten, L-BFGS some hundred.
MOST_STEPS = 1000


@dataclass(frozen=True)
class Linear:
    """Coefficients of the standardised columns, and the intercept."""

    recipe: Recipe
    scaling: Scaling
    coefficients: tuple[float, ...]
    intercept: float
    kind: str = "linear"

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        return np.array(self.coefficients)

    def raw(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        ready = self.scaling.apply(self.recipe.matrix(batch))
        # Both add each row up by itself; BLAS may round a row by its neighbours.
        if issparse(ready):
            margin = ready @ self._weights + self.intercept
        else:
            margin = np.einsum("ij,j->i", ready, self._weights) + self.intercept
        chances: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(margin, -500, 500)))
        return chances

    def parameters(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe.to_json(),
            "scaling": self.scaling.to_json(),
            "coefficients": list(self.coefficients),
            "intercept": self.intercept,
        }

    def files(self) -> dict[str, bytes]:
        return self.recipe.files()

    def importance(self) -> Mapping[str, float]:
        """Sizes of the coefficients, per standard deviation of a numeric column."""
        names = self.scaling.columns(self.recipe)
        return {name: abs(c) for name, c in zip(names, self.coefficients, strict=True)}

    @classmethod
    def from_parameters(cls, written: Mapping[str, Any], files: Mapping[str, bytes]) -> Linear:
        return cls(
            Recipe.from_json(written["recipe"], files),
            Scaling.from_json(written["scaling"]),
            tuple(written["coefficients"]),
            written["intercept"],
        )


def fit(rows: pa.Table, recipe: Recipe) -> Linear:
    """Fit with a light ridge (scikit-learn), on a sample of the training part.

    A line through some hundred columns is settled by far fewer rows than trees can use: see
    `infra/decisions/0006-the-linear-candidate-learns-from-a-sample.md`.

    Args:
        rows: the recipe's inputs, `label` and `FOLD`; all in memory.
    """
    matrix = recipe.matrix(rows, rows[FOLD])
    scaling = fit_scaling(matrix, recipe)
    ready = scaling.apply(matrix)
    # Newton steps need a square of the columns, of which a sparse matrix has too many.
    solver = "lbfgs" if issparse(ready) else "newton-cholesky"
    ridge = 1 / (RIDGE * ready.shape[0])
    learner = LogisticRegression(C=ridge, solver=solver, max_iter=MOST_STEPS)
    learner.fit(ready, rows["label"].to_numpy())
    values = [float(f"{value:.{DIGITS}g}") for value in learner.coef_[0]]
    return Linear(recipe, scaling, tuple(values), float(f"{learner.intercept_[0]:.{DIGITS}g}"))
