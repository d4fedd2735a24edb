"""How far the weeks that a model learned from lay apart: what tonight's week is measured by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jobs.learning.bins import Counts, psi

# A week has every weekday once: a single night always differs from the year that a model learned
# from.
WEEK = 7
# A week of fewer rows says nothing: the mean of its index is about bins / rows without any drift.
FEWEST_ROWS = 200
# What is not even that far apart counts as equal, so that its logarithm is a number.
EQUAL = 1e-4
# The smallest spread; a feature that never changed has none.
STEADY = 1e-6


@dataclass(frozen=True)
class Usual:
    """How far a training's weeks lay from all its other days, in one feature.

    Attributes:
        mean, spread: of the logarithm of the weeks' stability indices.
        most: the largest of these indices.
        weeks: how many weeks there are that do not overlap.
        days: how many days with rows each week had at least.
    """

    mean: float
    spread: float
    most: float
    weeks: float
    days: int

    @classmethod
    def of(cls, rows: Counts) -> Usual | None:
        """What is usual, from rows by day and bin; None if these are less than two weeks' worth.

        The weeks begin on every day there is, as in a moving block bootstrap (Künsch, Annals of
        Statistics 17(3), 1989), because rows of a day, and days in a row, are alike: only weeks
        as a whole can be compared. Each is compared with the days outside of it.
        """
        weeks = _weekly(rows)
        days = _weekly((rows.sum(axis=1, keepdims=True) > 0).astype(np.float64))
        enough = weeks.sum(axis=1) >= FEWEST_ROWS
        apart = int(enough.sum()) / WEEK
        if apart < 2:
            return None
        indices = psi(rows.sum(axis=0) - weeks[enough], weeks[enough])
        logs = np.log(np.maximum(indices, EQUAL))
        return cls(
            mean=float(logs.mean()),
            spread=max(STEADY, float(logs.std(ddof=1))),
            most=float(indices.max()),
            weeks=apart,
            days=int(days[enough].min()),
        )

    def test(self, index: float) -> tuple[float, float]:
        """How far another week's index is from the usual ones: t, and its p-value.

        That of the prediction interval for one more observation of a normal sample, here of
        logarithms: (x - mean) / (spread * sqrt(1 + 1/n)) has a t-distribution with n - 1 degrees
        of freedom (Hahn and Meeker, Statistical Intervals, 1991, 4.7), with n the weeks that do
        not overlap. Without drift an index is much like a chi-square, whose logarithm leans to
        the left, so that the test errs on the side of silence. The rank among n weeks alone could
        never be below 1 / (n + 1), which would not find one drifted feature among a hundred.
        """
        from scipy.stats import t

        distance = np.log(max(index, EQUAL)) - self.mean
        statistic = float(distance / (self.spread * np.sqrt(1 + 1 / self.weeks)))
        return statistic, float(t.sf(statistic, self.weeks - 1))


def usual(counted: Mapping[str, Counts]) -> dict[str, Usual]:
    """What is usual of each feature's rows by day, where there are days enough to tell."""
    found = {name: Usual.of(rows) for name, rows in counted.items()}
    return {name: one for name, one in found.items() if one is not None}


def _weekly(rows: Counts) -> Counts:
    """Sums over the seven days from each day on."""
    running = np.vstack([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    return running[WEEK:] - running[:-WEEK]
