"""Calibration: from the scores of a candidate to probabilities, fitted on validation only.

Each way is plain data that is kept with the model. None changes the order of two rows' scores, nor
which of several classes is likeliest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logit, softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import KFold

from jobs.learning.metrics.metric import EDGE

Array = NDArray[np.float64]

# Parts of validation, each of which is told by what the others have fitted, and of how many rows
# at most: more would settle no better which way it is.
FOLDS, MOST_ROWS = 5, 100_000
# A curve that fell, or was flat, would turn or lose the order of scores.
LEAST_SLOPE = 1e-3
TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True)
class Calibration(ABC):
    """A way from raw scores to probabilities.

    Attributes:
        by: what a use case's file calls it.
    """

    by: ClassVar[str]

    @abstractmethod
    def apply(self, raw: Array) -> Array:
        """Probabilities of the same shape as `raw`; each row's depend on nothing but its own."""

    def to_json(self) -> dict[str, Any]:
        """All that `restored` needs."""
        return {"by": self.by, **asdict(self)}


@dataclass(frozen=True)
class Uncalibrated(Calibration):
    """Raw scores stay as they are."""

    by: ClassVar[str] = "none"

    def apply(self, raw: Array) -> Array:
        return raw


@dataclass(frozen=True)
class Isotonic(Calibration):
    """A monotone curve by its corner points, with straight lines between them."""

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    by: ClassVar[str] = "isotonic"

    def apply(self, raw: Array) -> Array:
        return np.interp(raw, self.scores, self.probabilities)


@dataclass(frozen=True)
class Sigmoid(Calibration):
    """A logistic curve of the raw score's log-odds."""

    slope: float
    intercept: float

    by: ClassVar[str] = "sigmoid"

    def apply(self, raw: Array) -> Array:
        found: Array = expit(self.slope * _log_odds(raw) + self.intercept)
        return found


@dataclass(frozen=True)
class Temperature(Calibration):
    """Of several classes: the logarithms of the probabilities divided by one number.

    Above 1 the scores were too sure of themselves.
    """

    temperature: float

    by: ClassVar[str] = "temperature"

    def apply(self, raw: Array) -> Array:
        found: Array = softmax(_logarithms(raw) / self.temperature, axis=1)
        return found


KINDS: Mapping[str, type[Calibration]] = {
    kind.by: kind for kind in (Uncalibrated, Isotonic, Sigmoid, Temperature)
}


def restored(written: Mapping[str, Any]) -> Calibration:
    """A calibration from what `Calibration.to_json` gave."""
    fields = {name: value for name, value in written.items() if name != "by"}
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return KINDS[written["by"]](**{**fields, **lists})


def fit(by: str, raw: Array, labels: Array, seed: int) -> Calibration:
    """The calibration of some rows.

    `auto` is the way whose log loss is least on rows that it was not fitted on.

    Args:
        by: as a use case's file names it.
        raw: scores within 0 and 1, of shape (rows,), or (rows, classes) for several classes.
        labels: 0 or 1, or places of classes.
        seed: of how `auto` deals out the rows.
    """
    return FITS[_least_loss(raw, labels, seed) if by == "auto" else by](raw, labels)


def fit_isotonic(raw: Array, labels: Array) -> Isotonic:
    """The monotone curve closest to the labels, centred so that no two raw scores become one.

    Isotonic regression (Zadrozny and Elkan, KDD 2002) gives steps; each step is drawn together
    in its middle, with straight lines between (Oron and Flournoy, Statistics in Biopharmaceutical
    Research 2017), from 0 to 1. So a ranking by calibrated scores is the ranking by raw ones.

    Probabilities stay half a row away from 0 and 1, because n rows cannot prove more.
    """
    edge = 0.5 / len(raw)
    steps = IsotonicRegression(y_min=edge, y_max=1 - edge).fit_transform(raw, labels)
    values, step, rows = np.unique(steps, return_inverse=True, return_counts=True)
    middles = np.bincount(step, weights=raw) / rows
    inside = (middles > 0) & (middles < 1) & (values > edge) & (values < 1 - edge)
    return Isotonic(
        (0.0, *middles[inside].tolist(), 1.0), (edge, *values[inside].tolist(), 1 - edge)
    )


def fit_sigmoid(raw: Array, labels: Array) -> Sigmoid:
    """The likeliest logistic curve that rises.

    Labels count as nearly 0 and 1 only, so that a curve that separates them has an end (Platt,
    Advances in Large Margin Classifiers, 1999).
    """
    odds, yes = _log_odds(raw), labels.sum()
    wanted = np.where(labels == 1, (yes + 1) / (yes + 2), 1 / (len(labels) - yes + 2))

    def loss(curve: Array) -> tuple[float, Array]:
        sums = curve[0] * odds + curve[1]
        off = expit(sums) - wanted
        lost = np.logaddexp(0, sums) - wanted * sums
        return float(lost.mean()), np.array([(off * odds).mean(), off.mean()])

    found = minimize(
        loss,
        np.array([1.0, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(LEAST_SLOPE, None), (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-9},
    )
    return Sigmoid(float(found.x[0]), float(found.x[1]))


def fit_temperature(raw: Array, labels: Array) -> Temperature:
    """The likeliest temperature (Guo, Pleiss, Sun and Weinberger, ICML 2017).

    As in Platt's targets the true class counts as nearly 1 only, and the likeliest of the others
    as the rest: else of a few rows that are all right nothing would be sure enough.
    """
    sums = _logarithms(raw)
    sums -= sums.max(axis=1, keepdims=True)
    true = (np.arange(len(labels)), labels.astype(np.int64))
    others = sums.copy()
    others[true] = -np.inf
    rows = len(labels)
    wanted = float(((rows + 1) * sums[true] + others.max(axis=1)).mean()) / (rows + 2)

    # Convex in the inverse.
    def loss(inverse: float) -> float:
        return float(np.log(np.exp(inverse * sums).sum(axis=1)).mean()) - inverse * wanted

    coldest, hottest = TEMPERATURES
    ends = (1 / hottest, 1 / coldest)
    found = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-8})
    return Temperature(1 / float(found.x))


def _none(raw: Array, labels: Array) -> Uncalibrated:
    return Uncalibrated()


FITS: Mapping[str, Callable[[Array, Array], Calibration]] = {
    "none": _none,
    "sigmoid": fit_sigmoid,
    "isotonic": fit_isotonic,
    "temperature": fit_temperature,
}
# What `auto` chooses from, of yes and no, and of several classes; of equals the first.
OF_YES_AND_NO = ("none", "sigmoid", "isotonic")
OF_CLASSES = ("none", "temperature")


def _least_loss(raw: Array, labels: Array, seed: int) -> str:
    if len(raw) < FOLDS:
        return "none"
    if len(raw) > MOST_ROWS:
        some = np.random.default_rng(seed).choice(len(raw), MOST_ROWS, replace=False)
        raw, labels = raw[some], labels[some]
    losses = dict.fromkeys(OF_YES_AND_NO if raw.ndim == 1 else OF_CLASSES, 0.0)
    for learns, told in KFold(FOLDS, shuffle=True, random_state=seed).split(raw):
        for by in losses:
            scores = FITS[by](raw[learns], labels[learns]).apply(raw[told])
            losses[by] -= float(np.log(_chances(scores, labels[told])).sum())
    return min(losses, key=lambda by: losses[by])


def _chances(scores: Array, labels: Array) -> Array:
    """The probability that each row gave to what was true."""
    if scores.ndim == 1:
        found = np.where(labels == 1, scores, 1 - scores)
    else:
        found = scores[np.arange(len(labels)), labels.astype(np.int64)]
    return np.clip(found, EDGE, 1.0)


def _log_odds(raw: Array) -> Array:
    found: Array = logit(np.clip(raw, EDGE, 1 - EDGE))
    return found


def _logarithms(raw: Array) -> Array:
    return np.log(np.clip(raw, EDGE, 1.0))
