"""Metrics of predicted numbers.

All of them follow from a few sums over the rows, so that a resample of dates needs only the sums of
each date.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.learning.band import Band
from jobs.learning.metrics.metric import NO_ROWS, TOO_FEW, Array, Metric, ratio

NO_INTERVALS = "it gives no intervals"


@dataclass(frozen=True)
class Errors:
    """Weighted sums over rows, each of shape (resamples,).

    Attributes:
        rows: of the weights alone.
        absolute, squared, signed: of prediction minus label: its size, its square, itself.
        covered: of rows whose label lies in its interval; NaN of scores without intervals.
        label, label_squared: of the labels, measured from their mean before weighting, so that
            large numbers do not swallow their differences.
    """

    rows: Array
    absolute: Array
    squared: Array
    signed: Array
    covered: Array
    label: Array
    label_squared: Array


@dataclass(frozen=True)
class ErrorCounter:
    """Tallies errors under any weights of their groups of rows.

    Attributes:
        sums: those of `Errors`, for each group, shape (groups, 7).
    """

    sums: Array

    @classmethod
    def of(
        cls,
        labels: Array,
        scores: Array,
        groups: NDArray[np.int64],
        n: int,
        band: Band | None = None,
    ) -> ErrorCounter:
        """Prepare rows of `n` groups; `groups` is each row's group from 0 to n - 1."""
        errors = scores - labels
        apart = labels - labels.mean() if len(labels) else labels
        ones = np.ones(len(labels))
        covered = ones * np.nan if band is None else band.covers(labels, scores).astype(np.float64)
        columns = (ones, np.abs(errors), errors**2, errors, covered, apart, apart**2)
        return cls(np.column_stack([np.bincount(groups, c, minlength=n) for c in columns]))

    @property
    def width(self) -> int:
        return int(self.sums.shape[1])

    def tally(self, weights: Array) -> Errors:
        """The sums under weights of shape (resamples, groups)."""
        return Errors(*(weights @ self.sums).T)


def mae(found: Errors) -> Array:
    """Mean absolute error, in the label's unit."""
    return ratio(found.absolute, found.rows)


def rmse(found: Errors) -> Array:
    """Square root of the mean squared error, in the label's unit."""
    root: Array = np.sqrt(ratio(found.squared, found.rows))
    return root


def r2(found: Errors) -> Array:
    """Coefficient of determination: 1 - squared error / squared distance of labels from their mean.

    Below 0 where the mean of the labels would have been the better prediction.
    """
    mean = ratio(found.label, found.rows)
    spread = found.label_squared - found.rows * mean**2
    # What is left of equal labels after rounding is no spread.
    return 1 - ratio(found.squared, np.where(spread > 1e-12 * found.label_squared, spread, 0.0))


def bias(found: Errors) -> Array:
    """Mean error, in the label's unit; above 0 where predictions are too large."""
    return ratio(found.signed, found.rows)


def coverage(found: Errors) -> Array:
    """Share of the rows whose label lies in the interval of its score."""
    return ratio(found.covered, found.rows)


# A coverage is best at its level and a bias at 0, so they have no direction, and decide nothing.
METRICS = {
    "rmse": Metric(rmse, higher_is_better=False, undefined=NO_ROWS, unsure=TOO_FEW),
    "mae": Metric(mae, higher_is_better=False, undefined=NO_ROWS, unsure=TOO_FEW),
    "r2": Metric(r2, higher_is_better=True, undefined="its labels are all equal", unsure=TOO_FEW),
    "bias": Metric(bias, higher_is_better=False, undefined=NO_ROWS, unsure=TOO_FEW),
    "coverage": Metric(coverage, higher_is_better=True, undefined=NO_INTERVALS, unsure=TOO_FEW),
}
