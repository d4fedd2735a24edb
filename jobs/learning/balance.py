"""Rare classes: how their rows count more while a model learns, and what that does to its scores.

A model that learned from rows of which yes is half says too often yes: its odds are too large by
the factor by which the odds of yes were raised among its rows. This is mended exactly, by taking
the logarithm of that factor from the sum that the score is made of (Elkan, The foundations of
cost-sensitive learning, IJCAI 2001, theorem 2; for rows left out Dal Pozzolo et al., Calibrating
probability with undersampling for unbalanced classification, SSCI 2015). What learns begins each
of its rows with that logarithm, or has it taken from its intercept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import functions as F

from jobs.learning.cut import HASHES, hash_of
from jobs.usecase import Imbalance

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Balance:
    """How much each class counts more than its rows say.

    Attributes:
        factors: by class, in the order of labels as numbers: weights of rows, whose mean over the
            training part is 1, or shares of rows that are learned from, of which the largest is 1.
        sampled: whether they are shares of rows.
        rates: the true shares of the classes in the training part.
    """

    factors: tuple[float, ...]
    sampled: bool
    rates: tuple[float, ...]

    @classmethod
    def of(cls, spec: Imbalance, rows: Sequence[int]) -> Balance:
        """That of a training part with so many rows of each class, some of each."""
        rates = [one / sum(rows) for one in rows]
        wanted = [1 / len(rows)] * len(rows) if spec.to is None else [1 - spec.to, spec.to]
        factors = [share / rate for share, rate in zip(wanted, rates, strict=True)]
        if sampled := spec.by == "undersample":
            factors = [factor / max(factors) for factor in factors]
            # There is nothing to be gained by leaving out rows of the rarer class.
            if min(zip(rates, factors, strict=True))[1] < 1:
                factors = [1.0] * len(rows)
        return cls(tuple(factors), sampled, tuple(rates))

    def weights(self, labels: Array) -> Array:
        """Of rows that are learned from, by their labels."""
        if self.sampled:
            return np.ones(len(labels))
        found: Array = np.array(self.factors)[labels.astype(np.int64)]
        return found

    @property
    def margins(self) -> Array:
        """By how much the sum of each class, or its log-odds, is raised in what is learned."""
        found: Array = np.log(self.factors)
        return found

    def kept(self, train: DataFrame, key: tuple[str, ...], seed: int) -> DataFrame:
        """Where rows are left out, those that are learned from, by a hash of their keys."""
        shares = F.array(*[F.lit(factor) for factor in self.factors])
        share = F.element_at(shares, F.col("label").cast("int") + 1)
        return train.where(hash_of(f"kept {seed}", key) < share * HASHES)


def row_weights(labels: Array, balance: Balance | None, counts: Array | None) -> Array | None:
    """Of rows that are learned from: those of a balance, times how many rows each stands for."""
    if balance is None:
        return counts
    weights = balance.weights(labels)
    return weights if counts is None else weights * counts
