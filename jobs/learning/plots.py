"""Pictures of an evaluation, as PNG files."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jobs.learning.evaluation import CalibrationBin
from jobs.learning.holdout import Holdout, Scored
from jobs.learning.metrics.metric import Array
from jobs.learning.metrics.tally import tally

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jobs.learning.targets.target import Target

BARS = 20
TENTHS = 10
# Above this share a cell is dark.
HALF = 0.5
# Points of a distribution's curve.
STEPS = 200


def drawn(
    target: Target,
    holdout: Holdout,
    models: Mapping[str, Scored],
    importance: Mapping[str, float],
) -> dict[str, bytes]:
    """File name and PNG of the target's own pictures, and of what counts most."""
    pictures = target.pictures(holdout, models)
    if importance:
        pictures["importance.png"] = _importance(importance)
    return {name: _png(figure) for name, figure in pictures.items()}


def roc(labels: Array, models: Mapping[str, Array]) -> Figure:
    """The ROC curve of each model's scores."""
    figure, axes = _empty("False positive rate", "True positive rate")
    for name, scores in models.items():
        counts = tally(labels, scores)
        yes, no = (np.cumsum(part[0, ::-1]) for part in (counts.yes, counts.no))
        axes.plot(np.append(0, no / no[-1]), np.append(0, yes / yes[-1]), label=name)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.5)
    axes.legend()
    return figure


def precision_recall(labels: Array, models: Mapping[str, Array]) -> Figure:
    """Precision by recall of each model's scores."""
    figure, axes = _empty("Recall", "Precision")
    for name, scores in models.items():
        counts = tally(labels, scores)
        yes, both = (np.cumsum(part[0, ::-1]) for part in (counts.yes, counts.both))
        axes.step(yes / yes[-1], yes / both, where="post", label=name)
    axes.legend()
    return figure


def reliability(tables: Mapping[str, Sequence[CalibrationBin]], x: str, y: str) -> Figure:
    """How often scores came true, by model."""
    figure, axes = _empty(x, y)
    for name, table in tables.items():
        points = [(bin_.mean_score, bin_.share_of_yes) for bin_ in table]
        axes.plot(*zip(*points, strict=True), marker="o", label=name)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.5)
    axes.legend()
    return figure


def confused(confusion: Mapping[str, Mapping[str, int]]) -> Figure:
    """The share of each true class's rows that each class was said of."""
    figure, axes = _empty("Said", "True")
    rows = np.array([[*row.values()] for row in confusion.values()], dtype=np.float64)
    shares = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(confusion)), [*confusion], rotation=45, ha="right")
    axes.set_yticks(range(len(confusion)), [*confusion])
    for place, share in np.ndenumerate(shares):
        colour = "white" if share > HALF else "black"
        axes.text(place[1], place[0], f"{share:.0%}", ha="center", va="center", color=colour)
    return figure


def by_decile(labels: Array, models: Mapping[str, Array]) -> Figure:
    """The mean label by the mean score, in each tenth of each model's rows by score."""
    figure, axes = _empty("Mean prediction", "Mean label")
    for name, scores in models.items():
        tenths = np.array_split(np.argsort(scores, kind="stable"), min(TENTHS, len(scores)))
        points = [(scores[rows].mean(), labels[rows].mean()) for rows in tenths]
        axes.plot(*zip(*points, strict=True), marker="o", label=name)
    middle = float(labels.mean())
    axes.axline((middle, middle), slope=1, color="grey", linewidth=0.5)
    axes.legend()
    return figure


def errors_drawn(labels: Array, models: Mapping[str, Array]) -> Figure:
    """The share of rows whose absolute error is at most so large."""
    figure, axes = _empty("Absolute error", "Share of rows")
    shares = np.linspace(0, 1, STEPS)
    for name, scores in models.items():
        axes.plot(np.quantile(np.abs(scores - labels), shares), shares, label=name)
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
