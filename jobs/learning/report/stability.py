"""Whether the challenger is as good in each week of the holdout, and what it says otherwise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jobs.learning.evaluate import CHAMPION, SMALLEST_SLICE
from jobs.learning.holdout import Holdout, Scored
from jobs.learning.intervals import Asked, Resamples, estimate
from jobs.learning.metrics.metric import Array
from jobs.learning.report.details import Changed, Week
from jobs.learning.targets.target import Target

WEEK = 7


def by_week(
    target: Target,
    holdout: Holdout,
    scored: Scored,
    draws: Resamples,
    metric: str,
    confidence: float,
) -> tuple[Week, ...]:
    """The metric in each seven days from the holdout's first; empty if there is only one week."""
    number = (holdout.dates - holdout.dates.min()).astype(np.int64) // WEEK
    rows = {week: number == week for week in np.unique(number).tolist()}
    if len(rows) < 2:
        return ()
    rows = {week: chosen for week, chosen in rows.items() if chosen.sum() >= SMALLEST_SLICE}
    asked = {
        week: Asked((metric,), holdout.labels, scored, chosen) for week, chosen in rows.items()
    }
    found = draws.distributions(target, asked)
    return tuple(
        Week(
            first=str(holdout.dates[chosen].min()),
            last=str(holdout.dates[chosen].max()),
            rows=int(chosen.sum()),
            estimate=estimate(target.metrics[metric], found[week][metric], confidence),
        )
        for week, chosen in rows.items()
    )


def changed(
    target: Target, labels: Array, models: Mapping[str, Scored], challenger: str
) -> Changed | None:
    """What the challenger says otherwise than the champion; None if there is none."""
    if CHAMPION not in models:
        return None
    new, old = models[challenger], models[CHAMPION]
    lost, lost_before = target.losses(labels, new), target.losses(labels, old)
    said, said_before = target.said(new), target.said(old)
    both = said is not None and said_before is not None
    right, right_before = said == labels, said_before == labels
    return Changed(
        rows=len(labels),
        closer=float((lost < lost_before).mean() + (lost == lost_before).mean() / 2),
        shift=None if target.shape else float((new.scores - old.scores).mean()),
        said_otherwise=int(np.sum(said != said_before)) if both else None,
        righted=int(np.sum(right & ~right_before)) if both else None,
        wronged=int(np.sum(~right & right_before)) if both else None,
    )
