"""A feature that gives the label away: known only afterwards, and useless at night."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from jobs.errors import Refused
from jobs.usecase import Features

if TYPE_CHECKING:
    from jobs.learning.targets.target import Target

# No honest single feature sorts yes from no this well.
GIVES_AWAY = 0.995
# Rarer categories sort well by chance.
FEWEST_ROWS = 20


def refuse_leaks(
    rows: pa.Table, labels: NDArray[np.float64], spec: Features, target: Target
) -> None:
    """Look at each number and each category alone, on training rows.

    Of a moment or a text, at whether it is there: it may be known only once the label is.

    Raises:
        Refused: one gives the label away (`Target.given_away`).
    """
    for name in (*spec.numeric, *spec.categorical):
        _refuse(f"The feature {name}", target.given_away(rows[name], labels, name in spec.numeric))
    for name in (*spec.timestamp, *spec.text):
        _refuse(
            f"Whether the feature {name} has a value",
            target.given_away(pc.is_valid(rows[name]), labels, numeric=True),
        )


def _refuse(what: str, said: str | None) -> None:
    if said:
        raise Refused(
            f"{what} alone {said} of training rows: it gives the label away.",
            "Remove it, or build it from what is known before the cutoff.",
        )


def ordered(
    column: pa.ChunkedArray, labels: NDArray[np.float64], numeric: bool
) -> NDArray[np.float64]:
    """A feature as numbers that can be ranked: itself, or the mean label of each category."""
    if numeric:
        # Missing is a value too: it may be missing because of the label.
        values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy().copy()
        values[np.isnan(values)] = -np.inf
        return values
    coded = column.combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy()
    rows, total = np.bincount(coded), np.bincount(coded, labels)
    means = np.where(rows >= FEWEST_ROWS, total / rows, labels.mean())
    found: NDArray[np.float64] = means[coded]
    return found
