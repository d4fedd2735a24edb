"""What a metric is, whatever the type of label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# A chance of exactly 0 or 1 would make a single row's loss infinite.
EDGE = 1e-15


class Counter(Protocol):
    """What tallies some rows under any weights of their groups.

    Built once and then cheap for each resample: rows are summed by group first.
    """

    @property
    def width(self) -> int:
        """How many numbers in memory one resample takes."""

    def tally(self, weights: Array) -> Any:
        """What the metrics of this type of label take, for weights of shape (resamples, groups)."""


# Why a metric of any rows has no value, or no interval.
NO_ROWS = "it has no rows"
TOO_FEW = "too few of the dates have rows for an interval"


@dataclass(frozen=True)
class Metric:
    """A metric and its direction.

    Attributes:
        values: from a tally, one value for each resample; NaN where it has no meaning.
        undefined: why it has none for some rows.
        unsure: why it has no interval, where too many resamples have none.
    """

    values: Callable[[Any], Array]
    higher_is_better: bool
    undefined: str = "its rows do not hold both classes"
    unsure: str = "too few rows of one class for an interval"

    @property
    def sign(self) -> float:
        """Factor that makes more mean better."""
        return 1.0 if self.higher_is_better else -1.0

    def of(self, found: Any) -> float:
        """Its value for a tally of one resample; NaN if it has no meaning for it."""
        return float(self.values(found)[0])


def ratio(above: Array, below: Array) -> Array:
    """One divided by the other; NaN where that is not above 0."""
    found: Array = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    return found
