"""What makes a model look better than it is.

A feature that gives the label away is known only afterwards, and useless at night. A holdout that
shares entities or texts with the training rewards a model for remembering them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import functions as F

from jobs.errors import Refused
from jobs.usecase import Features, UseCase

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from jobs.learning.cut import Cut
    from jobs.learning.targets.target import Target

# No honest single feature sorts yes from no this well.
GIVES_AWAY = 0.995
# Rarer categories sort well by chance.
FEWEST_ROWS = 20
# Of the holdout's rows. A stock phrase or two come twice among honest texts.
MOST_COPIES = 0.01


def leaks_of(
    rows: pa.Table, labels: NDArray[np.float64], spec: Features, target: Target
) -> tuple[str, ...]:
    """The features that may give the label away (`Target.given_away`), a sentence each.

    Each number and each category is looked at alone, on training rows. Of a moment or a text, it is
    looked at whether it is there: it may be known only once the label is.
    """
    told = {
        f"The feature {name}": target.given_away(rows[name], labels, name in spec.numeric)
        for name in (*spec.numeric, *spec.categorical)
    }
    told |= {
        f"Whether the feature {name} has a value": target.given_away(
            pc.is_valid(rows[name]), labels, numeric=True
        )
        for name in (*spec.timestamp, *spec.text)
    }
    return tuple(
        f"{what} alone {said} of training rows: it gives the label away, unless it is honestly "
        "known before the cutoff."
        for what, said in told.items()
        if said
    )


def refuse_overlap(rows: DataFrame, cut: Cut, usecase: UseCase) -> None:
    """Look for what is on both sides of a holdout that is cut by a hash.

    Args:
        rows: labelled rows of all parts.

    Raises:
        Refused: an entity is in the holdout and among what is learned from; or more than a
            hundredth of the holdout has a text that is there as well, but for case and
            punctuation.
    """
    key = usecase.entity.key
    shared = {f"the same {', '.join(key)}": ([F.col(name) for name in key], 0.0)}
    for name in usecase.features.text:
        words = F.trim(F.regexp_replace(F.lower(F.col(name)), r"[^\p{L}\p{N}]+", " "))
        shared[f"nearly the same {name}"] = ([F.when(words != "", words)], MOST_COPIES)
    for what, (columns, most) in shared.items():
        of_part = rows.groupBy(*[c.alias(f"_{n}") for n, c in enumerate(columns)]).agg(
            F.count_if(cut.held_out()).alias("held"), F.count_if(~cut.held_out()).alias("learned")
        )
        there = of_part.where(F.col("_0").isNotNull())
        both = F.when(F.col("learned") > 0, F.col("held")).otherwise(0)
        held, copies = there.agg(F.sum("held"), F.sum(both)).collect()[0]
        if copies and copies > most * held:
            raise Refused(
                f"{copies} of {held} holdout rows have {what} as rows that are learned from: "
                "models would look better there than they are.",
                "Keep such rows together: `split: {by: group, group: COLUMN}`.",
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
