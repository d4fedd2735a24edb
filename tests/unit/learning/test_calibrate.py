from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import f1_score

from jobs.learning.calibrate import Calibration, best_f1_threshold, fit_isotonic
from jobs.learning.metrics import METRICS


@pytest.fixture
def overconfident() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    chance = rng.random(4000) * 0.5
    return np.sqrt(chance), (rng.random(4000) < chance).astype(float)


def test_isotonic_as_scikit_learn_within_the_allowed_edges(overconfident):
    raw, labels = overconfident
    found = fit_isotonic(raw, labels).apply(raw)
    edge = 0.5 / len(raw)
    expected = IsotonicRegression(out_of_bounds="clip").fit(raw, labels).predict(raw)
    assert np.allclose(found, np.clip(expected, edge, 1 - edge), atol=1e-9)
    assert METRICS["calibration_error"](labels, found) < 0.01
    assert METRICS["calibration_error"](labels, raw) > 0.1


def test_scores_beyond_validation_stay_probabilities(overconfident):
    found = fit_isotonic(*overconfident).apply(np.array([-1.0, 2.0]))
    assert 0 < found[0] < found[1] < 1


def test_survives_json_bit_for_bit(overconfident):
    raw, labels = overconfident
    before = fit_isotonic(raw, labels)
    after = Calibration.from_json(json.loads(json.dumps(before.to_json())))
    assert np.array_equal(before.apply(raw), after.apply(raw))


def test_no_calibration_changes_nothing():
    assert np.array_equal(Calibration().apply(np.array([0.2, 0.9])), [0.2, 0.9])


def test_threshold_is_the_best_of_all(overconfident):
    raw, labels = overconfident
    scores = np.round(raw, 2)
    found = best_f1_threshold(scores, labels)
    best = max(f1_score(labels, scores >= cut) for cut in np.unique(scores))
    assert f1_score(labels, scores >= found) == pytest.approx(best)
