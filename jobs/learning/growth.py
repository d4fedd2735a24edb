"""Whether more data would be worth it: every candidate fitted on shares of the training rows."""

from __future__ import annotations

import math
from dataclasses import replace

from jobs.errors import Refused
from jobs.learning.cut import HASHES, hash_of
from jobs.learning.dataset import Parts
from jobs.learning.fitting import Trained, fit_all
from jobs.learning.report.details import Growth
from jobs.plan import Plan

SHARES = (1 / 8, 1 / 4, 1 / 2)


def growth(parts: Parts, plan: Plan, cutoff: str, trained: Trained) -> Growth:
    """Fit again on shares of the rows that `trained` learned from, with its settings.

    A smaller share is a part of each larger one. Recipes, rounds and calibration are fitted anew;
    what a search found for the trees and for the linear candidate is kept.

    Raises:
        Unavailable: a Spark worker was lost.
    """
    usecase = plan.usecase
    settings = {n: v for n, v in trained.settings.items() if n != "rounds_kept"}
    line = trained.tuning.get("linear")
    ridge = usecase.model.ridge if line is None else line.best.settings["ridge"]
    model = usecase.model.model_copy(update={"parameters": settings, "ridge": ridge})
    settled = replace(plan, usecase=usecase.model_copy(update={"model": model}))
    place = hash_of(f"growth {model.seed}", usecase.entity.unique)
    found = []
    for share in SHARES:
        less = Parts(parts.train.where(place < share * HASHES), parts.validation)
        try:
            found.append(fit_all(less, settled, cutoff, 0, lambda *_: None))
        except Refused:
            # A share of few rows may lack a class; the curve then begins later.
            continue
    found.append(trained)
    return Growth(
        rows=tuple(each.rows["train"] for each in found),
        candidates={
            kind: tuple(_told(each.validation[kind][usecase.metric]) for each in found)
            for kind in trained.models
        },
    )


def _told(value: float) -> float | None:
    return value if math.isfinite(value) else None
