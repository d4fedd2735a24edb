"""Intervals in closed form, so that a night costs no resampling."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from jobs.learning.metrics.binary import roc_auc
from jobs.learning.metrics.metric import Array
from jobs.learning.metrics.tally import tally

CONFIDENCE = 0.95

# A value and the ends of its interval; NaN where there is none.
Interval = tuple[float, float, float]


def auc_interval(labels: Array, scores: Array, weights: Array) -> Interval:
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


def mean_interval(values: Array, weights: Array) -> Interval:
    """A mean of rows with its normal interval; NaN without rows."""
    total = weights.sum()
    if total == 0:
        return np.nan, np.nan, np.nan
    mean = float((values * weights).sum() / total)
    if total < 2:
        return mean, np.nan, np.nan
    half = float(norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt(_variance(values, weights) / total))
    return mean, mean - half, mean + half


def share_interval(came_true: Array, weights: Array) -> Interval:
    """The interval of a share of rows, of which each is 0 or 1, within 0 and 1."""
    return _within(mean_interval(came_true, weights))


def _variance(values: Array, weights: Array) -> float:
    total = weights.sum()
    mean = (values * weights).sum() / total
    return float((weights * (values - mean) ** 2).sum() / (total - 1))


def f1_intervals(
    labels: Array, said: Array, weights: Array, classes: int
) -> tuple[Interval, Interval]:
    """The mean F1 of the classes, plain and weighted by their rows, with intervals.

    By the delta method, as in Takahashi, Yamamoto, Kuchiba and Koyama, Applied Intelligence 52,
    2022: an F1 is a ratio of means, and so nearly the mean of what each row adds to it.
    """
    total = weights.sum()
    if total == 0:
        return (np.nan, np.nan, np.nan), (np.nan, np.nan, np.nan)
    macro, weighted = np.zeros(len(labels)), np.zeros(len(labels))
    there = 0
    for place in range(classes):
        true, named = labels == place, said == place
        both = true.astype(np.float64) + named
        mean, share = (weights @ both) / total, (weights @ true) / total
        if not mean:
            continue
        there += 1
        hits = 2.0 * (true & named)
        score = (weights @ hits) / total / mean
        adds = (hits - score * both) / mean
        macro += score + adds
        weighted += share * adds + true * score
    return _within(mean_interval(macro / there, weights)), _within(mean_interval(weighted, weights))


def _within(found: Interval) -> Interval:
    value, low, high = found
    # In this order, because of an end that is NaN.
    return value, max(low, 0.0), min(high, 1.0)
