"""The types that a label may have, as far as a declaration goes.

What is done with labels of each type is in `jobs.learning.targets`. Nothing is imported here,
because every DAG file parses what stands on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# What is to be said of a column of another type where true or false is expected.
NEITHER = "which is neither true nor false: compare it with one"

Kind = Literal["number", "string", "boolean"]

# What people call the metrics that may decide.
WORDS = {"roc_auc": "ROC AUC", "pr_auc": "average precision", "log_loss": "log loss"}


@dataclass(frozen=True)
class LabelType:
    """What follows from a label's type.

    Attributes:
        label: what `gold.labels` holds.
        prediction: what is published as `prediction` beside the score.
        values: what a label may be.
        metrics: what candidates may be compared by; the first unless another one is declared.
        told: the metric that a training and a night are told by.
        shown: the metrics of an evaluation's table, in its order.
        from_columns: the types that a source's column may have which is all of `label.expression`.
        of_another: what is to be said of a column of another type.
    """

    label: Kind
    prediction: Kind
    values: tuple[float, ...]
    metrics: tuple[str, ...]
    told: str
    shown: tuple[str, ...]
    from_columns: tuple[str, ...]
    of_another: str


LABEL_TYPES: Mapping[str, LabelType] = {
    "binary": LabelType(
        label="number",
        prediction="boolean",
        values=(0.0, 1.0),
        metrics=("roc_auc", "pr_auc", "log_loss"),
        told="roc_auc",
        shown=("roc_auc", "pr_auc", "log_loss", "brier", "f1", "calibration_error"),
        from_columns=("boolean", "integer", "number"),
        of_another=NEITHER,
    ),
}
