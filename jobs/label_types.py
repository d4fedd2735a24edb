"""The types that a label may have, as far as a declaration goes.

What is done with labels of each type is in `jobs.learning.targets`. Nothing heavy is imported
here, because every DAG file parses what stands on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# What is to be said of a column of another type where true or false is expected.
NEITHER = "which is neither true nor false: compare it with one"

NO_PROBABILITY = "a predicted number is no probability"
NO_CLASS = "numbers have no classes"
NO_ENDS = "only numbers have an interval"
NO_COUNT = "only numbers have another objective than that of their type"

Kind = Literal["number", "string", "boolean"]

# What people call the metrics that sentences speak of.
WORDS = {
    "roc_auc": "ROC AUC",
    "pr_auc": "average precision",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
    "rmse": "RMSE",
    "mae": "mean absolute error",
    "r2": "R²",
    "f1_weighted": "weighted F1",
    "f1_macro": "macro F1",
    "accuracy": "accuracy",
    "coverage": "coverage",
}


@dataclass(frozen=True)
class LabelType:
    """What follows from a label's type.

    Attributes:
        label: what `gold.labels` holds.
        prediction: what is published as `prediction` beside the score.
        values: what a label may be, where the type says so.
        probabilities: whether scores are; else they are any finite numbers.
        metrics: what candidates may be compared by; the first unless another one is declared.
        told: the metric that a training and a night are told by; None: the one that decides.
        beside: the metric that the decision on a first model tells beside its gain.
        shown: the metrics of an evaluation's table, in its order; one without a value is left out.
        calibrations: how its scores may be calibrated; the first unless another one is declared.
        from_columns: the types that a source's column may have which is all of `label.expression`.
        of_another: what is to be said of a column of another type.
        without: fields of a use case that have no meaning for it, and why.
        without_steps: transforms that have none, and why.
    """

    label: Kind
    prediction: Kind
    values: tuple[float, ...]
    probabilities: bool
    metrics: tuple[str, ...]
    told: str | None
    beside: str
    shown: tuple[str, ...]
    from_columns: tuple[str, ...]
    of_another: str
    calibrations: tuple[str, ...] = ()
    without: Mapping[str, str] = field(default_factory=dict)
    without_steps: Mapping[str, str] = field(default_factory=dict)


LABEL_TYPES: Mapping[str, LabelType] = {
    "binary": LabelType(
        label="number",
        prediction="boolean",
        values=(0.0, 1.0),
        probabilities=True,
        metrics=("roc_auc", "pr_auc", "log_loss"),
        told="roc_auc",
        beside="calibration_error",
        shown=("roc_auc", "pr_auc", "log_loss", "brier", "f1", "calibration_error"),
        from_columns=("boolean", "integer", "number"),
        of_another=NEITHER,
        calibrations=("auto", "isotonic", "sigmoid", "none"),
        without={
            "model.objective": NO_COUNT,
            "label.group": "there are no other classes than yes and no",
            "predict.costs": "what its errors cost is said by predict.threshold",
            "predict.interval": NO_ENDS,
        },
    ),
    "multiclass": LabelType(
        label="string",
        prediction="string",
        values=(),
        probabilities=True,
        metrics=("log_loss", "f1_weighted", "f1_macro", "accuracy"),
        told=None,
        beside="calibration_error",
        shown=("log_loss", "accuracy", "f1_weighted", "f1_macro", "roc_auc", "calibration_error"),
        from_columns=("string", "integer", "boolean"),
        of_another="which names no class",
        calibrations=("none", "temperature", "auto"),
        without={
            "model.objective": NO_COUNT,
            "predict.threshold": "the class that is predicted depends on predict.costs",
            "predict.interval": NO_ENDS,
            "model.parameters.scale_pos_weight": "there is no yes to weigh",
            "model.imbalance.to": "the share is that of yes, and classes are made alike",
        },
        without_steps={"target": "classes have no mean"},
    ),
    "regression": LabelType(
        label="number",
        prediction="number",
        values=(),
        probabilities=False,
        metrics=("rmse", "mae"),
        told=None,
        beside="r2",
        shown=("rmse", "mae", "r2", "bias", "coverage"),
        from_columns=("integer", "number"),
        of_another="which is no number",
        without={
            "model.calibrate": NO_PROBABILITY,
            "promote.max_calibration_error": NO_PROBABILITY,
            "predict.threshold": "there is no yes to choose",
            "predict.costs": "there is no class to choose",
            "split.stratify": "numbers have no classes to keep the shares of",
            "label.labellers": "agreement is of classes",
            "label.group": NO_CLASS,
            "label.rare": NO_CLASS,
            "model.imbalance": "numbers have no classes to balance",
            "model.parameters.scale_pos_weight": "there is no yes to weigh",
        },
    ),
}


def score_column(name: str) -> str:
    """The column of `gold.predictions` and the warehouse with the probability of a class."""
    return f"score_{re.sub('[^a-z0-9_]', '_', name.lower())}"
