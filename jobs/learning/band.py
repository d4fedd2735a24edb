"""Intervals of predicted numbers, by split conformal prediction on validation.

The interval is the score, and as much to both sides as covers a share of validation's errors
(Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; Lei, G'Sell, Rinaldo,
Tibshirani and Wasserman, JASA 113, 2018). If rows to come are exchangeable with those of
validation, it covers at least that share of their labels, whatever the model and the distribution:
a mean over all of them, and not of each kind of row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """How far to both sides of a score its interval reaches.

    Attributes:
        level: share of the labels that it is to cover.
        margin: in the label's unit.
    """

    level: float
    margin: float

    def covers(self, labels: Array, scores: Array) -> NDArray[np.bool_]:
        """Whether each row's label is within its interval."""
        found: NDArray[np.bool_] = np.abs(labels - scores) <= self.margin
        return found

    def to_json(self) -> dict[str, Any]:
        """All that `restored` needs."""
        return asdict(self)


def restored(written: Mapping[str, Any] | None) -> Band | None:
    """A band from what `Band.to_json` gave, if there was one."""
    return None if written is None else Band(**written)


def fewest_rows(level: float) -> int:
    """Rows of validation that an interval needs; with fewer it would have no ends."""
    share = _exact(level)
    return math.ceil(share / (1 - share))


def fit(level: float, scores: Array, labels: Array) -> Band | None:
    """The band of a level; None if there are too few rows for it.

    The margin is the k-th smallest of n absolute errors, k being (n + 1) * level rounded up: a new
    row's error is as likely to be at any of the n + 1 places among them.
    """
    if len(scores) < fewest_rows(level):
        return None
    errors = np.abs(labels - scores)
    place = math.ceil((len(errors) + 1) * _exact(level))
    return Band(level, float(np.partition(errors, place - 1)[place - 1]))


def _exact(level: float) -> Fraction:
    """A level as it was written: 0.9 times 10 is 9, and not a little more."""
    return Fraction(repr(level))
