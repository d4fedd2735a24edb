"""What an evaluation tells beside its evidence, as JSON: all that the page shows and draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from jobs.learning.evaluation import Finding
from jobs.learning.intervals import Estimate
from jobs.learning.metrics.metric import Array

# A drawn line needs no more points.
POINTS = 100


class Curve(Finding):
    """The points of a line, in its order."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    @classmethod
    def of(cls, x: Array, y: Array) -> Self:
        """From all points, rounded to what can be seen."""
        return cls(x=_rounded(x), y=_rounded(y))

    @classmethod
    def thinned(cls, x: Array, y: Array, along: Array) -> Self:
        """From some hundred of many points, evenly spread `along` a rising measure of them."""
        wanted = np.linspace(along[0], along[-1], POINTS)
        places = np.unique([0, *np.searchsorted(along, wanted), len(along) - 1])
        places = places[places < len(along)]
        return cls.of(x[places], y[places])


# By plot, such as `roc`, and by line, such as a candidate or a class.
Curves = Mapping[str, Mapping[str, Curve]]


class Week(Finding):
    """The metric on the rows of seven days."""

    first: str
    last: str
    rows: int
    estimate: Estimate


class Changed(Finding):
    """What the challenger says otherwise than the champion.

    Attributes:
        closer: share of the rows of which the challenger has the smaller loss; of equal losses
            half count.
        shift: mean score of the challenger less that of the champion; None of several classes.
        said_otherwise: rows of which another class is said; None of numbers.
        righted, wronged: those of them that only the challenger, or only the champion, has right.
    """

    rows: int
    closer: float
    shift: float | None
    said_otherwise: int | None
    righted: int | None
    wronged: int | None


class Group(Finding):
    """One value of a declared slice, and what is compared between these."""

    value: str
    rows: int
    rates: Mapping[str, Estimate]


class Fairness(Finding):
    """How groups fare, and by how much they differ.

    Attributes:
        said: the class whose rates these are; None of numbers.
    """

    slice: str
    said: str | None
    groups: tuple[Group, ...]
    differences: Mapping[str, Estimate]


class WorstSlice(Finding):
    """A part of the rows where the loss is significantly above that of all others.

    Attributes:
        loss, elsewhere: mean loss in it, and of all other rows.
        low, high: of the difference of both, at the confidence of the evaluation for all that
            were found together.
        p: corrected for how many parts were looked at.
        label, score: means of both in it; None of several classes.
    """

    feature: str
    value: str
    rows: int
    loss: float
    elsewhere: float
    low: float
    high: float
    p: float
    label: float | None
    score: float | None


class Searched(Finding):
    """The search for the worst slices: how many were looked at, and the worst of those found."""

    looked_at: int
    found: int
    worst: tuple[WorstSlice, ...]


class Weight(Finding):
    """What the metric loses when a feature's values are dealt out anew among the rows.

    Attributes:
        loss: mean over the repetitions.
        least, most: of the repetitions.
    """

    feature: str
    loss: float
    least: float
    most: float


class Example(Finding):
    """A row of which the challenger erred badly, with the values of the features that count."""

    key: Mapping[str, str]
    label: str
    score: str
    loss: float
    features: Mapping[str, str]


class Growth(Finding):
    """The metric on validation by how many rows were learned from, all of them last.

    Attributes:
        rows: learned from.
        candidates: for each, as many values; None where the metric has no meaning.
    """

    rows: tuple[int, ...]
    candidates: Mapping[str, tuple[float | None, ...]]


class Details(Finding):
    """Of the challenger on the holdout, if nothing else is said.

    Attributes:
        curves: what is drawn.
        weeks: of a holdout that is longer than one.
        changed: None if there is no champion, or none that could be scored.
        sampled: rows whose features were looked at, for `worst` and `examples`.
        worst: None without rows enough to look at.
        importance: of the features that count most, on `shuffled` rows; empty if the metric has no
            meaning on these.
        examples: the costliest errors; empty unless they are declared.
        growth: of all candidates, on validation; None unless it is declared.
    """

    curves: Curves
    weeks: tuple[Week, ...] = ()
    changed: Changed | None = None
    fairness: tuple[Fairness, ...] = ()
    sampled: int = 0
    worst: Searched | None = None
    importance: tuple[Weight, ...] = ()
    shuffled: int = 0
    examples: tuple[Example, ...] = ()
    growth: Growth | None = None


def _rounded(values: Array) -> tuple[float, ...]:
    return tuple(float(f"{value:.5g}") for value in values)
