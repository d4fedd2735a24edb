"""A feature that gives the label away: known only afterwards, and useless at night."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.errors import Refused
from jobs.learning.metrics import METRICS
from jobs.usecase import Features

# No honest single feature sorts yes from no this well.
GIVES_AWAY = 0.995
# Rarer categories sort well by chance.
FEWEST_ROWS = 20


def refuse_leaks(rows: pa.Table, labels: NDArray[np.float64], spec: Features) -> None:
    """Look at each number and each category alone, on training rows.

    Raises:
        Refused: one sorts the labels almost perfectly (ROC AUC above 0.995).
    """
    for name in (*spec.numeric, *spec.categorical):
        values = _ordered(rows[name], labels, name in spec.numeric)
        found = METRICS["roc_auc"](labels, values)
        if max(found, 1 - found) > GIVES_AWAY:
            raise Refused(
                f"The feature {name} alone tells yes from no in {max(found, 1 - found):.1%} of "
                f"pairs of {len(labels)} training rows: it gives the label away.",
                "Remove it, or build it from what is known before the cutoff.",
            )


def _ordered(
    column: pa.ChunkedArray, labels: NDArray[np.float64], numeric: bool
) -> NDArray[np.float64]:
    if numeric:
        # Missing is a value too: it may be missing because of the label.
        values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy().copy()
        values[np.isnan(values)] = -np.inf
        return values
    coded = column.combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy()
    rows, yes = np.bincount(coded), np.bincount(coded, labels)
    rates = np.where(rows >= FEWEST_ROWS, yes / rows, labels.mean())
    ordered: NDArray[np.float64] = rates[coded]
    return ordered
