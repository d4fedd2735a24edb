"""How groups of rows fare with the challenger: rates by group, and how far these lie apart.

The differences are those of demographic parity and of equalised odds (Hardt, Price and Srebro,
NIPS 2016), as fairlearn defines them: the largest less the smallest of the groups' rates. Their
intervals are of the evaluation's own bootstrap, which draws dates or groups and not only rows. A
largest difference is above 0 by chance alone, so one whose interval begins near 0 says little.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from jobs.learning.evaluate import SMALLEST_SLICE
from jobs.learning.holdout import Holdout, Scored
from jobs.learning.intervals import Resamples, estimate
from jobs.learning.metrics.metric import Array, Metric, ratio
from jobs.learning.report.details import Fairness, Group
from jobs.learning.targets.target import Target

SELECTED, TRUE, FALSE = "selection rate", "true positive rate", "false positive rate"
PARITY, ODDS = "demographic parity difference", "equalised odds difference"
MOST_CLASSES = 8
# Of a group's rows: by whether they are of a class, and whether they are said to be.
CELLS = 4
ERROR, SIZE = "mean error", "mean absolute error"
RATE = Metric(
    lambda found: found,
    higher_is_better=False,
    undefined="a group has no rows of one class",
    unsure="too few rows of one class in a group for an interval",
)
# Distributions, shape (1 + resamples, groups), by the name of the rate.
Rates = Mapping[str, Array]


@dataclass(frozen=True)
class Grouped:
    """The rows of those groups of a slice that have enough of them.

    Attributes:
        values: of the groups.
        there: which rows of the holdout these are.
        part: each one's place among the groups.
        drawn: what is drawn with it.
        draws: of the evaluation.
    """

    values: tuple[str, ...]
    there: NDArray[np.bool_]
    part: NDArray[np.int64]
    drawn: NDArray[np.int64]
    draws: Resamples

    @classmethod
    def of(cls, column: NDArray[np.object_], draws: Resamples) -> Self:
        """Of a slice's value in each row of the holdout."""
        rows = Counter(value for value in column if value is not None)
        values = sorted(value for value, number in rows.items() if number >= SMALLEST_SLICE)
        places = {value: place for place, value in enumerate(values)}
        place = np.array([places.get(value, -1) for value in column], dtype=np.int64)
        there = place >= 0
        return cls(tuple(values), there, place[there], draws.groups[there], draws)

    def summed(
        self, values: tuple[Array, ...], places: tuple[NDArray[np.int64], ...]
    ) -> list[Array]:
        """Sums by cell under every draw, the first of the rows as they are.

        The draws are made once for all of them: of many rows they take longest.

        Args:
            values: of the rows.
            places: for each of the values, where the rows belong among the `CELLS` of their group.

        Returns for each of the values an array of shape (1 + resamples, groups, cells).
        """
        shape = (self.draws.n, len(self.values) * CELLS)
        cells = [
            sparse.csr_array((value, (self.drawn, self.part * CELLS + place)), shape)
            for value, place in zip(values, places, strict=True)
        ]
        found: list[list[Array]] = [[] for _ in cells]
        for one in chain([np.ones((1, self.draws.n))], self.draws.weights(self.draws.n)):
            for sums, cell in zip(found, cells, strict=True):
                sums.append(one @ cell)
        return [np.vstack(sums).reshape(-1, len(self.values), CELLS) for sums in found]

    def told(
        self, name: str, said: str | None, rates: Rates, differences: Rates, confidence: float
    ) -> Fairness:
        """Distributions as estimates."""
        rows = np.bincount(self.part, minlength=len(self.values)).tolist()
        return Fairness(
            slice=name,
            said=said,
            groups=tuple(
                Group(
                    value=value,
                    rows=rows[place],
                    rates={
                        rate: estimate(RATE, drawn[:, place], confidence)
                        for rate, drawn in rates.items()
                    },
                )
                for place, value in enumerate(self.values)
            ),
            differences={
                rate: estimate(RATE, drawn, confidence) for rate, drawn in differences.items()
            },
        )


def fairness(
    target: Target,
    holdout: Holdout,
    scored: Scored,
    draws: Resamples,
    names: tuple[str, ...],
    confidence: float,
) -> tuple[Fairness, ...]:
    """Of each named slice and class, among the groups that have rows enough; they are compared."""
    grouped = {name: Grouped.of(holdout.slices[name], draws) for name in names}
    return tuple(
        rows.told(name, said, rates, differences, confidence)
        for name, rows in grouped.items()
        for said, rates, differences in _compared(target, holdout.labels, scored, rows)
    )


def _compared(
    target: Target, labels: Array, scored: Scored, rows: Grouped
) -> Iterator[tuple[str | None, Rates, Rates]]:
    """For each class that is told of: its name, the groups' rates, and how far they lie apart.

    Of a single group, or none, there is nothing to tell.
    """
    labels, said = labels[rows.there], target.said(scored)
    if len(rows.values) < 2:
        yield None, {}, {}
        return
    if said is None:
        rates = _errors(scored.scores[rows.there] - labels, rows)
        yield None, rates, {f"difference of {name}": _apart(rates[name]) for name in rates}
        return
    # Of two classes, what is true of one is true of the other; of many, the largest are told.
    told = [1] if len(target.names) == 2 else _largest(labels)
    true, chosen = labels.astype(np.int64), said[rows.there]
    places = tuple((true == place) * 2 + (chosen == place) for place in told)
    counted = rows.summed((np.ones(len(labels)),) * len(told), places)
    for place, cells in zip(told, counted, strict=True):
        rates = _rates(cells.reshape(*cells.shape[:2], 2, 2))
        odds = np.maximum(_apart(rates[TRUE]), _apart(rates[FALSE]))
        yield target.names[place], rates, {PARITY: _apart(rates[SELECTED]), ODDS: odds}


def _largest(labels: Array) -> list[int]:
    classes, rows = np.unique(labels.astype(np.int64), return_counts=True)
    return sorted(classes[np.argsort(-rows, kind="stable")[:MOST_CLASSES]].tolist())


def _rates(counted: Array) -> Rates:
    """Rates from rows by whether they are of the class and, below it, said to be."""
    return {
        SELECTED: ratio(counted[..., 1].sum(axis=2), counted.sum(axis=(2, 3))),
        TRUE: ratio(counted[:, :, 1, 1], counted[:, :, 1].sum(axis=2)),
        FALSE: ratio(counted[:, :, 0, 1], counted[:, :, 0].sum(axis=2)),
    }


def _errors(errors: Array, rows: Grouped) -> Rates:
    none = np.zeros(len(errors), dtype=np.int64)
    values = (np.ones(len(errors)), errors, np.abs(errors))
    counted, total, sizes = (sums[:, :, 0] for sums in rows.summed(values, (none,) * 3))
    return {ERROR: ratio(total, counted), SIZE: ratio(sizes, counted)}


def _apart(rates: Array) -> Array:
    """The largest less the smallest of the groups' rates; NaN where a group has none."""
    found: Array = rates.max(axis=1) - rates.min(axis=1)
    return found
