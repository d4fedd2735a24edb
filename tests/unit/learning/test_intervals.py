"""Bootstrap intervals: honest, paired, and independent of how memory is cut."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from jobs.learning import intervals
from jobs.learning.holdout import Scored
from jobs.learning.intervals import Asked, Estimate, Resamples, estimate, gain
from jobs.learning.metrics.binary import METRICS
from jobs.learning.metrics.tally import tally
from jobs.learning.targets.binary import Binary


def nights(days: int, per_day: int) -> np.ndarray:
    return np.repeat(np.datetime64("2024-01-01") + np.arange(days), per_day)


def labels_and_signal(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    signal = rng.normal(size=n)
    return (rng.random(n) < 1 / (1 + np.exp(-signal))).astype(float), signal


def values(
    draws: Resamples,
    metric: str,
    labels: np.ndarray,
    scores: np.ndarray,
    rows: np.ndarray | None = None,
) -> np.ndarray:
    asked = Asked((metric,), labels, Scored(scores, 0.5), rows)
    return draws.distributions(Binary(), {"model": asked})["model"][metric]


def squash(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def test_equally_good_models_are_rarely_told_apart():
    rng = np.random.default_rng(3)
    told_apart = 0
    for seed in range(40):
        labels, signal = labels_and_signal(rng, 900)
        one, other = (squash(signal + rng.normal(scale=1.0, size=900)) for _ in range(2))
        draws = Resamples.of(nights(30, 30), seed)
        found = [values(draws, "roc_auc", labels, scores) for scores in (one, other)]
        lead = gain(METRICS["roc_auc"], found[0], found[1], 0.95)
        told_apart += not lead.low <= 0 <= lead.high
    assert told_apart <= 7  # 5 % of 40 are 2; more than 7 has a chance below 1 in 500.


def test_a_better_model_is_told_apart():
    rng = np.random.default_rng(4)
    labels, signal = labels_and_signal(rng, 3000)
    good, poor = squash(signal), squash(signal + rng.normal(scale=2.0, size=3000))
    draws = Resamples.of(nights(30, 100), 1)
    for metric in ("roc_auc", "pr_auc", "log_loss"):
        better, worse = (values(draws, metric, labels, scores) for scores in (good, poor))
        assert gain(METRICS[metric], better, worse, 0.95).low > 0
        assert gain(METRICS[metric], worse, better, 0.95).high < 0


def test_first_value_is_that_of_the_rows_and_lies_within():
    rng = np.random.default_rng(5)
    labels, signal = labels_and_signal(rng, 1000)
    scores = squash(signal)
    found = values(Resamples.of(nights(20, 50), 1), "roc_auc", labels, scores)
    interval = estimate(METRICS["roc_auc"], found, 0.95)
    assert interval.value == pytest.approx(METRICS["roc_auc"].of(tally(labels, scores)))
    assert interval.low < interval.value < interval.high


def test_dates_that_hang_together_widen_the_interval():
    rng = np.random.default_rng(6)
    storm = np.repeat(rng.random(30) < 0.3, 50)
    labels = (rng.random(1500) < np.where(storm, 0.6, 0.1)).astype(float)
    scores = np.full(1500, 0.3)
    widths = []
    for dates in (nights(30, 50), nights(5, 300)):
        draws = Resamples.of(dates, 1)
        found = estimate(METRICS["brier"], values(draws, "brier", labels, scores), 0.95)
        widths.append(found.high - found.low)
    by_dates, by_rows = widths
    assert by_dates > 2 * by_rows


def test_few_dates_mean_rows_are_drawn():
    assert Resamples.of(nights(9, 5), 1).by == "rows"
    assert Resamples.of(nights(10, 5), 1).by == "dates"


def test_groups_are_drawn_where_rows_were_split_by_them():
    dates, groups = nights(12, 5), np.repeat([7, 2**60, -3, *range(10, 19)], 5)
    assert Resamples.of(dates, 1).by == "dates"
    draws = Resamples.of(dates, 1, groups)
    assert (draws.by, draws.n) == ("groups", 12)
    assert len({draws.groups[place] for place in range(5)}) == 1
    assert Resamples.of(dates, 1, groups % 9).by == "rows"


def test_memory_chunks_do_not_change_the_draws(monkeypatch):
    draws = Resamples.of(nights(12, 3), 9)
    whole = np.concatenate(list(draws.weights(1)))
    monkeypatch.setattr(intervals, "CELLS", 100)
    assert np.array_equal(whole, np.concatenate(list(draws.weights(1))))


def test_draws_are_made_once_and_let_go(monkeypatch):
    monkeypatch.setattr(intervals, "CELLS", 1000)
    made: list[weakref.ref[np.ndarray]] = []
    most = 0

    class Watched(Resamples):
        def weights(self, width):
            nonlocal most
            for weights in super().weights(width):
                made.append(weakref.ref(weights))
                most = max(most, sum(each() is not None for each in made))
                yield weights

    draws = Watched(np.arange(100), 100, 1, "rows")
    labels, signal = labels_and_signal(np.random.default_rng(9), 100)
    scores = {name: squash(signal * name) for name in (1, 2, 3)}
    found = draws.distributions(
        Binary(),
        {name: Asked(("brier",), labels, Scored(each, 0.5)) for name, each in scores.items()},
    )
    assert len(made) == 100
    assert most <= 2
    for name, each in scores.items():
        assert np.array_equal(found[name]["brier"], values(draws, "brier", labels, each))


def test_a_slice_is_seen_under_the_same_draws():
    rng = np.random.default_rng(8)
    labels, signal = labels_and_signal(rng, 600)
    scores, dates = squash(signal), nights(20, 30)
    rows = np.arange(600) % 3 == 0
    sliced = values(Resamples.of(dates, 2), "brier", labels, scores, rows)
    alone = values(Resamples.of(dates[rows], 2), "brier", labels[rows], scores[rows])
    assert np.allclose(sliced, alone)


def test_one_class_gives_a_reason_instead_of_a_number():
    draws = Resamples.of(nights(12, 2), 1)
    found = estimate(
        METRICS["roc_auc"], values(draws, "roc_auc", np.zeros(24), np.linspace(0, 1, 24)), 0.95
    )
    assert found.value is None
    assert "both classes" in found.reason


def test_a_single_yes_gives_a_value_but_no_interval():
    labels = np.zeros(24)
    labels[3] = 1
    draws = Resamples.of(nights(12, 2), 1)
    found = estimate(
        METRICS["roc_auc"], values(draws, "roc_auc", labels, np.linspace(0, 1, 24)), 0.95
    )
    assert found.value is not None
    assert found.low is None
    assert "too few rows" in found.reason


def test_an_interval_of_another_confidence_keeps_its_lean():
    known = Estimate(1.0, 1 - 1.96, 1 + 2 * 1.96)
    surer = known.at(0.99, 0.95)
    assert (surer.low, surer.high) == (
        pytest.approx(1 - 2.576, abs=1e-3),
        pytest.approx(1 + 2 * 2.576, abs=1e-3),
    )
    assert known.at(0.95, 0.95) == known
    without = Estimate(None, reason="no rows")
    assert without.at(0.99, 0.95) == without
