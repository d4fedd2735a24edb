"""The linear candidate: a linear model of standardised features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import issparse

from jobs.learning.balance import Balance
from jobs.learning.candidates.scaling import Scaling, fit_scaling
from jobs.learning.recipe.fit import FOLD
from jobs.learning.recipe.recipe import Recipe
from jobs.learning.targets.target import Score, Target, read

# Of the kept coefficients, so that how a machine adds up cannot change a model.
DIGITS = 7


def _softmax(margin: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.exp(margin - margin.max(axis=1, keepdims=True))
    found: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
    return found


def _logistic(margin: NDArray[np.float64]) -> NDArray[np.float64]:
    chances: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(margin, -500, 500)))
    return chances


# From the sum of a row's columns, each times its coefficient, and the intercept to its score.
LINKS: Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "logistic": _logistic,
    "softmax": _softmax,
    "identity": lambda margin: margin,
}


@dataclass(frozen=True)
class Linear:
    """Coefficients of the standardised columns, and the intercept.

    Of several classes there are coefficients and an intercept for each.

    Attributes:
        link: the name of what makes scores of the sums, among `LINKS`.
    """

    recipe: Recipe
    scaling: Scaling
    link: str
    coefficients: tuple[Score, ...]
    intercept: Score
    kind: str = "linear"

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        return np.array(self.coefficients)

    def raw(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        return self.scores(self.scaling.apply(self.recipe.matrix(batch)))

    def scores(self, ready: Any) -> NDArray[np.float64]:
        """Of rows that `scaling` has made ready, as `raw`."""
        sums = [_sums(ready, weights) for weights in np.atleast_2d(self._weights)]
        shape = (ready.shape[0], *np.shape(self.intercept))
        return LINKS[self.link](np.stack(sums, axis=1).reshape(shape) + np.array(self.intercept))

    def parameters(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe.to_json(),
            "scaling": self.scaling.to_json(),
            "link": self.link,
            "coefficients": list(self.coefficients),
            "intercept": self.intercept,
        }

    def files(self) -> dict[str, bytes]:
        return self.recipe.files()

    def importance(self) -> Mapping[str, float]:
        """Sizes of the coefficients, per standard deviation of a numeric column.

        Of several classes they are added up.
        """
        names = self.scaling.columns(self.recipe)
        sizes = np.abs(np.atleast_2d(self._weights)).sum(axis=0)
        return dict(zip(names, sizes.tolist(), strict=True))

    @classmethod
    def from_parameters(cls, written: Mapping[str, Any], files: Mapping[str, bytes]) -> Linear:
        return cls(
            Recipe.from_json(written["recipe"], files),
            Scaling.from_json(written["scaling"]),
            written["link"],
            tuple(read(one) for one in written["coefficients"]),
            read(written["intercept"]),
        )


@dataclass(frozen=True)
class Ready:
    """Rows made ready for lines to be fitted through them.

    Attributes:
        matrix: as `scaling` gives it.
        balance: how rare classes count among the rows.
        counts: how many rows each stands for, where not all stand for as many.
    """

    recipe: Recipe
    scaling: Scaling
    matrix: Any
    labels: NDArray[np.float64]
    target: Target
    balance: Balance | None = None
    counts: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        rows: pa.Table,
        recipe: Recipe,
        target: Target,
        balance: Balance | None = None,
        counts: NDArray[np.float64] | None = None,
    ) -> Ready:
        """A sample of the training part: the recipe's inputs, `label` and `FOLD`, all in memory.

        A line through some hundred columns is settled by far fewer rows than trees can use: see
        `infra/decisions/0006-the-linear-candidate-learns-from-a-sample.md`.
        """
        matrix = recipe.matrix(rows, rows[FOLD])
        scaling = fit_scaling(matrix, recipe)
        labels = rows["label"].to_numpy()
        return cls(recipe, scaling, scaling.apply(matrix), labels, target, balance, counts)

    def fit(self, ridge: float) -> Linear:
        """Fit with a ridge, relative to the number of rows (scikit-learn)."""
        line = self.target.line(self.matrix, self.labels, ridge, self.balance, self.counts)
        coefficients = tuple(_settled(row) for row in line.coefficients)
        return Linear(self.recipe, self.scaling, line.link, coefficients, _settled(line.intercept))


def _settled(values: Any) -> Score:
    """A number or several, rounded to what is kept."""
    if np.ndim(values):
        return tuple(float(f"{value:.{DIGITS}g}") for value in values)
    return float(f"{values:.{DIGITS}g}")


def _sums(ready: Any, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    # Both add each row up by itself; BLAS may round a row by its neighbours.
    found: NDArray[np.float64] = (
        ready @ weights if issparse(ready) else np.einsum("ij,j->i", ready, weights)
    )
    return found
