from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import f1_score

from jobs.learning.calibrate import Calibration, best_f1_threshold, fit_isotonic
from jobs.learning.metrics.binary import METRICS
from jobs.learning.metrics.tally import tally


@pytest.fixture
def overconfident() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    chance = rng.random(4000) * 0.5
    return np.sqrt(chance), (rng.random(4000) < chance).astype(float)


def test_isotonic_is_close_to_scikit_learn_s_and_keeps_every_rank(overconfident):
    raw, labels = overconfident
    found = fit_isotonic(raw, labels).apply(raw)
    expected = IsotonicRegression(out_of_bounds="clip").fit(raw, labels).predict(raw)
    assert np.mean(np.abs(found - expected)) < 0.015
    assert np.array_equal(np.argsort(found), np.argsort(raw))
    assert len(np.unique(found)) == len(np.unique(raw)) > 10 * len(np.unique(expected))
    assert METRICS["calibration_error"].of(tally(labels, found)) < 0.02
    assert METRICS["calibration_error"].of(tally(labels, raw)) > 0.1


def test_steps_are_drawn_together_in_their_middles():
    raw = np.array([0.1, 0.3, 0.4, 0.6, 0.8])
    found = fit_isotonic(raw, np.array([0.0, 1.0, 0.0, 1.0, 1.0]))
    assert found.scores == pytest.approx((0.0, 0.35, 1.0))
    assert found.probabilities == pytest.approx((0.1, 0.5, 0.9))


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
