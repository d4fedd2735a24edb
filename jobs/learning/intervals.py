"""Bootstrap intervals, plain and paired.

Rows of one date share their weather and their staff, so whole prediction dates are drawn (the
cluster bootstrap; Field and Welsh, JRSS B 69(3), 2007): also where rows were split at random, which
makes those of a date no less alike. Where they were split by groups, rows of a group hang together,
and groups are drawn: it is of other groups that the interval has to speak. With fewer than ten of
either that would say little, and rows are drawn instead. All scores are weighed by the same draws,
which makes the difference of two models a paired comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from statistics import NormalDist
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from jobs.learning.holdout import Scored
from jobs.learning.metrics.metric import Array, Counter, Metric

if TYPE_CHECKING:
    from jobs.learning.targets.target import Target

# What one of several distributions is called.
Key = TypeVar("Key")

RESAMPLES = 1000
# Of dates or groups.
FEWEST = 10
# Weights held in memory at a time.
CELLS = 4_000_000
# An interval that more resamples than this share cannot be computed for is not given.
UNDEFINED = 0.05


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; None where it has no meaning, and `reason` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    def at(self, confidence: float, known: float) -> Estimate:
        """The interval of another confidence, from this one, which is of the confidence `known`.

        Each end is moved away from the value as far as one of a normal distribution would be: a
        thousand draws do not reach into the tails that a correction for many looks asks for.
        """
        if self.value is None or self.low is None or self.high is None:
            return self
        further = _normal(confidence) / _normal(known)
        low, high = self.value - self.low, self.high - self.value
        return replace(self, low=self.value - further * low, high=self.value + further * high)


@dataclass(frozen=True)
class Asked:
    """Metrics of one model on some rows.

    Attributes:
        labels, scored: of all rows.
        rows: a slice of them; None for all.
    """

    metrics: tuple[str, ...]
    labels: Array
    scored: Scored
    rows: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Resamples:
    """The draws of one bootstrap over fixed rows.

    Attributes:
        groups: each row's group, 0 to n - 1: that of the split, its date, or the row itself.
        n: number of groups.
        seed: of the draws.
        by: `groups`, `dates` or `rows`, what is drawn.
    """

    groups: NDArray[np.int64]
    n: int
    seed: int
    by: str

    @classmethod
    def of(
        cls, dates: NDArray[np.datetime64], seed: int, groups: NDArray[np.int64] | None = None
    ) -> Resamples:
        """Draw groups, or dates where there are none, if there are at least ten; else rows."""
        drawn, by = (dates, "dates") if groups is None else (groups, "groups")
        distinct, place = np.unique(drawn, return_inverse=True)
        if len(distinct) >= FEWEST:
            return cls(place.astype(np.int64), len(distinct), seed, by)
        return cls(np.arange(len(dates), dtype=np.int64), len(dates), seed, "rows")

    def weights(self, width: int) -> Iterator[Array]:
        """How often each group is drawn, in chunks of shape (resamples, n).

        The chunks are cut so that `width` numbers for each resample fit in memory.
        """
        rng = np.random.default_rng(self.seed)
        step = max(1, CELLS // max(1, width, self.n))
        chances = np.full(self.n, 1 / self.n)
        for start in range(0, RESAMPLES, step):
            size = min(step, RESAMPLES - start)
            yield rng.multinomial(self.n, chances, size=size).astype(np.float64)

    def distributions(
        self, target: Target, asked: Mapping[Key, Asked]
    ) -> dict[Key, dict[str, Array]]:
        """Each metric under all draws, shape (1 + resamples,); the first is of the rows as given.

        All are under the same draws, which are made once: of many rows they take longest.
        """
        counters = {key: self._counter(target, each) for key, each in asked.items()}
        found: dict[Key, dict[str, list[Array]]] = {
            key: {name: [] for name in each.metrics} for key, each in asked.items()
        }
        width = max((counter.width for counter in counters.values()), default=1)
        for weights in chain([np.ones((1, self.n))], self.weights(width)):
            for key, counter in counters.items():
                tallied = counter.tally(weights)
                for name, values in found[key].items():
                    values.append(target.metrics[name].values(tallied))
        return {
            key: {name: np.concatenate(values) for name, values in each.items()}
            for key, each in found.items()
        }

    def _counter(self, target: Target, asked: Asked) -> Counter:
        chosen = slice(None) if asked.rows is None else asked.rows
        labels, scored = asked.labels[chosen], asked.scored.at(chosen)
        return target.counter(labels, scored, self.groups[chosen], self.n)


def estimate(metric: Metric, distribution: Array, confidence: float) -> Estimate:
    """The first value and the central percentile interval of the others."""
    value, draws = distribution[0], distribution[1:]
    if np.isnan(value):
        return Estimate(None, reason=metric.undefined)
    if np.isnan(draws).mean() > UNDEFINED:
        return Estimate(float(value), reason=metric.unsure)
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high))


def gain(metric: Metric, of: Array, over: Array, confidence: float) -> Estimate:
    """The paired gain of one distribution over another; positive is better."""
    return estimate(metric, metric.sign * (of - over), confidence)


def _normal(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
