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
    """The monotone curve closest to the labels, centred so that no two raw scores become one.

    Isotonic regression (Zadrozny and Elkan, KDD 2002) gives steps; each step is drawn together
    in its middle, with straight lines between (Oron and Flournoy, Statistics in Biopharmaceutical
    Research 2017), from 0 to 1. So a ranking by calibrated scores is the ranking by raw ones.

    Probabilities stay half a row away from 0 and 1, because n rows cannot prove more.

    Args:
        raw: scores within 0 and 1.
    """
    edge = 0.5 / len(raw)
    steps = IsotonicRegression(y_min=edge, y_max=1 - edge).fit_transform(raw, labels)
    values, step, rows = np.unique(steps, return_inverse=True, return_counts=True)
    middles = np.bincount(step, weights=raw) / rows
    inside = (middles > 0) & (middles < 1) & (values > edge) & (values < 1 - edge)
    return Calibration(
        (0.0, *middles[inside].tolist(), 1.0), (edge, *values[inside].tolist(), 1 - edge)
    )


def best_f1_threshold(scores: Array, labels: Array) -> float:
    """The score from which a row counts as yes so that F1 is greatest; the highest of equals."""
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(labels[order])
    last_of_equals = np.append(ranked[1:] != ranked[:-1], True)
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + labels.sum())
    return float(ranked[np.argmax(np.where(last_of_equals, f1, -1.0))])
