"""The curves of scores against labels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from jobs.learning.metrics.metric import Array
from jobs.learning.metrics.tally import Tally, tally
from jobs.learning.report.details import Curve, Curves

TENTHS = 10
# Of a histogram.
BARS = 30
# Errors beyond this share on either side would leave no room for the others.
OUTERMOST = 0.005
# More lines cannot be told apart.
MOST_LINES = 8


def of_yes(labels: Array, scores: Mapping[str, Array]) -> Curves:
    """ROC, precision by recall, gains and lift of each model's scores; labels are 0 or 1."""
    counted = {name: tally(labels, each) for name, each in scores.items()}
    return {
        "roc": {name: _roc(each) for name, each in counted.items()},
        "precision_recall": {name: _precision_recall(each) for name, each in counted.items()},
        "gains": {name: _gains(each) for name, each in counted.items()},
        "lift": {name: _lift(each) for name, each in counted.items()},
    }


def of_classes(labels: NDArray[np.int64], scores: Array, names: tuple[str, ...]) -> Curves:
    """ROC and precision by recall of each class against all others, of the largest classes."""
    rows = np.bincount(labels, minlength=len(names))
    largest = sorted(np.argsort(-rows, kind="stable")[:MOST_LINES].tolist())
    counted = {
        names[place]: tally((labels == place).astype(np.float64), scores[:, place])
        for place in largest
    }
    return {
        "roc": {name: _roc(each) for name, each in counted.items()},
        "precision_recall": {name: _precision_recall(each) for name, each in counted.items()},
    }


def of_numbers(labels: Array, scores: Mapping[str, Array], challenger: str) -> Curves:
    """Mean labels by tenths of the predictions, sizes of errors, and the challenger's residuals."""
    return {
        "deciles": {name: _deciles(labels, each) for name, each in scores.items()},
        "errors": {name: _errors(labels, each) for name, each in scores.items()},
        "residuals": {challenger: _residuals(labels, scores[challenger])},
    }


def _cumulative(found: Tally) -> tuple[Array, Array]:
    """Yes and no among the highest scores, from none to all."""
    yes, no = (np.append(0, np.cumsum(part[0, ::-1])) for part in (found.yes, found.no))
    return yes, no


def _roc(found: Tally) -> Curve:
    yes, no = _cumulative(found)
    x, y = no / no[-1], yes / yes[-1]
    return Curve.thinned(x, y, x + y)


def _precision_recall(found: Tally) -> Curve:
    yes, no = (part[1:] for part in _cumulative(found))
    recall = yes / yes[-1]
    return Curve.thinned(recall, yes / (yes + no), recall)


def _gains(found: Tally) -> Curve:
    yes, no = _cumulative(found)
    rows = (yes + no) / (yes[-1] + no[-1])
    return Curve.thinned(rows, yes / yes[-1], rows)


def _lift(found: Tally) -> Curve:
    yes, no = _cumulative(found)
    # Of rows with equal scores any are taken, so that each has the same chance.
    shares = np.arange(1, TENTHS + 1) / TENTHS
    reached = np.interp(shares, (yes + no) / (yes[-1] + no[-1]), yes / yes[-1])
    return Curve.of(shares, reached / shares)


def _deciles(labels: Array, scores: Array) -> Curve:
    # Equal scores stay together, so those of a constant are one point.
    edges = np.unique(np.quantile(scores, np.arange(1, TENTHS) / TENTHS))
    place = np.searchsorted(edges, scores, side="left")
    rows, score, label = (np.bincount(place, values) for values in (None, scores, labels))
    there = rows > 0
    return Curve.of(score[there] / rows[there], label[there] / rows[there])


def _errors(labels: Array, scores: Array) -> Curve:
    shares = np.linspace(0, 1 - OUTERMOST, 2 * BARS)
    return Curve.of(np.quantile(np.abs(scores - labels), shares), shares)


def _residuals(labels: Array, scores: Array) -> Curve:
    errors = scores - labels
    low, high = np.quantile(errors, [OUTERMOST, 1 - OUTERMOST])
    # What lies outside is counted in the outermost bars.
    rows, edges = np.histogram(np.clip(errors, low, high), BARS)
    return Curve.of((edges[1:] + edges[:-1]) / 2, rows / len(errors))
