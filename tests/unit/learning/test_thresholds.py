"""The threshold for a yes: each way against a search through all thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from sklearn import metrics as oracle

from jobs.learning.thresholds import choose
from jobs.usecase import Threshold

Rows = tuple[np.ndarray, np.ndarray]


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    n = draw(st.integers(2, 60))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    # Few distinct scores, so that ties are common.
    scores = rng.integers(0, draw(st.integers(1, 30)) + 1, n) / 31
    labels = (rng.random(n) < scores).astype(float)
    labels[:2] = 0.0, 1.0
    return scores, labels


def every_cut(scores: np.ndarray) -> list[float]:
    """All thresholds that differ, the highest first; above all scores nothing is said."""
    return [float(np.nextafter(scores.max(), 2)), *np.unique(scores)[::-1].tolist()]


@how(max_examples=40, deadline=None)
@given(rows(), st.sampled_from([0.5, 1.0, 2.0, 5.0]))
def test_f_beta_is_the_largest_of_all(case, beta):
    scores, labels = case
    spec = {"maximise": "f1"} if beta == 1 else {"maximise": "f_beta", "beta": beta}
    found = choose(Threshold.model_validate(spec), scores, labels).threshold
    by = {
        cut: oracle.fbeta_score(labels, scores >= cut, beta=beta, zero_division=0)
        for cut in every_cut(scores)
    }
    assert by[found] == pytest.approx(max(by.values()))
    assert not [cut for cut in by if cut > found and by[cut] > by[found] - 1e-12]


@how(max_examples=40, deadline=None)
@given(rows(), st.sampled_from([0.05, 0.3, 0.5, 0.8, 1.0]))
def test_of_those_with_a_precision_it_has_most_recall(case, wanted):
    scores, labels = case
    spec = Threshold.model_validate({"at_least": {"precision": wanted}})
    found = choose(spec, scores, labels)
    cuts = every_cut(scores)[1:]
    precision = {cut: oracle.precision_score(labels, scores >= cut) for cut in cuts}
    recall = {cut: oracle.recall_score(labels, scores >= cut) for cut in cuts}
    meets = [cut for cut in cuts if precision[cut] >= wanted]
    if meets:
        assert found.remark is None
        assert precision[found.threshold] >= wanted
        assert recall[found.threshold] == max(recall[cut] for cut in meets)
    else:
        assert precision[found.threshold] == pytest.approx(max(precision.values()))
        assert f"No threshold has a precision of {wanted:g} on validation" in str(found.remark)


@how(max_examples=40, deadline=None)
@given(rows(), st.sampled_from([0.05, 0.3, 0.5, 0.8, 1.0]))
def test_of_those_with_a_recall_it_has_most_precision(case, wanted):
    scores, labels = case
    spec = Threshold.model_validate({"at_least": {"recall": wanted}})
    found = choose(spec, scores, labels)
    meets = {
        cut: oracle.precision_score(labels, scores >= cut, zero_division=0)
        for cut in every_cut(scores)
        if oracle.recall_score(labels, scores >= cut) >= wanted
    }
    assert found.remark is None
    assert meets[found.threshold] == pytest.approx(max(meets.values()))


@how(max_examples=40, deadline=None)
@given(rows(), st.sampled_from([(1, 20), (1, 1), (20, 1), (3, 2)]))
def test_costs_are_the_least_of_all(case, costs):
    scores, labels = case
    false_positive, false_negative = costs
    spec = {"cost": {"false_positive": false_positive, "false_negative": false_negative}}
    found = choose(Threshold.model_validate(spec), scores, labels)
    by = {}
    for cut in every_cut(scores):
        _, wrong_yes, wrong_no, _ = oracle.confusion_matrix(labels, scores >= cut).ravel()
        by[cut] = false_positive * wrong_yes + false_negative * wrong_no
    assert by[found.threshold] == min(by.values())
    assert (found.remark is not None) == (found.threshold > scores.max())


def test_of_many_calibrated_scores_costs_choose_nearly_what_bayes_would():
    rng = np.random.default_rng(1)
    scores = rng.random(200_000)
    labels = (rng.random(200_000) < scores).astype(float)
    spec = Threshold.model_validate({"cost": {"false_positive": 1, "false_negative": 4}})
    assert choose(spec, scores, labels).threshold == pytest.approx(1 / 5, abs=0.02)


def test_never_yes_is_said_and_a_fixed_threshold_is_taken_as_it_is():
    scores, labels = np.array([0.1, 0.2, 0.2]), np.array([0.0, 0.0, 1.0])
    spec = Threshold.model_validate({"cost": {"false_positive": 50, "false_negative": 1}})
    found = choose(spec, scores, labels)
    assert found.threshold > 0.2
    assert "nothing is cheaper on validation than never to say yes" in str(found.remark)
    assert choose(Threshold(fixed=0.7), scores, labels).threshold == 0.7
