"""How much each feature counts: what is lost when its values no longer belong to their rows.

Permutation importance (Breiman, Machine Learning 45, 2001; Fisher, Rudin and Dominici, JMLR 20,
2019) is in the metric's own unit, and means the same for every kind of candidate. Features that
tell the same stand in for one another, so each of them counts less than both.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from jobs.learning.holdout import Scored
from jobs.learning.metrics.metric import Array
from jobs.learning.model import Model
from jobs.learning.report.details import Weight
from jobs.learning.report.sample import Sample
from jobs.learning.targets.target import measured

ROWS = 2_000
# Of a rare class so many are wanted, for which at most so many rows are taken.
RARE_ROWS, MOST_ROWS = 100, 10_000
REPETITIONS = 3
SHOWN = 20


def importance(
    sample: Sample, model: Model, metric: str, seed: int
) -> tuple[tuple[Weight, ...], int]:
    """The features that count most, the first most, and on how many rows that was seen."""
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(sample.labels))[: _wanted(sample.labels, model)])
    rows = sample.table.select(model.features).take(pa.array(chosen)).combine_chunks()
    labels = sample.labels[chosen]

    def value(table: pa.Table) -> float:
        (batch,) = table.combine_chunks().to_batches()
        scored = Scored(model.score(batch), model.threshold)
        return model.target.metrics[metric].sign * measured(model.target, labels, scored)[metric]

    whole = value(rows)
    found = []
    for place, name in enumerate(model.features):
        lost: Array = np.array(
            [
                whole - value(rows.set_column(place, name, rows[name].take(pa.array(dealt))))
                for dealt in (rng.permutation(len(chosen)) for _ in range(REPETITIONS))
            ]
        )
        if np.isfinite(lost).all() and lost.any():
            found.append(
                Weight(
                    feature=name,
                    loss=float(lost.mean()),
                    least=float(lost.min()),
                    most=float(lost.max()),
                )
            )
    found.sort(key=lambda one: -one.loss)
    return tuple(found[:SHOWN]), len(chosen)


def _wanted(labels: Array, model: Model) -> int:
    """How many rows: of a rare class a few would make of a metric what chance will."""
    if not model.target.names:
        return ROWS
    rarest = max(1, int(np.unique(labels, return_counts=True)[1].min()))
    return min(MOST_ROWS, max(ROWS, -(-RARE_ROWS * len(labels) // rarest)))
