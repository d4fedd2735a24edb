"""What an evaluation tells beside its evidence, as JSON: all that the page shows and draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np

from jobs.learning.evaluation import Finding
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


class Details(Finding):
    """Of the challenger on the holdout, if nothing else is said.

    Attributes:
        curves: what is drawn.
    """

    curves: Curves


def _rounded(values: Array) -> tuple[float, ...]:
    return tuple(float(f"{value:.5g}") for value in values)
