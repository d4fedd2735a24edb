"""Each rule of promotion, and that its sentence names what a person needs."""

from __future__ import annotations

import pytest

from jobs.learning.evaluation import CandidateResult, Confusion, Evaluation, SliceResult
from jobs.learning.intervals import Estimate
from jobs.learning.promotion import bought, decide
from jobs.usecase import Promote

CLEAR, UNCLEAR = Estimate(0.02, 0.01, 0.03), Estimate(0.02, -0.01, 0.05)


def result(name: str, calibration_error: float = 0.01) -> CandidateResult:
    return CandidateResult(
        name=name,
        threshold=0.5,
        metrics={"calibration_error": Estimate(calibration_error, 0.0, 0.1)},
        confusion=Confusion(yes_said_yes=1, yes_said_no=1, no_said_yes=1, no_said_no=1),
        classes={},
        calibration=(),
    )


def evaluation(gains: dict[str, Estimate], **changes: object) -> Evaluation:
    found = {
        "metric": "roc_auc",
        "confidence": 0.95,
        "rows": 4321,
        "yes": 800,
        "first": "2024-01-01",
        "last": "2024-01-28",
        "resampled": "dates",
        "challenger": "xgboost",
        "candidates": (result("xgboost"),),
        "gains": {"constant": CLEAR, "rule": CLEAR, "linear": CLEAR, **gains},
        "slices": (),
        "champion_version": 3 if "champion" in gains else None,
    }
    return Evaluation.model_validate({**found, **changes})


def sliced(gain: Estimate) -> SliceResult:
    return SliceResult(slice="origin", value="LGA", rows=555, yes=9, estimate=CLEAR, gain=gain)


def test_first_model_that_beats_a_constant_is_promoted():
    found = decide(evaluation({}), Promote())
    assert found.status == "promote"
    assert "no champion yet" in found.sentence
    assert "ROC AUC +0.0200 (95% interval +0.0100 to +0.0300) on 4321" in found.sentence


def test_first_model_no_better_than_a_constant_is_kept_back():
    found = decide(evaluation({"constant": UNCLEAR}), Promote())
    assert found.status == "keep"
    assert "does not beat a constant" in found.sentence


def test_first_model_no_better_than_a_simpler_one_is_kept_back():
    found = decide(evaluation({"rule": UNCLEAR}), Promote())
    assert found.status == "keep"
    assert "does not beat the simpler rule" in found.sentence


def test_a_constant_is_never_the_first_model():
    assert decide(evaluation({}, challenger="constant"), Promote()).status == "keep"


def test_a_clear_gain_over_the_champion_is_promoted():
    found = decide(evaluation({"champion": CLEAR}), Promote())
    assert found.status == "promote"
    assert "champion version 3" in found.sentence


@pytest.mark.parametrize(
    ("gains", "changes", "rules", "said"),
    [
        ({"champion": UNCLEAR}, {}, {}, "does not beat champion version 3"),
        ({"champion": CLEAR}, {}, {"min_gain": 0.015}, "by more than 0.015"),
        ({"champion": CLEAR, "linear": UNCLEAR}, {}, {}, "simpler linear"),
        (
            {"champion": CLEAR},
            {"slices": (sliced(Estimate(-0.1, -0.15, -0.05)), sliced(UNCLEAR))},
            {"max_slice_loss": 0.02},
            "1 of 2 slices, most where origin is LGA: gain in ROC AUC -0.1000",
        ),
        (
            {"champion": CLEAR},
            {"candidates": (result("xgboost", 0.2),)},
            {},
            "off by 0.200",
        ),
    ],
)
def test_reasons_to_keep_the_champion(gains, changes, rules, said):
    found = decide(evaluation(gains, **changes), Promote(**rules))
    assert found.status == "keep"
    assert said in found.sentence


def test_a_loss_in_a_slice_that_may_be_chance_does_not_count():
    slices = (sliced(Estimate(-0.05, -0.2, 0.0)),)
    assert decide(evaluation({"champion": CLEAR}, slices=slices), Promote()).status == "promote"


def test_approval_is_a_persons():
    found = decide(evaluation({"champion": CLEAR}), Promote(approval="required"))
    assert found.status == "needs_person"
    assert "person must approve" in found.sentence


def test_a_champion_that_cannot_be_scored_is_a_persons_matter():
    found = decide(evaluation({}, champion_version=2, champion_problem="It lacks rain."), Promote())
    assert found.status == "needs_person"
    assert "It lacks rain." in found.sentence


def test_what_complexity_buys_is_its_gain_over_the_best_of_what_is_simpler():
    gains = {"rule": Estimate(0.05, 0.03, 0.07), "champion": Estimate(0.001, -0.01, 0.01)}
    assert bought(evaluation(gains)) == (
        "What xgboost buys over constant, the best of the simpler candidates: gain in ROC AUC "
        "+0.0200 (95% interval +0.0100 to +0.0300) on 4321 holdout rows."
    )


def test_what_simplicity_gives_up_is_told_where_what_is_less_simple_has_more():
    ahead = {"xgboost": Estimate(-0.002, -0.005, 0.001), "rule": UNCLEAR}
    both = bought(evaluation(ahead, challenger="linear"))
    assert "What linear buys over constant" in both
    assert (
        "What linear gives up to be simpler than xgboost, perhaps by chance: gain in ROC AUC "
        "-0.0020 (95% interval -0.0050 to +0.0010)"
    ) in both
    behind = evaluation({"xgboost": Estimate(0.002, -0.005, 0.001)}, challenger="linear")
    assert "gives up" not in bought(behind)
    alone = evaluation({}, challenger="constant").model_copy(update={"gains": {}})
    assert bought(alone) == ""


def test_evidence_survives_json():
    before = evaluation({"champion": CLEAR}, slices=(sliced(Estimate(None, reason="why")),))
    assert Evaluation.model_validate_json(before.model_dump_json()) == before
