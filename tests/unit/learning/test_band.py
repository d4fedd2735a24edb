"""Intervals of numbers: they cover what they say, whatever the errors are like."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from scipy.stats import betabinom

from jobs.learning import band
from jobs.learning.band import Band

ERRORS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy": lambda rng, n: rng.standard_cauchy(n),
    "skewed": lambda rng, n: rng.exponential(size=n) - 0.2,
    "few values": lambda rng, n: rng.integers(-2, 3, n).astype(float),
}


@pytest.mark.parametrize("name", sorted(ERRORS))
@how(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 0.8, 0.9, 0.95]), st.integers(40, 600))
def test_rows_to_come_are_covered_within_the_bounds_of_chance(name, seed, level, rows):
    rng = np.random.default_rng(seed)
    scores, new = rng.normal(size=rows), rng.normal(size=2000)
    found = band.fit(level, scores, scores + ERRORS[name](rng, rows))
    labels = new + ERRORS[name](rng, 2000)
    covered = int(found.covers(labels, new).sum())
    # Of a fitted band the share to come is a beta variable (Vovk, ACML 2012, proposition 2a);
    # errors that are equal only raise it.
    place = int(np.ceil(round((rows + 1) * level, 9)))
    of_chance = betabinom(2000, place, rows + 1 - place)
    assert of_chance.cdf(covered) > 1e-5
    if name != "few values":
        assert of_chance.sf(covered - 1) > 1e-5


def test_the_mean_coverage_is_the_level_and_hardly_more():
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(3000):
        labels = rng.normal(size=20)
        found = band.fit(0.9, np.zeros(19), labels[:19])
        shares.append(found.covers(labels[19:], np.zeros(1))[0])
    # 18 of 20 places.
    assert np.mean(shares) == pytest.approx(0.9, abs=0.02)


def test_the_margin_by_hand():
    errors = np.arange(1.0, 10.0)
    assert band.fit(0.9, np.zeros(9), errors) == Band(0.9, 9.0)
    assert band.fit(0.5, np.zeros(9), -errors) == Band(0.5, 5.0)
    assert Band(0.5, 5.0).covers(np.array([5.0, -5.1]), np.zeros(2)).tolist() == [True, False]


@pytest.mark.parametrize(("level", "rows"), [(0.9, 9), (0.95, 19), (0.5, 1), (0.99, 99)])
def test_too_few_rows_give_no_interval(level, rows):
    assert band.fewest_rows(level) == rows
    assert band.fit(level, np.zeros(rows - 1), np.ones(rows - 1)) is None
    assert band.fit(level, np.zeros(rows), np.ones(rows)) == Band(level, 1.0)


def test_survives_json():
    found = Band(0.9, 0.1 + 0.2)
    assert band.restored(json.loads(json.dumps(found.to_json()))) == found
    assert band.restored(None) is None
