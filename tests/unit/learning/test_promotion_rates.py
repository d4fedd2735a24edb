"""How often promotion is wrong, and how often it finds a gain, over many made-up holdouts.

`pytest -s -m long` prints the figures; those seen are in infra/decisions/0029-promotion.md.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from jobs.learning.evaluate import evaluate
from jobs.learning.evaluation import Evaluation
from jobs.learning.holdout import Holdout, Scored
from jobs.learning.promotion import decide
from jobs.learning.targets.regression import Regression
from jobs.usecase import Promote

PER_DAY = 60
COMPARISONS = 1000
CHAMPION_S_BLUR = 0.6
RULES = Promote(max_slice_loss=0.05)


@dataclass(frozen=True)
class Case:
    """A kind of holdout: numbers, or yes and no that are scored by a chance.

    The root of the squared error of a chance is that of its Brier score, and both metrics need a
    few sums only, so that a thousand bootstraps take seconds.
    """

    metric: str
    yes_and_no: bool = False
    days: int = 28

    def made(self, rng: np.random.Generator) -> tuple[Holdout, np.ndarray]:
        """Rows of days that share their weather, and what is to be known of them."""
        dates = np.repeat(np.datetime64("2024-01-01") + np.arange(self.days), PER_DAY)
        known = rng.normal(size=len(dates)) + self._of_days(rng, 0.7)
        labels = known + rng.normal(size=len(dates))
        if self.yes_and_no:
            labels = (rng.random(len(dates)) < self._scored(known).scores).astype(float)
        depots = rng.choice(["north", "south", "east"], len(dates)).astype(object)
        return Holdout(labels, dates, {"depot": depots}), known

    def model(self, rng: np.random.Generator, known: np.ndarray, blur: float) -> Scored:
        """One that knows it about; its errors, too, are alike within a day."""
        return self._scored(known + self._of_days(rng, blur / 2) + rng.normal(0, blur, len(known)))

    def judged(
        self, rng: np.random.Generator, rows: Holdout, known: np.ndarray, blur: float, kinds: int
    ) -> dict[str, Scored]:
        """A constant and the most complex `kinds` of candidates, each as good as the others."""
        constant = {"constant": Scored(np.full(len(known), rows.labels.mean()))}
        names = ("rule", "linear", "xgboost")[-kinds:]
        return {**constant, **{name: self.model(rng, known, blur) for name in names}}

    def _of_days(self, rng: np.random.Generator, scale: float) -> np.ndarray:
        return np.repeat(rng.normal(scale=scale, size=self.days), PER_DAY)

    def _scored(self, values: np.ndarray) -> Scored:
        return Scored(1 / (1 + np.exp(1 - values)) if self.yes_and_no else values)


NUMBERS, YES_AND_NO = Case("mae"), Case("rmse", yes_and_no=True)


def evaluated(rows: Holdout, models: dict[str, Scored], metric: str, seed: int) -> Evaluation:
    found = evaluate(rows, models, target=Regression(), metric=metric, confidence=0.95, seed=seed)
    return found.model_copy(update={"champion_version": 1})


def compared(
    case: Case, blur: float, comparisons: int, kinds: int = 1
) -> tuple[Counter[str], float]:
    """What is decided on challengers of champions with a blur of 0.6, and the mean gain."""
    rng = np.random.default_rng(1)
    found, gains = Counter[str](), []
    for seed in range(comparisons):
        rows, known = case.made(rng)
        models = case.judged(rng, rows, known, blur, kinds)
        models["champion"] = case.model(rng, known, CHAMPION_S_BLUR)
        evaluation = evaluated(rows, models, case.metric, seed)
        found[decide(evaluation, RULES).status] += 1
        gains.append(evaluation.gains["champion"].value)
    return found, float(np.mean(gains))


@pytest.mark.long
@pytest.mark.parametrize("kinds", [1, 3])
@pytest.mark.parametrize(
    "case", [NUMBERS, YES_AND_NO, Case("mae", days=12)], ids=["numbers", "yes and no", "12 days"]
)
def test_of_equal_models_at_most_one_in_twenty_is_promoted(case, kinds):
    found, _ = compared(case, CHAMPION_S_BLUR, COMPARISONS, kinds)
    print(f"equal, {case}, {kinds} candidates: {dict(found)}")
    assert found["promote"] <= 0.05 * COMPARISONS


@pytest.mark.long
def test_of_champions_at_most_one_in_twenty_falls_to_one_of_many_equal_challengers():
    rng, fallen, looks, comparisons = np.random.default_rng(2), 0, 6, COMPARISONS // 2
    uncorrected = 0
    for seed in range(comparisons):
        rows, known = NUMBERS.made(rng)
        champion = NUMBERS.model(rng, known, CHAMPION_S_BLUR)
        said = []
        for look in range(looks):
            models = NUMBERS.judged(rng, rows, known, CHAMPION_S_BLUR, 1)
            found = evaluated(rows, {**models, "champion": champion}, "mae", seed)
            at = [found.model_copy(update={"look": each}) for each in (1, look + 1)]
            said.append([decide(each, RULES).status == "promote" for each in at])
        uncorrected += any(each[0] for each in said)
        fallen += any(each[1] for each in said)
    print(f"{looks} looks: {fallen} of {comparisons} fell, {uncorrected} without a correction")
    # Two standard errors of one in twenty are 0.02.
    assert fallen <= 0.07 * comparisons < uncorrected


@pytest.mark.long
@pytest.mark.parametrize("case", [NUMBERS, YES_AND_NO], ids=["numbers", "yes and no"])
def test_the_larger_a_gain_the_more_often_it_is_found(case):
    rates = []
    for blur in (0.6, 0.55, 0.5, 0.4, 0.2, 0.0):
        found, gain = compared(case, blur, COMPARISONS // 4)
        rates.append(found["promote"] / sum(found.values()))
        print(f"{case.metric}, gain {gain:+.4f}: {dict(found)}")
    assert all(later >= earlier - 0.03 for earlier, later in pairwise(rates))
    assert rates[0] <= 0.06
    assert rates[-1] > 0.95
