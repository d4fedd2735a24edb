"""The parts of the holdout where the challenger errs most, looked for in every feature.

Each value of a category and each quarter of a number is a part, which is compared with all other
rows. Rows of a date are alike, so the variance of the difference is that of sums over dates (or
whatever the evaluation's bootstrap draws), linearised (Liang and Zeger, Biometrika 73(1), 1986). A
part of a few dates, such as the holidays, has next to none of it, and is not looked at. Of many
parts looked at some are worse by chance: Benjamini and Hochberg's procedure bounds the share of
such among those that are shown (JRSS B 57(1), 1995; valid for positively dependent tests), and
their intervals are widened accordingly (Benjamini and Yekutieli, JASA 100(469), 2005).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, t

from jobs.learning.evaluate import SMALLEST_SLICE
from jobs.learning.intervals import FEWEST
from jobs.learning.metrics.metric import Array
from jobs.learning.report.charts import number
from jobs.learning.report.details import Searched, WorstSlice
from jobs.learning.report.sample import Sample
from jobs.learning.targets.target import Target

QUARTERS = (0.25, 0.5, 0.75)
# Of a category; rarer ones are not looked at.
MOST_VALUES = 50
SHOWN = 10
MISSING = "missing"


@dataclass(frozen=True)
class Part:
    """The rows of one value of a feature, and how much more is lost there.

    Attributes:
        freedom: degrees of it that the error has: the dates with rows in the part, or with rows
            beside it, whichever are fewer, less one.
    """

    feature: str
    value: str
    rows: NDArray[np.bool_]
    difference: float
    error: float
    freedom: int


def worst(
    target: Target,
    sample: Sample,
    numeric: tuple[str, ...],
    categorical: tuple[str, ...],
    confidence: float,
) -> Searched | None:
    """The worst parts, the worst first; None if no part of any feature has rows enough."""
    losses = target.losses(sample.labels, sample.scored)
    columns = [(name, *_quarters(sample.table[name])) for name in numeric]
    columns += [(name, *_values(sample.table[name])) for name in categorical]
    looked_at = [
        part
        for name, values, places in columns
        for part in _compared(name, values, places, losses, sample.drawn)
    ]
    if not looked_at:
        return None
    freedom = np.array([part.freedom for part in looked_at])
    differences = np.array([part.difference for part in looked_at])
    errors = np.array([part.error for part in looked_at])
    # To both sides, as the intervals are, so that what is found is above 0 in its interval, too.
    corrected = false_discovery_control(2 * t.sf(np.abs(differences / errors), freedom))
    significant = corrected <= 1 - confidence
    reach = t.isf((1 - confidence) * significant.mean() / 2, freedom)
    worse = np.flatnonzero(significant & (differences > 0))
    ranked = sorted(worse.tolist(), key=lambda place: -differences[place])
    return Searched(
        looked_at=len(looked_at),
        found=len(ranked),
        worst=tuple(
            _worst(target, sample, looked_at[place], losses, reach[place], corrected[place])
            for place in ranked[:SHOWN]
        ),
    )


def _worst(
    target: Target, sample: Sample, part: Part, losses: Array, reach: float, p: float
) -> WorstSlice:
    plain = not target.shape
    return WorstSlice(
        feature=part.feature,
        value=part.value,
        rows=int(part.rows.sum()),
        loss=float(losses[part.rows].mean()),
        elsewhere=float(losses[~part.rows].mean()),
        low=part.difference - reach * part.error,
        high=part.difference + reach * part.error,
        p=p,
        label=float(sample.labels[part.rows].mean()) if plain else None,
        score=float(sample.scored.scores[part.rows].mean()) if plain else None,
    )


def _compared(
    feature: str,
    values: list[str],
    places: NDArray[np.int64],
    losses: Array,
    drawn: NDArray[np.int64],
) -> Iterator[Part]:
    for place, value in enumerate(values):
        inside = places == place
        rows = int(inside.sum())
        if min(rows, len(losses) - rows) < SMALLEST_SLICE:
            continue
        least = min(len(np.unique(drawn[side])) for side in (inside, ~inside))
        if least < FEWEST:
            continue
        here, there = losses[inside].mean(), losses[~inside].mean()
        pulls = np.where(inside, (losses - here) / rows, (there - losses) / (len(losses) - rows))
        error = np.sqrt(least / (least - 1) * (np.bincount(drawn, pulls) ** 2).sum())
        if error > 0:
            yield Part(feature, value, inside, float(here - there), float(error), least - 1)


def _quarters(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """What the quarters of a number are called, and each row's."""
    numbers = column.cast(pa.float64()).to_numpy()
    there = np.isfinite(numbers)
    if not there.any():
        return [MISSING], np.zeros(len(numbers), dtype=np.int64)
    edges = np.unique(np.quantile(numbers[there], QUARTERS))
    above = numbers[there & (numbers > edges[0])]
    if len(above) and edges[0] == numbers[there].min():
        # The least number is that of more than a quarter of the rows, which are a part then.
        edges = np.unique([above.min(), *edges[1:]])
    named = _named(edges)
    between = [f"{low} to below {high}" for low, high in pairwise(named)]
    values = [f"below {named[0]}", *between, f"{named[-1]} or more", MISSING]
    places = np.searchsorted(edges, numbers, side="right")
    return values, np.where(there, places, len(values) - 1)


def _named(edges: Array) -> list[str]:
    """Numbers for a person, with digits enough to tell them apart."""
    found = (list(map(partial(number, digits=digits), edges.tolist())) for digits in range(4, 18))
    return next(names for names in found if len(set(names)) == len(names))


def _values(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """The most frequent values of a category, and each row's place among them; -1: none."""
    counted = pc.value_counts(column.combine_chunks()).to_pylist()
    ranked = sorted(counted, key=lambda one: (-one["counts"], str(one["values"])))[:MOST_VALUES]
    values = [one["values"] for one in ranked]
    wanted = pa.array(values, column.type)
    places = pc.fill_null(pc.index_in(column.combine_chunks(), value_set=wanted), -1)
    named = [MISSING if value is None else str(value) for value in values]
    return named, places.to_numpy(zero_copy_only=False).astype(np.int64)
