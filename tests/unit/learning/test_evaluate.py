"""Who becomes the challenger, and what is told about everybody."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, recall_score

from jobs.errors import Refused
from jobs.learning.evaluate import evaluate
from jobs.learning.evaluation import Evaluation
from jobs.learning.holdout import Holdout, Scored
from jobs.learning.targets.binary import Binary

N = 2000


@pytest.fixture(scope="module")
def case() -> tuple[Holdout, dict[str, np.ndarray]]:
    rng = np.random.default_rng(2)
    signal = rng.normal(size=N)
    chance = 1 / (1 + np.exp(-2 * signal))
    holdout = Holdout(
        labels=(rng.random(N) < chance).astype(float),
        dates=np.repeat(np.datetime64("2024-01-01") + np.arange(20), N // 20),
        slices={"side": np.where(np.arange(N) % 40 == 0, "rare", "common").astype(object)},
    )
    noisy = 1 / (1 + np.exp(-2 * signal - rng.normal(scale=3, size=N)))
    return holdout, {"constant": np.full(N, 0.5), "poor": noisy, "good": chance}


def judged(case: tuple[Holdout, dict[str, np.ndarray]], **models: str) -> Evaluation:
    holdout, scores = case
    scored = {name: Scored(scores[which], 0.5) for name, which in models.items()}
    return evaluate(holdout, scored, target=Binary(), metric="roc_auc", confidence=0.95, seed=1)


def test_the_best_wins_when_it_is_clearly_better(case):
    found = judged(case, constant="constant", rule="poor", linear="poor", xgboost="good")
    assert found.challenger == "xgboost"
    assert found.gains["linear"].low > 0


def test_the_simplest_of_equals_wins(case):
    found = judged(case, constant="constant", rule="poor", linear="good", xgboost="good")
    assert found.challenger == "linear"


def test_a_constant_wins_over_constants(case):
    assert judged(case, constant="constant", xgboost="constant").challenger == "constant"


def test_the_champion_is_compared_but_no_candidate(case):
    found = judged(case, constant="constant", rule="poor", champion="good")
    assert found.challenger == "rule"
    assert found.gains["champion"].high < 0
    assert found.slices[0].gain.high < 0


def test_small_slices_are_left_out(case):
    found = judged(case, constant="constant", rule="good")
    assert [(s.slice, s.value, s.rows) for s in found.slices] == [("side", "common", N - N // 40)]
    assert found.small_slices == 1


def test_decisions_as_scikit_learn(case):
    labels, scores = case[0].labels, case[1]["good"]
    found = judged(case, constant="constant", rule="good").of("rule")
    (no_no, no_yes), (yes_no, yes_yes) = confusion_matrix(labels, scores >= 0.5)
    assert found.confusion.yes_said_yes == yes_yes
    assert found.confusion.yes_said_no == yes_no
    assert found.confusion.no_said_yes == no_yes
    assert found.confusion.no_said_no == no_no
    assert found.classes["no"].recall == pytest.approx(
        recall_score(labels, scores >= 0.5, pos_label=0)
    )


def test_calibration_table_counts_every_row(case):
    table = judged(case, constant="constant", rule="good").of("rule").calibration
    assert sum(row.rows for row in table) == N
    assert all(abs(row.mean_score - row.share_of_yes) < 0.1 for row in table)


def test_one_class_is_refused(case):
    holdout = Holdout(np.zeros(N), case[0].dates, {})
    with pytest.raises(Refused, match="0 of them yes"):
        evaluate(holdout, {}, target=Binary(), metric="roc_auc", confidence=0.95, seed=1)
