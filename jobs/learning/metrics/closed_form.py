"""Intervals in closed form, so that a night costs no resampling."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from jobs.learning.metrics.binary import roc_auc
from jobs.learning.metrics.metric import Array
from jobs.learning.metrics.tally import tally

CONFIDENCE = 0.95


def auc_interval(labels: Array, scores: Array, weights: Array) -> tuple[float, float, float]:
    """Area under the ROC curve with DeLong's interval; NaN if only one class is there.

    The variance is that of the mean placement of the yes among the no and of the no among the
    yes (DeLong, DeLong and Clarke-Pearson, Biometrics 44(3), 1988); with fewer than two rows of a
    class there is none. `weights` counts how many equal rows each stands for.
    """
    counted = tally(labels, scores, weights)
    area = float(roc_auc(counted)[0])
    yes, no = counted.yes[0], counted.no[0]
    if min(yes.sum(), no.sum()) < 2:
        return area, np.nan, np.nan
    no_below = (np.cumsum(no) - no / 2) / no.sum()
    yes_above = 1 - (np.cumsum(yes) - yes / 2) / yes.sum()
    variance = _variance(no_below, yes) / yes.sum() + _variance(yes_above, no) / no.sum()
    half = float(norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt(variance))
    return area, max(0.0, area - half), min(1.0, area + half)


def mean_interval(values: Array, weights: Array) -> tuple[float, float, float]:
    """A mean of rows with its normal interval; NaN without rows."""
    total = weights.sum()
    if total == 0:
        return np.nan, np.nan, np.nan
    mean = float((values * weights).sum() / total)
    if total < 2:
        return mean, np.nan, np.nan
    half = float(norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt(_variance(values, weights) / total))
    return mean, mean - half, mean + half


def _variance(values: Array, weights: Array) -> float:
    total = weights.sum()
    mean = (values * weights).sum() / total
    return float((weights * (values - mean) ** 2).sum() / (total - 1))
