"""How often scores came true, by tenths of the score."""

from __future__ import annotations

import numpy as np

from jobs.learning.evaluation import CalibrationBin
from jobs.learning.metrics.binary import BINS, bin_of
from jobs.learning.metrics.metric import Array


def calibration_table(came_true: Array, scores: Array) -> tuple[CalibrationBin, ...]:
    """The bins of the calibration error that have rows; `came_true` is 0 or 1."""
    bins = bin_of(scores)
    rows, yes, total = (
        np.bincount(bins, weight, minlength=BINS) for weight in (None, came_true, scores)
    )
    return tuple(
        CalibrationBin(
            low=place / BINS,
            high=(place + 1) / BINS,
            rows=int(rows[place]),
            mean_score=float(total[place] / rows[place]),
            share_of_yes=float(yes[place] / rows[place]),
        )
        for place in range(BINS)
        if rows[place]
    )
