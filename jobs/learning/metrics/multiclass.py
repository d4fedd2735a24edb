"""Metrics of probabilities of several classes.

All but the areas under ROC curves follow from a few sums over the rows, so that a resample of dates
needs only the sums of each date. Which class is said of a row is the target's to say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from jobs.learning.metrics import binary
from jobs.learning.metrics.binary import BINS, bin_of
from jobs.learning.metrics.metric import EDGE, NO_ROWS, TOO_FEW, Array, Metric, ratio
from jobs.learning.metrics.tally import Counter


@dataclass(frozen=True)
class ClassTally:
    """Weighted sums over rows, one for each resample.

    Attributes:
        confusion: rows by true class and said class, shape (resamples, classes, classes).
        log_loss, brier: of the rows' losses, shape (resamples,).
        right, sure: by tenths of the said class's probability, shape (resamples, tenths): rows of
            which it was true, and these probabilities.
        each: what tallies each class against the others, under `weights`.
        weights: of the groups of rows, shape (resamples, groups).
    """

    confusion: Array
    log_loss: Array
    brier: Array
    right: Array
    sure: Array
    each: tuple[Counter, ...]
    weights: Array

    @property
    def total(self) -> Array:
        """Weight of all rows, shape (resamples,)."""
        weights: Array = self.confusion.sum(axis=(1, 2))
        return weights


@dataclass(frozen=True)
class ClassCounter:
    """Tallies rows under any weights of their groups.

    Attributes:
        cells: rows by true and said class, shape (groups, classes * classes).
        sums: log loss, Brier score, right and sure of `ClassTally`, shape (groups, 2 + 2 * tenths).
        each: of each class against the others.
    """

    cells: sparse.csr_array
    sums: sparse.csr_array
    each: tuple[Counter, ...]

    @classmethod
    def of(
        cls,
        labels: Array,
        scores: Array,
        said: NDArray[np.int64],
        groups: NDArray[np.int64],
        n: int,
    ) -> ClassCounter:
        """Prepare rows of `n` groups.

        Args:
            labels: places of the true classes.
            scores: probabilities, shape (rows, classes).
            said: places of the said classes.
            groups: each row's group, from 0 to n - 1.
        """
        rows, classes = scores.shape
        truth, sure = labels.astype(np.int64), chance_of(said, scores)
        place = 2 + bin_of(sure)
        ones = np.ones(rows)
        columns = (
            (np.zeros(rows, dtype=np.int64), -np.log(np.clip(chance_of(truth, scores), EDGE, 1))),
            (np.ones(rows, dtype=np.int64), ((scores - np.eye(classes)[truth]) ** 2).sum(axis=1)),
            (place, (said == truth).astype(np.float64)),
            (place + BINS, sure),
        )
        cells = sparse.csr_array((ones, (groups, truth * classes + said)), (n, classes**2))
        values = np.concatenate([value for _, value in columns])
        places = np.concatenate([place for place, _ in columns])
        sums = sparse.csr_array((values, (np.tile(groups, 4), places)), (n, 2 + 2 * BINS))
        each = (
            Counter.of((truth == c).astype(np.float64), scores[:, c], groups, n)
            for c in range(classes)
        )
        return cls(cells, sums, tuple(each))

    @property
    def width(self) -> int:
        return max(int(self.cells.shape[1]), *(one.width for one in self.each))

    def tally(self, weights: Array) -> ClassTally:
        """The tally under weights of shape (resamples, groups)."""
        classes, sums = len(self.each), weights @ self.sums
        return ClassTally(
            confusion=(weights @ self.cells).reshape(-1, classes, classes),
            log_loss=sums[:, 0],
            brier=sums[:, 1],
            right=sums[:, 2 : 2 + BINS],
            sure=sums[:, 2 + BINS :],
            each=self.each,
            weights=weights,
        )


def chance_of(places: NDArray[np.int64], scores: Array) -> Array:
    """The probability that each row gave to one class, by the class's place."""
    found: Array = scores[np.arange(len(places)), places]
    return found


def log_loss(found: ClassTally) -> Array:
    """Mean negative logarithm of the true class's probability, in nats."""
    return ratio(found.log_loss, found.total)


def brier(found: ClassTally) -> Array:
    """Mean over rows of the squared differences of all classes, from 0 to 2 (Brier, 1950)."""
    return ratio(found.brier, found.total)


def accuracy(found: ClassTally) -> Array:
    """Share of rows whose said class is true."""
    return ratio(np.trace(found.confusion, axis1=1, axis2=2), found.total)


def f1_macro(found: ClassTally) -> Array:
    """Mean of the classes' F1; a class that is neither true nor said of any row is left out."""
    scores, there = _f1(found)
    return ratio(scores.sum(axis=1), there.sum(axis=1).astype(np.float64))


def f1_weighted(found: ClassTally) -> Array:
    """Mean of the classes' F1, weighted by how many rows are truly of each."""
    scores, _ = _f1(found)
    return ratio((scores * found.confusion.sum(axis=2)).sum(axis=1), found.total)


def roc_auc(found: ClassTally) -> Array:
    """Mean over the classes of the area under the ROC curve of each against all others.

    Without a row of a class, or of any other, it has no meaning.
    """
    areas = [binary.roc_auc(one.tally(found.weights)) for one in found.each]
    mean: Array = np.mean(areas, axis=0)
    return mean


def calibration_error(found: ClassTally) -> Array:
    """Expected calibration error of the said class: over tenths, |share of right - mean chance|.

    Weighted by each tenth's rows (Guo, Pleiss, Sun and Weinberger, ICML 2017).
    """
    return ratio(np.abs(found.right - found.sure).sum(axis=1), found.total)


EVERY_CLASS = "its rows do not hold every class"
TOO_FEW_OF_ONE = "too few rows of a class for an interval"

METRICS = {
    "log_loss": Metric(log_loss, higher_is_better=False, undefined=NO_ROWS, unsure=TOO_FEW),
    "accuracy": Metric(accuracy, higher_is_better=True, undefined=NO_ROWS, unsure=TOO_FEW),
    "f1_weighted": Metric(f1_weighted, higher_is_better=True, undefined=NO_ROWS, unsure=TOO_FEW),
    "f1_macro": Metric(f1_macro, higher_is_better=True, undefined=NO_ROWS, unsure=TOO_FEW),
    "roc_auc": Metric(roc_auc, higher_is_better=True, undefined=EVERY_CLASS, unsure=TOO_FEW_OF_ONE),
    "brier": Metric(brier, higher_is_better=False, undefined=NO_ROWS, unsure=TOO_FEW),
    "calibration_error": Metric(
        calibration_error, higher_is_better=False, undefined=NO_ROWS, unsure=TOO_FEW
    ),
}


def _f1(found: ClassTally) -> tuple[Array, NDArray[np.bool_]]:
    """The F1 of each class (0 where it has none), and whether there is anything of the class."""
    hits = np.diagonal(found.confusion, axis1=1, axis2=2)
    both = found.confusion.sum(axis=1) + found.confusion.sum(axis=2)
    there = both > 0
    return np.divide(2 * hits, both, out=np.zeros_like(both), where=there), there
