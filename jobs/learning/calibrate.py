"""Calibration of scores and the threshold for a yes, both fitted on validation only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """A monotone curve from a raw score to a probability, as its corner points.

    Without corner points the raw score stays as it is.
    """

    scores: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()

    def apply(self, raw: Array) -> Array:
        """Probabilities of the same shape as `raw`; straight lines between corner points."""
        if not self.scores:
            return raw
        return np.interp(raw, self.scores, self.probabilities)

    def to_json(self) -> dict[str, Any]:
        return {"scores": list(self.scores), "probabilities": list(self.probabilities)}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Calibration:
        return cls(tuple(written["scores"]), tuple(written["probabilities"]))


def fit_isotonic(raw: Array, labels: Array) -> Calibration:
    """The monotone curve closest to the labels (Zadrozny and Elkan, KDD 2002).

    Probabilities stay half a row away from 0 and 1, because n rows cannot prove more.
    """
    edge = 0.5 / len(raw)
    curve = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(raw, labels)
    return Calibration(tuple(curve.X_thresholds_.tolist()), tuple(curve.y_thresholds_.tolist()))


def best_f1_threshold(scores: Array, labels: Array) -> float:
    """The score from which a row counts as yes so that F1 is greatest; the highest of equals."""
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(labels[order])
    last_of_equals = np.append(ranked[1:] != ranked[:-1], True)
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + labels.sum())
    return float(ranked[np.argmax(np.where(last_of_equals, f1, -1.0))])
