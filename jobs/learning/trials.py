"""What a trial of a tuning does: fit trees or a line to a bounded sample, in this process.

The rows are made ready once for all trials, so a trial reads nothing. They come one after another,
each on all cores of this machine: side by side they would be done no sooner, and one that knows all
before it draws better settings.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from jobs.learning import reference
from jobs.learning.candidates import boosted, linear
from jobs.learning.holdout import Scored
from jobs.learning.recipe.fit import FOLD
from jobs.learning.recipe.recipe import Matrix, Recipe
from jobs.learning.scarce import Scarce
from jobs.learning.targets.target import Boosting, Target
from jobs.learning.tune import Report, Search, Trial, Tuned, tuned
from jobs.usecase import Model, Range

if TYPE_CHECKING:
    import pyarrow as pa
    from optuna.storages import BaseStorage
    from pyspark.sql import DataFrame

Array = NDArray[np.float64]

# Trials of the ridge at most: it is one number, and validation is nearly flat beside its best.
LINE_TRIALS = 10
LINE_SEARCH: Search = {"ridge": Range(low=1e-6, high=1e-1, log=True)}
TREE_SEARCH: Search = {
    "max_depth": Range(low=3, high=10),
    "learning_rate": Range(low=0.02, high=0.3, log=True),
    "min_child_weight": Range(low=1, high=300, log=True),
    "subsample": Range(low=0.5, high=1),
    "colsample_bytree": Range(low=0.3, high=1),
    "reg_lambda": Range(low=0.1, high=100, log=True),
}
# What a split must gain is in the unit of the loss: of numbers nobody knows it beforehand.
CLASS_SEARCH: Search = {"gamma": Range(low=1e-3, high=10, log=True)}
# A trial's step is reached when its rounds, times its learning rate, are so many: by rounds alone
# who learns slowly would be cut off before the trees have said much.
STEP = 0.5
# XGBoost's own, where nothing is said.
LEARNING_RATE = 0.3


def searched(
    sample: Sample,
    judges: Judges,
    spec: Model,
    boosting: Boosting,
    trials: int,
    storage: BaseStorage,
    record: Callable[[Trial], None],
) -> dict[str, Tuned]:
    """What was found for each candidate that has something to search for, by its kind.

    Raises:
        OSError: the folder of `storage` is gone.
    """
    left = math.inf if spec.tune.minutes is None else 60 * spec.tune.minutes
    how: dict[str, Any] = {"seed": spec.seed, "storage": storage, "record": record}
    found = {}
    if "linear" in spec.candidates and (search := line_search(spec)):
        line, most = Line(sample.line, judges, boosting.metric), min(trials, LINE_TRIALS)
        found[line.kind] = tuned(
            line, {"ridge": spec.ridge}, search, trials=most, seconds=left, **how
        )
        left -= found[line.kind].seconds
    if "xgboost" in spec.candidates and (search := tree_search(spec, sample.line.target)):
        trees = Trees.of(sample, judges, spec, boosting)
        found[trees.kind] = tuned(
            trees, spec.parameters, search, trials=trials, seconds=left, **how
        )
    return found


def tree_search(spec: Model, target: Target) -> Search:
    """What is searched for of XGBoost: as declared, or what suits the type of label."""
    if spec.tune.search:
        return {name: values for name, values in spec.tune.search.items() if name != "ridge"}
    return {**TREE_SEARCH, **CLASS_SEARCH} if target.names else TREE_SEARCH


def line_search(spec: Model) -> Search:
    """What is searched for of the linear candidate."""
    if spec.tune.search:
        return {name: values for name, values in spec.tune.search.items() if name == "ridge"}
    return LINE_SEARCH


@dataclass(frozen=True)
class Sample:
    """The rows of the training part, or a sample of them, that trials learn from.

    Attributes:
        rows: the recipe's inputs, `label` and `FOLD`.
        stand_for: how many rows of the part they stand for together, repeated ones as repeated.
        line: the same rows made ready for a line, with how many each stands for beside the others.
    """

    rows: pa.Table
    stand_for: int
    line: linear.Ready


@dataclass(frozen=True)
class Judges:
    """The rows of validation, or a sample of them, that trials are judged on.

    Attributes:
        weights: how many rows each stands for, where not all stand for as many.
    """

    matrix: Matrix
    labels: Array
    weights: Array | None

    @classmethod
    def of(
        cls,
        validation: DataFrame,
        rows: int,
        classes: Mapping[int, int],
        recipe: Recipe,
        key: tuple[str, ...],
    ) -> Judges:
        """Some 100 000 of the part's `rows` rows, the same ones every time.

        Args:
            classes: how many of them are of each class; empty of numbers.
        """
        columns = (*(name for name, _ in recipe.inputs), "label")
        if (scarce := Scarce.of(classes)).by_class:
            found = scarce.sample(validation, key, columns)
            weights = scarce.weights(found["label"].to_numpy())
        else:
            found, weights = reference.sample(validation, key, rows, columns), None
        return cls(recipe.matrix(found), found["label"].to_numpy(), weights)


@dataclass(frozen=True)
class Trees:
    """Trials of XGBoost."""

    learned: xgboost.QuantileDMatrix
    judged: xgboost.QuantileDMatrix
    spec: Model
    boosting: Boosting
    kind: str = "xgboost"

    @classmethod
    def of(cls, sample: Sample, judges: Judges, spec: Model, boosting: Boosting) -> Trees:
        """Made ready of a sample.

        Its rows weigh as many as they stand for, so that what is set in rows, such as
        `min_child_weight`, suits the whole part.
        """
        rows, counts = sample.rows, sample.line.counts
        labels, recipe = sample.line.labels, sample.line.recipe
        beside = dict(boosted.balanced(labels, boosting.balance, boosting.begins))
        beside_others = np.ones(len(labels)) if counts is None else counts
        stands = beside_others * (sample.stand_for / beside_others.sum())
        weights = stands * beside.pop("weight", 1.0)
        how = {"nthread": _cores(), **boosted.binned(spec.parameters)}
        matrix = recipe.matrix(rows, rows[FOLD])
        learned = xgboost.QuantileDMatrix(matrix, labels, weight=weights, **beside, **how)
        judged = xgboost.QuantileDMatrix(
            judges.matrix, judges.labels, weight=judges.weights, ref=learned, **how
        )
        return cls(learned, judged, spec, boosting)

    @property
    def sign(self) -> float:
        return self.boosting.sign

    def tried(self, settings: Mapping[str, Any], report: Report) -> tuple[float, int | None]:
        booster = xgboost.train(
            {**boosted.told(self.spec, self.boosting, settings), "nthread": _cores()},
            self.learned,
            self.spec.rounds,
            evals=[(self.judged, "validation")],
            early_stopping_rounds=self.spec.early_stopping,
            verbose_eval=False,
            callbacks=[_Steps(float(settings.get("learning_rate", LEARNING_RATE)), report)],
        )
        return float(booster.best_score), booster.best_iteration + 1


class _Steps(xgboost.callback.TrainingCallback):
    """Reports each step of a trial as its rounds go by."""

    def __init__(self, rate: float, report: Report) -> None:
        super().__init__()
        self._rate, self._report, self._told = rate, report, 0

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        step = int((epoch + 1) * self._rate / STEP)
        if step > self._told:
            self._told = step
            (values,) = evals_log["validation"].values()
            self._report(step, float(values[-1]))
        return False


@dataclass(frozen=True)
class Line:
    """Trials of the linear candidate's ridge.

    Attributes:
        metric: what they are judged by, which is what XGBoost's are.
    """

    rows: linear.Ready
    judges: Judges
    metric: str
    kind: str = "linear"

    @property
    def sign(self) -> float:
        return self.rows.target.metrics[self.metric].sign

    def tried(self, settings: Mapping[str, Any], report: Report) -> tuple[float, int | None]:
        scores = self.rows.fit(settings["ridge"]).scores(self._ready)
        labels, target, weights = self.judges.labels, self.rows.target, self.judges.weights
        stands = np.ones(len(labels)) if weights is None else weights
        alike, groups = np.unique(stands, return_inverse=True)
        # No metric that trials are judged by looks at the threshold.
        counter = target.counter(labels, Scored(scores, 0.5), groups, len(alike))
        return target.metrics[self.metric].of(counter.tally(alike[np.newaxis])), None

    @cached_property
    def _ready(self) -> Any:
        return self.rows.scaling.apply(self.judges.matrix)


def _cores() -> int:
    return len(os.sched_getaffinity(0))
