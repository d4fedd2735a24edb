"""Metrics of binary scores.

Each takes a `Tally` and gives one value for each resample. A metric that has no meaning for a
resample (only one class in it) is NaN there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jobs.learning.metrics.metric import EDGE, Array, Metric, ratio
from jobs.learning.metrics.tally import Tally

# Bins of the calibration error and table: tenths of the score, as in Naeini et al., AAAI 2015.
BINS = 10


def roc_auc(found: Tally) -> Array:
    """Area under the ROC curve: the chance that a yes scores above a no (ties count half)."""
    below = np.cumsum(found.no, axis=1) - found.no / 2
    pairs = found.yes.sum(axis=1) * found.no.sum(axis=1)
    return ratio((found.yes * below).sum(axis=1), pairs)


def pr_auc(found: Tally) -> Array:
    """Average precision: precision at each distinct score, weighted by the recall it adds."""
    hits = np.cumsum(found.yes[:, ::-1], axis=1)
    named = np.cumsum(found.both[:, ::-1], axis=1)
    precision = np.divide(hits, named, out=np.zeros_like(hits), where=named > 0)
    return ratio((found.yes[:, ::-1] * precision).sum(axis=1), found.yes.sum(axis=1))


def log_loss(found: Tally) -> Array:
    """Mean negative log likelihood, in nats."""
    sure = np.clip(found.scores, EDGE, 1 - EDGE)
    return ratio(-(found.yes @ np.log(sure) + found.no @ np.log1p(-sure)), found.total)


def brier(found: Tally) -> Array:
    """Mean squared difference of score and label (Brier, 1950)."""
    lost = found.yes @ (1 - found.scores) ** 2 + found.no @ found.scores**2
    return ratio(lost, found.total)


def precision(found: Tally) -> Array:
    """Share of true yes among those that score at least the threshold."""
    hits, alarms, _ = _decided(found)
    return ratio(hits, hits + alarms)


def recall(found: Tally) -> Array:
    """Share of the true yes that score at least the threshold."""
    hits, _, misses = _decided(found)
    return ratio(hits, hits + misses)


def f1(found: Tally) -> Array:
    """Harmonic mean of precision and recall."""
    hits, alarms, misses = _decided(found)
    return ratio(2 * hits, 2 * hits + alarms + misses)


def calibration_error(found: Tally) -> Array:
    """Expected calibration error: over tenths of the score, |share of yes - mean score|.

    Weighted by each tenth's rows (Naeini, Cooper and Hauskrecht, AAAI 2015).
    """
    into = np.eye(BINS)[bin_of(found.scores)]
    gaps = np.abs((found.yes - found.both * found.scores) @ into)
    return ratio(gaps.sum(axis=1), found.total)


def bin_of(scores: Array) -> NDArray[np.int64]:
    """The tenth of each score, 0 to 9; a score of 1 is in the last."""
    return np.minimum((scores * BINS).astype(np.int64), BINS - 1)


METRICS = {
    "roc_auc": Metric(roc_auc, higher_is_better=True),
    "pr_auc": Metric(pr_auc, higher_is_better=True),
    "log_loss": Metric(log_loss, higher_is_better=False),
    "brier": Metric(brier, higher_is_better=False),
    "f1": Metric(f1, higher_is_better=True),
    "precision": Metric(precision, higher_is_better=True, undefined="nothing is said to be yes"),
    "recall": Metric(recall, higher_is_better=True),
    "calibration_error": Metric(calibration_error, higher_is_better=False),
}


def _decided(found: Tally) -> tuple[Array, Array, Array]:
    said = found.scores >= found.threshold
    hits = found.yes[:, said].sum(axis=1)
    return hits, found.no[:, said].sum(axis=1), found.yes.sum(axis=1) - hits
