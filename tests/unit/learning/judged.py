"""Evaluations of scores that were never learned, one for each type of label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from jobs.learning.evaluate import evaluate
from jobs.learning.evaluation import Evaluation
from jobs.learning.holdout import Holdout, Scored
from jobs.learning.targets.binary import Binary
from jobs.learning.targets.multiclass import Multiclass
from jobs.learning.targets.regression import Regression
from jobs.learning.targets.target import Target

DAYS, EACH = 28, 90
N = DAYS * EACH
METRIC = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "mae"}
HOSTILE = "<script>alert('x')</script>"


@dataclass(frozen=True)
class Judged:
    """What was judged, and what was found."""

    target: Target
    holdout: Holdout
    models: Mapping[str, Scored]
    found: Evaluation

    @property
    def challenger(self) -> Scored:
        return self.models[self.found.challenger]


def judged(kind: str, *, champion: bool = True) -> Judged:
    """Candidates that are better the less simple they are, and a champion like the linear one."""
    target, labels, models = {"binary": _binary, "multiclass": _classes, "regression": _numbers}[
        kind
    ]()
    if champion:
        models["champion"] = models["linear"]
    rng = np.random.default_rng(3)
    holdout = Holdout(
        labels=labels,
        dates=np.repeat(np.datetime64("2024-02-01") + np.arange(DAYS), EACH),
        slices={"depot": rng.choice(["north", "south", HOSTILE], N).astype(object)},
    )
    found = evaluate(
        holdout, models, target=target, metric=METRIC[kind], confidence=0.95, seed=1
    ).model_copy(update={"champion_version": 3 if champion else None})
    return Judged(target, holdout, models, found)


def _binary() -> tuple[Target, np.ndarray, dict[str, Scored]]:
    rng = np.random.default_rng(1)
    signal, noise = rng.normal(size=N), rng.normal(size=N)
    chance = 1 / (1 + np.exp(1.5 - 2 * signal))
    labels = (rng.random(N) < chance).astype(float)
    poor, fair = (1 / (1 + np.exp(1.5 - 2 * signal - much * noise)) for much in (4, 1.5))
    scores = {"constant": np.full(N, labels.mean()), "rule": poor, "linear": fair}
    models = {name: Scored(each, 0.4) for name, each in {**scores, "xgboost": chance}.items()}
    return Binary(), labels, models


def _classes() -> tuple[Target, np.ndarray, dict[str, Scored]]:
    rng = np.random.default_rng(1)
    margins = rng.normal(scale=2, size=(N, 3)) + np.array([1, 0, -1])
    chance = softmax(margins, axis=1)
    labels = (chance.cumsum(axis=1) < rng.random((N, 1))).sum(axis=1).astype(float)
    noise = rng.normal(size=(N, 3))
    scores = {
        "constant": np.tile(chance.mean(axis=0), (N, 1)),
        "rule": softmax(margins + 2 * noise, axis=1),
        "linear": softmax(margins + noise, axis=1),
        "xgboost": chance,
    }
    target = Multiclass(("letter", "parcel", HOSTILE))
    return target, labels, {name: Scored(each) for name, each in scores.items()}


def _numbers() -> tuple[Target, np.ndarray, dict[str, Scored]]:
    rng = np.random.default_rng(1)
    mean = 20 + 5 * rng.normal(size=N)
    labels = mean + rng.standard_t(4, size=N)
    noise = rng.normal(size=N)
    scores = {
        "constant": np.full(N, np.median(labels)),
        "rule": mean + 5 * noise,
        "linear": mean + 2 * noise,
        "xgboost": mean,
    }
    return Regression(), labels, {name: Scored(each) for name, each in scores.items()}
