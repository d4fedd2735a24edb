"""Pictures of an evaluation, as PNG files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jobs.learning.evaluate import Holdout, Scored
from jobs.learning.evaluation import Evaluation
from jobs.learning.tally import tally

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BARS = 20


def drawn(
    evaluation: Evaluation,
    holdout: Holdout,
    models: Mapping[str, Scored],
    importance: Mapping[str, float],
) -> dict[str, bytes]:
    """File name and PNG of ROC, precision-recall, calibration and importance."""
    pictures = {
        "roc.png": _roc(holdout, models),
        "precision_recall.png": _precision_recall(holdout, models),
        "calibration.png": _calibration(evaluation),
    }
    if importance:
        pictures["importance.png"] = _importance(importance)
    return {name: _png(figure) for name, figure in pictures.items()}


def _roc(holdout: Holdout, models: Mapping[str, Scored]) -> Figure:
    figure, axes = _empty("False positive rate", "True positive rate")
    for name, model in models.items():
        counts = tally(holdout.labels, model.scores)
        yes, no = (np.cumsum(part[0, ::-1]) for part in (counts.yes, counts.no))
        axes.plot(np.append(0, no / no[-1]), np.append(0, yes / yes[-1]), label=name)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.5)
    axes.legend()
    return figure


def _precision_recall(holdout: Holdout, models: Mapping[str, Scored]) -> Figure:
    figure, axes = _empty("Recall", "Precision")
    for name, model in models.items():
        counts = tally(holdout.labels, model.scores)
        yes, both = (np.cumsum(part[0, ::-1]) for part in (counts.yes, counts.both))
        axes.step(yes / yes[-1], yes / both, where="post", label=name)
    axes.legend()
    return figure


def _calibration(evaluation: Evaluation) -> Figure:
    figure, axes = _empty("Mean score", "Share of yes")
    for found in evaluation.candidates:
        points = [(bin_.mean_score, bin_.share_of_yes) for bin_ in found.calibration]
        axes.plot(*zip(*points, strict=True), marker="o", label=found.name)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.5)
    axes.legend()
    return figure


def _importance(importance: Mapping[str, float]) -> Figure:
    figure, axes = _empty("Importance", "")
    most = sorted(importance.items(), key=lambda item: item[1])[-BARS:]
    axes.barh([name for name, _ in most], [value for _, value in most])
    return figure


def _empty(x: str, y: str) -> tuple[Figure, Axes]:
    # A figure of its own needs no display and leaves nothing behind in pyplot.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=100)
    return out.getvalue()
