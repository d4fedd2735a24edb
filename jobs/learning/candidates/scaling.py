"""What a linear model needs on top of a recipe: no missing values, and numbers of one size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix, issparse

from jobs.learning.recipe.recipe import Matrix, Recipe, beside
from jobs.learning.recipe.rows import rounded


@dataclass(frozen=True)
class Scaling:
    """Numbers brought to mean 0 and spread 1; the columns of blocks stay as they are.

    A missing number becomes the training mean, beside a 0/1 column that says it was missing
    (only for columns that had missing values in training).

    Attributes:
        means, scales: of each number, on the training part.
        missing: places of the numbers that get a column of their own.
    """

    means: tuple[float, ...]
    scales: tuple[float, ...]
    missing: tuple[int, ...]

    def columns(self, recipe: Recipe) -> tuple[str, ...]:
        return (*recipe.columns, *(f"{recipe.numbers[i]} is missing" for i in self.missing))

    def apply(self, matrix: Matrix) -> NDArray[np.float64] | csr_matrix:
        """A recipe's matrix made ready, shape (rows, columns + missing); sparse if it was."""
        width = len(self.means)
        numbers = _numbers(matrix, width)
        absent = np.isnan(numbers)
        numbers -= np.array(self.means)
        numbers /= np.array(self.scales)
        numbers[absent] = 0.0
        flags = absent[:, list(self.missing)].astype(np.float64)
        if issparse(matrix):
            return beside(numbers, matrix[:, width:], csr_array(flags))
        return np.hstack([numbers, matrix[:, width:], flags])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Scaling:
        return cls(*(tuple(written[name]) for name in ("means", "scales", "missing")))


def fit_scaling(matrix: Matrix, recipe: Recipe) -> Scaling:
    """Means and spreads of a matrix's numbers, missing values left out."""
    numbers = _numbers(matrix, len(recipe.numbers))
    absent = np.isnan(numbers)
    there = np.maximum((~absent).sum(axis=0), 1)
    means = np.where(absent, 0.0, numbers).sum(axis=0) / there
    squares = np.where(absent, 0.0, (numbers - means) ** 2).sum(axis=0)
    return Scaling(
        means=tuple(rounded(mean) for mean in means),
        scales=tuple(rounded(spread) or 1.0 for spread in np.sqrt(squares / there)),
        missing=tuple(np.flatnonzero(absent.any(axis=0)).tolist()),
    )


def _numbers(matrix: Matrix, width: int) -> NDArray[np.float64]:
    """The first columns, dense, to be written into."""
    numbers: Any = matrix[:, :width]
    if issparse(numbers):
        numbers = numbers.toarray()
    found: NDArray[np.float64] = numbers.astype(np.float64)
    return found
