"""Rare classes: how they count more while a model learns, and what that does to its scores.

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
    import pyarrow as pa
    from pyspark.sql import DataFrame

Array = NDArray[np.float64]
TIMES = "_times"


@dataclass(frozen=True)
class Balance:
    """How much each class counts more than its rows say.

    Attributes:
        factors: by class, in the order of labels as numbers: weights of rows, whose mean over the
            training part is 1, or how often a row is learned from on average: at most once where
            rows are left out, at least once where they are repeated.
        sampled: whether they are how often rows are learned from.
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
        if sampled := spec.by != "weight":
            once = max(factors) if spec.by == "undersample" else min(factors)
            factors = [factor / once for factor in factors]
            # There is nothing to be gained by leaving out rows of the rarer class, nor by repeating
            # those of the more frequent one.
            rarest, commonest = (end(zip(rates, factors, strict=True))[1] for end in (min, max))
            if rarest < 1 or commonest > 1:
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

    def drawn(self, train: DataFrame, key: tuple[str, ...], seed: int) -> DataFrame:
        """Where rows are left out or repeated, those that are learned from.

        Each with `_times`, how often: the whole part of its class's factor, and by a hash of its
        key once more for the rest.
        """
        factors = F.array(*[F.lit(factor) for factor in self.factors])
        factor = F.element_at(factors, F.col("label").cast("int") + 1)
        once_more = hash_of(f"kept {seed}", key) < (factor - F.floor(factor)) * HASHES
        times = F.floor(factor).cast("int") + once_more.cast("int")
        return train.withColumn(TIMES, times).where(F.col(TIMES) > 0)


def repeated(drawn: DataFrame) -> DataFrame:
    """Each row as often as its `_times` says."""
    copies = F.explode(F.array_repeat(F.lit(True), F.col(TIMES)))
    return drawn.withColumn("_copy", copies).drop("_copy", TIMES)


def times_of(sampled: pa.Table, counts: Array | None) -> Array | None:
    """How many rows each of a sample of drawn rows stands for, if not all for as many.

    To a line a row of weight k is what k copies of it are. The mean is left as it was, because a
    ridge is relative to the number of rows.

    Args:
        counts: how many of the drawn rows each stands for, where not all stand for as many.
    """
    if TIMES not in sampled.column_names:
        return counts
    times: Array = sampled[TIMES].to_numpy().astype(np.float64)
    before = np.ones(len(times)) if counts is None else counts
    return before * times / np.average(times, weights=before)


def row_weights(labels: Array, balance: Balance | None, counts: Array | None) -> Array | None:
    """Of rows that are learned from: those of a balance, times how many rows each stands for."""
    if balance is None:
        return counts
    weights = balance.weights(labels)
    return weights if counts is None else weights * counts
