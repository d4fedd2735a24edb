"""The evaluation on the gold holdout: pure functions of arrays.

Does not know where the scores come from, nor where the result goes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from jobs.learning.candidates.kinds import SIMPLEST_FIRST
from jobs.learning.evaluation import CandidateResult, Evaluation, SliceResult
from jobs.learning.holdout import Holdout, Scored
from jobs.learning.intervals import Asked, Estimate, Resamples, estimate, gain
from jobs.learning.metrics.metric import Array, Metric
from jobs.learning.targets.target import Target

CHAMPION = "champion"
# A smaller slice's interval says more about chance than about the model.
SMALLEST_SLICE = 200


def evaluate(
    holdout: Holdout,
    models: Mapping[str, Scored],
    *,
    target: Target,
    metric: str,
    confidence: float,
    seed: int,
) -> Evaluation:
    """Compare candidates, and the champion if `models` has one, on the same rows.

    The simplest candidate that no other is significantly better than is the challenger.

    Raises:
        Refused: the holdout has no rows, or labels that say nothing about a model.
    """
    target.require_judgeable(holdout.labels)
    draws = Resamples.of(holdout.dates, seed, holdout.groups)
    names = tuple(target.metrics)
    found = draws.distributions(
        target, {name: Asked(names, holdout.labels, model) for name, model in models.items()}
    )
    main = {name: values[metric] for name, values in found.items()}
    decides = target.metrics[metric]
    challenger = _challenger(decides, main, confidence)
    slices = _rows_of_slices(holdout)
    large = {part: rows for part, rows in slices.items() if rows.sum() >= SMALLEST_SLICE}
    return Evaluation(
        target=target.type,
        metric=metric,
        confidence=confidence,
        rows=len(holdout.labels),
        yes=target.positives(holdout.labels),
        first=str(holdout.dates.min()),
        last=str(holdout.dates.max()),
        resampled=draws.by,
        challenger=challenger,
        candidates=tuple(
            _candidate(target, name, model, holdout.labels, found[name], confidence)
            for name, model in models.items()
        ),
        gains={
            name: gain(decides, main[challenger], other, confidence)
            for name, other in main.items()
            if name != challenger
        },
        slices=_slices(holdout, large, models, challenger, draws, target, metric, confidence),
        small_slices=len(slices) - len(large),
    )


def _challenger(metric: Metric, main: Mapping[str, Array], confidence: float) -> str:
    candidates = [kind for kind in SIMPLEST_FIRST if kind in main]
    for name in candidates:
        leads = [
            gain(metric, main[other], main[name], confidence)
            for other in candidates
            if other != name
        ]
        if not any(lead.low is not None and lead.low > 0 for lead in leads):
            return name
    return max(candidates, key=lambda name: metric.sign * main[name][0])


def _candidate(
    target: Target,
    name: str,
    model: Scored,
    labels: Array,
    found: Mapping[str, Array],
    confidence: float,
) -> CandidateResult:
    judged = target.judged(labels, model)
    return CandidateResult(
        name=name,
        threshold=model.threshold,
        band=model.band,
        metrics={n: estimate(target.metrics[n], v, confidence) for n, v in found.items()},
        confusion=judged.confusion,
        classes=judged.classes,
        calibration=judged.calibration,
        volumes=target.volumes(model),
    )


def _rows_of_slices(holdout: Holdout) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """Which rows are in each slice, by its name and value; a row without a value is in none."""
    return {
        (name, value): values == value
        for name, values in holdout.slices.items()
        for value in sorted({value for value in values if value is not None})
    }


def _slices(
    holdout: Holdout,
    rows: Mapping[tuple[str, str], NDArray[np.bool_]],
    models: Mapping[str, Scored],
    challenger: str,
    draws: Resamples,
    target: Target,
    metric: str,
    confidence: float,
) -> tuple[SliceResult, ...]:
    judged = [model for model in (challenger, CHAMPION) if model in models]
    drawn = draws.distributions(
        target,
        {
            (part, model): Asked((metric,), holdout.labels, models[model], chosen)
            for part, chosen in rows.items()
            for model in judged
        },
    )
    found, decides = [], target.metrics[metric]
    for part, chosen in rows.items():
        both = {model: drawn[part, model][metric] for model in judged}
        found.append(
            SliceResult(
                slice=part[0],
                value=part[1],
                rows=int(chosen.sum()),
                yes=target.positives(holdout.labels[chosen]),
                estimate=estimate(decides, both[challenger], confidence),
                gain=_gain_over_champion(decides, both, challenger, confidence),
            )
        )
    return tuple(found)


def _gain_over_champion(
    metric: Metric, found: Mapping[str, Array], challenger: str, confidence: float
) -> Estimate | None:
    if CHAMPION not in found:
        return None
    return gain(metric, found[challenger], found[CHAMPION], confidence)
