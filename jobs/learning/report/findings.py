"""All that the page tells beside the evidence, in one go."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.learning.evaluation import Evaluation
from jobs.learning.holdout import Holdout, Scored
from jobs.learning.intervals import Resamples
from jobs.learning.model import Model
from jobs.learning.report.costly import costliest
from jobs.learning.report.details import Details, Growth
from jobs.learning.report.fairness import fairness
from jobs.learning.report.importance import importance
from jobs.learning.report.sample import Sample
from jobs.learning.report.stability import by_week, changed
from jobs.learning.report.worst import worst
from jobs.usecase import UseCase


def details(
    usecase: UseCase,
    holdout: Holdout,
    models: Mapping[str, Scored],
    found: Evaluation,
    sample: Sample,
    challenger: Model,
    growth: Growth | None,
) -> Details:
    """Of an evaluation of `models` on a holdout, some rows of which are in `sample`.

    Args:
        growth: what the training found of its learning curve.
    """
    target, scored, seed = challenger.target, models[found.challenger], usecase.model.seed
    draws = Resamples.of(holdout.dates, seed, holdout.groups)
    weights, shuffled = importance(sample, challenger, found.metric, seed)
    first = tuple(dict.fromkeys([*(one.feature for one in weights), *challenger.features]))
    spec, confidence = usecase.evaluation, found.confidence
    return Details(
        curves=target.curves(holdout.labels, models, found.challenger),
        weeks=by_week(target, holdout, scored, draws, found.metric, confidence),
        changed=changed(target, holdout.labels, models, found.challenger),
        fairness=fairness(target, holdout, scored, draws, spec.fairness, confidence),
        sampled=len(sample.labels),
        worst=worst(target, sample, challenger.numeric, challenger.categorical, confidence),
        importance=weights,
        shuffled=shuffled,
        examples=costliest(target, sample, usecase.entity.unique, first, spec.examples),
        growth=growth,
    )
