"""The evaluation on the gold holdout: pure functions of arrays.

Does not know where the scores come from, nor where the result goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.errors import Refused
from jobs.learning.candidates.kinds import SIMPLEST_FIRST
from jobs.learning.evaluation import (
    CalibrationBin,
    CandidateResult,
    ClassResult,
    Confusion,
    Evaluation,
    SliceResult,
)
from jobs.learning.intervals import Estimate, Resamples, estimate, gain
from jobs.learning.metrics import BINS, METRICS, bin_of

Array = NDArray[np.float64]
CHAMPION = "champion"
# A smaller slice's interval says more about chance than about the model.
SMALLEST_SLICE = 200


@dataclass(frozen=True)
class Scored:
    """One model's calibrated scores of the holdout, and its threshold."""

    scores: Array
    threshold: float


@dataclass(frozen=True)
class Holdout:
    """The holdout's rows, as arrays of one length.

    Attributes:
        labels: 0 or 1.
        dates: prediction dates.
        slices: for each declared slice, every row's value as text (None: no value).
    """

    labels: Array
    dates: NDArray[np.datetime64]
    slices: Mapping[str, NDArray[np.object_]]


def evaluate(
    holdout: Holdout,
    models: Mapping[str, Scored],
    *,
    metric: str,
    confidence: float,
    seed: int,
) -> Evaluation:
    """Compare candidates, and the champion if `models` has one, on the same rows.

    The simplest candidate that no other is significantly better than is the challenger.

    Raises:
        Refused: the holdout has no rows or one class only.
    """
    _require_both_classes(holdout)
    draws = Resamples.of(holdout.dates, seed)
    names = tuple(METRICS)
    found = {
        name: draws.distributions(names, holdout.labels, model.scores, model.threshold)
        for name, model in models.items()
    }
    main = {name: values[metric] for name, values in found.items()}
    challenger = _challenger(metric, main, confidence)
    return Evaluation(
        metric=metric,
        confidence=confidence,
        rows=len(holdout.labels),
        yes=int(holdout.labels.sum()),
        first=str(holdout.dates.min()),
        last=str(holdout.dates.max()),
        resampled=draws.by,
        challenger=challenger,
        candidates=tuple(
            _candidate(name, model, holdout.labels, found[name], confidence)
            for name, model in models.items()
        ),
        gains={
            name: gain(metric, main[challenger], other, confidence)
            for name, other in main.items()
            if name != challenger
        },
        slices=_slices(holdout, models, challenger, draws, metric, confidence),
    )


def _challenger(metric: str, main: Mapping[str, Array], confidence: float) -> str:
    candidates = [kind for kind in SIMPLEST_FIRST if kind in main]
    for name in candidates:
        leads = [
            gain(metric, main[other], main[name], confidence)
            for other in candidates
            if other != name
        ]
        if not any(lead.low is not None and lead.low > 0 for lead in leads):
            return name
    return max(candidates, key=lambda name: METRICS[metric].sign * main[name][0])


def _require_both_classes(holdout: Holdout) -> None:
    rows, yes = len(holdout.labels), int(holdout.labels.sum())
    if 0 < yes < rows:
        return
    raise Refused(
        f"The holdout has {rows} rows with a known label, {yes} of them yes: no metric of "
        "ranking has a meaning on it.",
        "Choose another cutoff or holdout, or bring in the days it lies in.",
    )


def _candidate(
    name: str, model: Scored, labels: Array, found: Mapping[str, Array], confidence: float
) -> CandidateResult:
    said = model.scores >= model.threshold
    yes = labels == 1
    confusion = Confusion(
        yes_said_yes=int((said & yes).sum()),
        yes_said_no=int((~said & yes).sum()),
        no_said_yes=int((said & ~yes).sum()),
        no_said_no=int((~said & ~yes).sum()),
    )
    return CandidateResult(
        name=name,
        threshold=model.threshold,
        metrics={metric: estimate(values, confidence) for metric, values in found.items()},
        confusion=confusion,
        classes={
            "yes": _class(confusion.yes_said_yes, int(said.sum()), int(yes.sum())),
            "no": _class(confusion.no_said_no, int((~said).sum()), int((~yes).sum())),
        },
        calibration=_calibration(labels, model.scores),
    )


def _class(right: int, said: int, rows: int) -> ClassResult:
    return ClassResult(
        rows=rows,
        precision=right / said if said else None,
        recall=right / rows if rows else None,
    )


def _calibration(labels: Array, scores: Array) -> tuple[CalibrationBin, ...]:
    bins = bin_of(scores)
    rows, yes, total = (
        np.bincount(bins, weight, minlength=BINS) for weight in (None, labels, scores)
    )
    return tuple(
        CalibrationBin(
            low=place / BINS,
            high=(place + 1) / BINS,
            rows=int(rows[place]),
            mean_score=float(total[place] / rows[place]),
            share_of_yes=float(yes[place] / rows[place]),
        )
        for place in range(BINS)
        if rows[place]
    )


def _slices(
    holdout: Holdout,
    models: Mapping[str, Scored],
    challenger: str,
    draws: Resamples,
    metric: str,
    confidence: float,
) -> tuple[SliceResult, ...]:
    found = []
    for name, values in holdout.slices.items():
        for value in sorted({value for value in values if value is not None}):
            rows = values == value
            if rows.sum() < SMALLEST_SLICE:
                continue
            both = {
                model: draws.distributions(
                    (metric,), holdout.labels, models[model].scores, 0.5, rows
                )[metric]
                for model in (challenger, CHAMPION)
                if model in models
            }
            found.append(
                SliceResult(
                    slice=name,
                    value=value,
                    rows=int(rows.sum()),
                    yes=int(holdout.labels[rows].sum()),
                    estimate=estimate(both[challenger], confidence),
                    gain=_gain_over_champion(metric, both, challenger, confidence),
                )
            )
    return tuple(found)


def _gain_over_champion(
    metric: str, found: Mapping[str, Array], challenger: str, confidence: float
) -> Estimate | None:
    if CHAMPION not in found:
        return None
    return gain(metric, found[challenger], found[CHAMPION], confidence)
