"""Metrics against scikit-learn, which computes them in another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as oracle

from jobs.learning.metrics.binary import METRICS
from jobs.learning.metrics.tally import tally

ORACLES = {
    "roc_auc": oracle.roc_auc_score,
    "pr_auc": oracle.average_precision_score,
    "log_loss": oracle.log_loss,
    "brier": oracle.brier_score_loss,
}


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = draw(st.integers(2, 40))
    labels = draw(arrays.arrays(np.float64, n, elements=st.sampled_from([0.0, 1.0])))
    labels[0], labels[1] = 0.0, 1.0
    # Few distinct scores, so that ties are common.
    scores = draw(arrays.arrays(np.float64, n, elements=st.sampled_from([0.05, 0.2, 0.5, 0.9])))
    weights = draw(arrays.arrays(np.float64, n, elements=st.sampled_from([1.0, 2.0, 5.0])))
    return labels, scores, weights


@settings(max_examples=60, deadline=None)
@given(scored())
@pytest.mark.parametrize("name", sorted(ORACLES))
def test_as_scikit_learn_with_and_without_weights(name, case):
    labels, scores, weights = case
    expected = ORACLES[name](labels, scores, sample_weight=weights)
    assert METRICS[name].of(tally(labels, scores, weights)) == pytest.approx(expected)
    assert METRICS[name].of(tally(labels, scores)) == pytest.approx(ORACLES[name](labels, scores))


@settings(max_examples=60, deadline=None)
@given(scored(), st.sampled_from([0.1, 0.2, 0.6]))
def test_decisions_as_scikit_learn(case, threshold):
    labels, scores, weights = case
    said = scores >= threshold
    expected = oracle.precision_recall_fscore_support(
        labels, said, average="binary", sample_weight=weights, zero_division=np.nan
    )
    for name, value in zip(("precision", "recall", "f1"), expected[:3], strict=True):
        found = METRICS[name].of(tally(labels, scores, weights, threshold))
        assert found == pytest.approx(value, nan_ok=True)


def test_calibration_error_by_hand():
    # Tenth 1: mean score 0.15, half are yes; tenth 9: mean score 0.95, all are yes.
    labels = np.array([0.0, 1.0, 1.0, 1.0])
    scores = np.array([0.12, 0.18, 0.95, 0.95])
    assert METRICS["calibration_error"].of(tally(labels, scores)) == pytest.approx(
        0.35 / 2 + 0.05 / 2
    )


def test_a_score_of_one_is_in_the_last_tenth():
    assert METRICS["calibration_error"].of(tally(np.array([1.0]), np.array([1.0]))) == 0.0


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc"])
def test_one_class_has_no_ranking(name):
    assert math.isnan(METRICS[name].of(tally(np.zeros(3), np.array([0.1, 0.2, 0.3]))))


def test_a_sure_mistake_costs_a_finite_loss():
    assert METRICS["log_loss"].of(tally(np.array([1.0]), np.array([0.0]))) == pytest.approx(
        34.5, abs=0.1
    )
