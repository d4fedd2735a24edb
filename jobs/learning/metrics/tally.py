"""How many yes and no there are at each distinct score: all that a metric of scores needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tally:
    """Weighted counts, one row for each resample.

    Attributes:
        scores: distinct scores, ascending, shape (scores,).
        yes, no: weights of the rows with and without the label, shape (resamples, scores).
        threshold: the score from which a row counts as yes.
    """

    scores: Array
    yes: Array
    no: Array
    threshold: float = 0.5

    @property
    def both(self) -> Array:
        return self.yes + self.no

    @property
    def total(self) -> Array:
        """Weight of all rows, shape (resamples,)."""
        weights: Array = self.both.sum(axis=1)
        return weights


@dataclass(frozen=True)
class Counter:
    """Tallies one set of scores under any weights of its groups of rows."""

    scores: Array
    yes: sparse.csr_array
    no: sparse.csr_array
    threshold: float = 0.5

    @classmethod
    def of(
        cls,
        labels: Array,
        scores: Array,
        groups: NDArray[np.int64],
        n: int,
        threshold: float = 0.5,
    ) -> Counter:
        """Prepare rows of `n` groups; `groups` is each row's group from 0 to n - 1."""
        distinct, place = np.unique(scores, return_inverse=True)
        shape = (n, len(distinct))
        parts = [
            sparse.csr_array((weight, (groups, place)), shape=shape)
            for weight in (labels, 1.0 - labels)
        ]
        return cls(distinct, parts[0], parts[1], threshold)

    @property
    def width(self) -> int:
        return len(self.scores)

    def tally(self, weights: Array) -> Tally:
        """The tally under weights of shape (resamples, groups)."""
        return Tally(self.scores, weights @ self.yes, weights @ self.no, self.threshold)


def tally(
    labels: Array, scores: Array, weights: Array | None = None, threshold: float = 0.5
) -> Tally:
    """The tally of plain rows: labels 0 or 1, scores, and optional weights of shape (rows,)."""
    distinct, place = np.unique(scores, return_inverse=True)
    weight = np.ones(len(scores)) if weights is None else weights
    yes, no = (
        np.bincount(place, weight * part, minlength=len(distinct))[None, :].astype(np.float64)
        for part in (labels, 1.0 - labels)
    )
    return Tally(distinct, yes, no, threshold)
