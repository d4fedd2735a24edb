"""The rows of which the challenger erred most, for a person to look at."""

from __future__ import annotations

from typing import Any

import numpy as np

from jobs.learning.report.details import Example
from jobs.learning.report.sample import Sample
from jobs.learning.targets.target import Target

# Of a value, and how many features are shown.
LONGEST, FEATURES = 80, 8


def costliest(
    target: Target, sample: Sample, unique: tuple[str, ...], features: tuple[str, ...], most: int
) -> tuple[Example, ...]:
    """The `most` costliest errors, the costliest first; of numbers the largest.

    Args:
        unique: the columns that name a row.
        features: the first few of these are shown.
    """
    losses, said = target.losses(sample.labels, sample.scored), target.said(sample.scored)
    wrong = np.ones(len(losses), dtype=bool) if said is None else said != sample.labels
    order = np.argsort(np.where(wrong, -losses, np.inf), kind="stable")
    found = []
    for place in order[: min(most, int(wrong.sum()))].tolist():
        row = sample.table.slice(place, 1).to_pylist()[0]
        found.append(
            Example(
                key={name: _shown(row[name]) for name in unique},
                label=_label(target, sample, place),
                score=_score(target, sample, place),
                loss=float(losses[place]),
                features={name: _shown(row[name]) for name in features[:FEATURES]},
            )
        )
    return tuple(found)


def _label(target: Target, sample: Sample, place: int) -> str:
    label = sample.labels[place]
    return target.names[int(label)] if target.names else f"{label:.5g}"


def _score(target: Target, sample: Sample, place: int) -> str:
    score, said = sample.scored.scores[place], target.said(sample.scored)
    if said is None:
        return f"{score:.5g}"
    chance = score[said[place]] if target.shape else score
    return f"{target.names[int(said[place])]}, with a score of {chance:.3f}"


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    text = f"{value:.5g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
