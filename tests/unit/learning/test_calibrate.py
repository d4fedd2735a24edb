from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from jobs.learning import calibrate
from jobs.learning.calibrate import (
    Isotonic,
    Sigmoid,
    Temperature,
    Uncalibrated,
    fit,
    fit_isotonic,
    fit_sigmoid,
    fit_temperature,
    restored,
)
from jobs.learning.metrics.binary import METRICS
from jobs.learning.metrics.tally import tally

BINARY = ("auto", "isotonic", "sigmoid", "none")
CLASSES = ("auto", "temperature", "none")


@pytest.fixture
def overconfident() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    chance = rng.random(4000) * 0.5
    return np.sqrt(chance), (rng.random(4000) < chance).astype(float)


def several(seed: int, rows: int, sharper: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores of three classes whose logarithms are `sharper` times what is true."""
    rng = np.random.default_rng(seed)
    sums = rng.normal(size=(rows, 3))
    true = softmax(sums, axis=1)
    labels = (true.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).astype(float)
    return softmax(sharper * sums, axis=1), labels


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


@how(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 300), st.sampled_from(BINARY))
def test_whatever_the_rows_ranks_are_kept_and_scores_stay_probabilities(seed, rows, by):
    rng = np.random.default_rng(seed)
    raw = np.round(rng.uniform(0.001, 0.999, rows), 3)
    # Labels that may run against the scores, or be all the same.
    labels = (rng.random(rows) < rng.choice([0.0, 0.1, 1.0]) + rng.normal() * (raw - 0.5)) * 1.0
    curve, grid = fit(by, raw, labels, seed), np.linspace(0.001, 0.999, 400)
    found = curve.apply(grid)
    assert (np.diff(found) > 0).all()
    assert found.min() >= 0
    assert found.max() <= 1
    again = restored(json.loads(json.dumps(curve.to_json())))
    assert again == curve
    alone = [again.apply(grid[place : place + 1])[0] for place in range(0, 400, 40)]
    assert np.array_equal(found[::40], alone)


@how(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 200), st.sampled_from(CLASSES))
def test_of_several_classes_the_likeliest_stays_so_and_chances_add_up_to_one(seed, rows, by):
    raw, labels = several(seed, rows, 3.0)
    found = fit(by, raw, labels, seed)
    scores = found.apply(raw)
    assert np.array_equal(np.argsort(scores, axis=1), np.argsort(raw, axis=1))
    assert np.abs(scores.sum(axis=1) - 1).max() < 1e-12
    assert restored(json.loads(json.dumps(found.to_json()))) == found
    assert found.apply(raw[:0]).shape == (0, 3)
    assert np.array_equal(scores[:3], [found.apply(row[None, :])[0] for row in raw[:3]])


def test_sigmoid_is_platt_s():
    rng = np.random.default_rng(2)
    odds = rng.normal(size=500)
    labels = (rng.random(500) < expit(0.4 * odds - 1)).astype(float)
    found = fit_sigmoid(expit(odds), labels)
    # Each row once as yes and once as no, by as much as Platt's targets say.
    yes = labels.sum()
    wanted = np.where(labels == 1, (yes + 1) / (yes + 2), 1 / (500 - yes + 2))
    oracle = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(
        np.tile(odds, 2)[:, None],
        np.repeat([1, 0], 500),
        sample_weight=np.append(wanted, 1 - wanted),
    )
    assert found.slope == pytest.approx(oracle.coef_[0, 0], abs=1e-4)
    assert found.intercept == pytest.approx(oracle.intercept_[0], abs=1e-4)
    assert found.apply(expit(odds)) == pytest.approx(expit(found.slope * odds + found.intercept))


def test_a_temperature_is_found_again():
    for sharper in (0.5, 1.0, 3.0):
        found = fit_temperature(*several(3, 20_000, sharper))
        assert found.temperature == pytest.approx(sharper, rel=0.05)


@pytest.mark.parametrize("rows", [10, 100])
def test_of_rows_that_are_all_right_no_more_is_sure_than_they_can_prove(rows):
    raw = np.tile([0.45, 0.35, 0.2], (rows, 1))
    for by in ("temperature", "auto"):
        said = fit(by, raw, np.zeros(rows), 1).apply(raw[:1])[0, 0]
        assert said == pytest.approx((rows + 1) / (rows + 2), abs=1e-3)


def test_auto_chooses_by_a_bounded_number_of_rows_and_fits_all(overconfident, monkeypatch):
    raw, labels = overconfident
    every, fitted = fit("auto", raw, labels, 1), dict[int, int]()

    def counted(raw, labels):
        fitted[len(raw)] = fitted.get(len(raw), 0) + 1
        return fit_isotonic(raw, labels)

    monkeypatch.setattr(calibrate, "MOST_ROWS", 2000)
    monkeypatch.setattr(calibrate, "FITS", {**calibrate.FITS, "isotonic": counted})
    assert fit("auto", raw, labels, 1) == every
    assert fitted == {1600: 5}


def test_auto_takes_the_way_that_suits_the_rows(overconfident):
    rng = np.random.default_rng(4)
    raw = rng.uniform(0.02, 0.98, 3000)
    drawn = rng.random(3000)
    shifted = expit(0.5 * logit(raw) - 1)
    bent = np.where(raw < 0.5, 0.05, 0.9)
    assert fit("auto", raw, (drawn < shifted) * 1.0, 1).by == "sigmoid"
    assert fit("auto", raw, (drawn < bent) * 1.0, 1).by == "isotonic"
    assert fit("auto", *several(5, 2000, 3.0), 1).by == "temperature"
    assert fit("auto", *overconfident, 1) == fit("auto", *overconfident, 1)


def test_of_few_rows_auto_is_closer_to_the_truth_than_a_curve_of_any_shape():
    rng = np.random.default_rng(6)
    off = dict.fromkeys(("auto", "isotonic"), 0.0)
    for _ in range(25):
        raw = rng.uniform(0.02, 0.98, 150)
        chance = expit(0.5 * logit(raw) - 1)
        labels = (rng.random(150) < chance).astype(float)
        for by in off:
            said = fit(by, raw, labels, 1).apply(raw)
            off[by] += np.mean(chance * np.log(chance / said))
            off[by] += np.mean((1 - chance) * np.log((1 - chance) / (1 - said)))
    assert off["auto"] < 0.8 * off["isotonic"]


def test_no_calibration_changes_nothing():
    assert np.array_equal(Uncalibrated().apply(np.array([0.2, 0.9])), [0.2, 0.9])
    for one in (
        Uncalibrated(),
        Isotonic((0.0, 1.0), (0.1, 0.9)),
        Sigmoid(1.5, 0.1),
        Temperature(2.0),
    ):
        assert restored(one.to_json()) == one
