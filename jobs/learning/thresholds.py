"""The threshold from which a score counts as yes, chosen on validation only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.learning.metrics.metric import ratio
from jobs.usecase import Cost, Threshold

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Chosen:
    """A threshold, and what is to be said of it if it is not what was asked for."""

    threshold: float
    remark: str | None = None


@dataclass(frozen=True)
class Cuts:
    """What comes of each threshold that makes a difference to some rows, the highest first.

    Attributes:
        thresholds: one above all scores, and each distinct score.
        said, hits: rows that are said to be yes, and those of them that are.
        yes: rows that are.
    """

    thresholds: Array
    said: Array
    hits: Array
    yes: float

    @classmethod
    def of(cls, scores: Array, labels: Array) -> Cuts:
        order = np.argsort(-scores, kind="stable")
        ranked, hits = scores[order], np.cumsum(labels[order])
        last_of_equals = np.append(ranked[1:] != ranked[:-1], True)
        return cls(
            thresholds=np.append(np.nextafter(ranked[0], np.inf), ranked[last_of_equals]),
            said=np.append(0.0, np.flatnonzero(last_of_equals) + 1.0),
            hits=np.append(0.0, hits[last_of_equals]),
            yes=float(labels.sum()),
        )

    @property
    def precision(self) -> Array:
        """Share of those said to be yes that are; NaN where nothing is said."""
        return ratio(self.hits, self.said)

    @property
    def recall(self) -> Array:
        return self.hits / self.yes

    def f_beta(self, beta: float) -> Array:
        """The mean of precision and recall that weighs recall `beta` times as much.

        The harmonic one (van Rijsbergen, Information Retrieval, 1979, chapter 7).
        """
        found: Array = (1 + beta**2) * self.hits / (self.said + beta**2 * self.yes)
        return found

    def cost(self, false_positive: float, false_negative: float) -> Array:
        """What the errors cost together."""
        found: Array = false_positive * (self.said - self.hits) + false_negative * (
            self.yes - self.hits
        )
        return found


def choose(spec: Threshold, scores: Array, labels: Array) -> Chosen:
    """The threshold that a use case asks for; of equally good ones the highest.

    Args:
        scores: calibrated.
        labels: 0 or 1, some of each.
    """
    if spec.fixed is not None:
        return Chosen(spec.fixed)
    cuts = Cuts.of(scores, labels)
    if spec.at_least and spec.at_least.precision is not None:
        return _precise(cuts, spec.at_least.precision)
    if spec.at_least and spec.at_least.recall is not None:
        # The lowest threshold always meets it.
        meets = cuts.recall >= spec.at_least.recall
        return Chosen(float(cuts.thresholds[np.argmax(np.where(meets, cuts.precision, -1.0))]))
    if spec.cost is not None:
        return _cheapest(cuts, spec.cost)
    return Chosen(float(cuts.thresholds[np.argmax(cuts.f_beta(spec.beta or 1.0))]))


def _precise(cuts: Cuts, wanted: float) -> Chosen:
    """Of the thresholds with a precision the one with the largest recall."""
    precision = np.nan_to_num(cuts.precision, nan=-1.0)
    meets = precision >= wanted
    if meets.any():
        return Chosen(float(cuts.thresholds[np.argmax(np.where(meets, cuts.recall, -1.0))]))
    best = np.argmax(precision)
    threshold = float(cuts.thresholds[best])
    return Chosen(
        threshold,
        f"No threshold has a precision of {wanted:g} on validation: the most is "
        f"{precision[best]:.3f}, from {threshold:.3g} on, which was taken.",
    )


def _cheapest(cuts: Cuts, cost: Cost) -> Chosen:
    place = int(np.argmin(cuts.cost(cost.false_positive, cost.false_negative)))
    threshold = float(cuts.thresholds[place])
    if place:
        return Chosen(threshold)
    return Chosen(
        threshold,
        "At the declared costs nothing is cheaper on validation than never to say yes, so that "
        "only scores above all of its scores do.",
    )
