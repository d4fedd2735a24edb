"""Each rule of promotion, and that its sentence names what a person needs."""

from __future__ import annotations

import pytest

from jobs.learning.evaluation import CandidateResult, Confusion, Evaluation, SliceResult
from jobs.learning.intervals import Estimate
from jobs.learning.promotion import bought, decide
from jobs.usecase import Promote

CLEAR, UNCLEAR = Estimate(0.02, 0.01, 0.03), Estimate(0.02, -0.01, 0.05)


def result(name: str, calibration_error: float = 0.01, **more: object) -> CandidateResult:
    return CandidateResult(
        name=name,
        threshold=0.5,
        metrics={"calibration_error": Estimate(calibration_error, 0.0, 0.1)},
        confusion=Confusion(yes_said_yes=1, yes_said_no=1, no_said_yes=1, no_said_no=1),
        classes={},
        calibration=(),
        **more,
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
        "candidates": (result("xgboost"), result("champion")),
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
            {"candidates": (result("xgboost", 0.2), result("champion"))},
            {},
            "off by 0.200",
        ),
    ],
)
def test_reasons_to_keep_the_champion(gains, changes, rules, said):
    found = decide(evaluation(gains, **changes), Promote(**rules))
    assert found.status == "keep"
    assert said in found.sentence


def test_a_slice_that_may_have_lost_too_much_is_a_persons_matter():
    unclear, fine = sliced(Estimate(-0.01, -0.05, 0.03)), sliced(Estimate(0.0, -0.01, 0.01))
    found = decide(evaluation({"champion": CLEAR}, slices=(fine, unclear)), Promote())
    assert found.status == "needs_person"
    assert "beats champion version 3, gain in ROC AUC +0.0200" in found.sentence
    assert (
        "may lose more than 0.02 in 1 of 2 slices, most where origin is LGA: gain in ROC AUC "
        "-0.0100 (95% interval -0.0500 to +0.0300) on 555 holdout rows. A person must decide."
    ) in found.sentence


def test_slices_that_surely_lose_little_and_those_without_an_interval_stop_nobody():
    slices = (sliced(Estimate(0.0, -0.01, 0.01)), sliced(Estimate(None, reason="one class")))
    found = decide(evaluation({"champion": CLEAR}, slices=slices), Promote())
    assert found.status == "promote"
    assert "none of 1 slices loses more than 0.02, and 1 more cannot be judged" in found.sentence
    small = decide(evaluation({"champion": CLEAR}, slices=slices, small_slices=3), Promote())
    assert "and 4 more cannot be judged" in small.sentence


def test_of_many_slices_one_that_loses_by_chance_is_no_find():
    # Alone it would be sure to lose more than allowed; among thirty that is what chance does.
    loses = sliced(Estimate(-0.06, -0.098, -0.022))
    others = (sliced(Estimate(0.0, -0.01, 0.01)),) * 29
    alone = decide(evaluation({"champion": CLEAR}, slices=(loses,)), Promote())
    assert (alone.status, "in 1 of 1 slices" in alone.sentence) == ("keep", True)
    among = decide(evaluation({"champion": CLEAR}, slices=(loses, *others)), Promote())
    assert among.status == "needs_person"


def test_a_gain_has_to_be_surer_the_more_challengers_were_judged_on_the_same_days():
    # Of 0.05 the first challenger may spend a half, the second a sixth, the fifth a thirtieth.
    gains = {"champion": Estimate(0.02, 0.004, 0.036)}
    found = [decide(evaluation(gains, look=look), Promote()) for look in (1, 2, 5)]
    assert [each.status for each in found] == ["promote", "promote", "keep"]
    assert "(95% interval +0.0040 to +0.0360)" in found[0].sentence
    assert "(98.33% interval +0.0005 to +0.0395)" in found[1].sentence
    assert "99.67% interval" in found[2].sentence
    assert "of which 5 challengers of it were judged on some" in found[2].sentence


def test_the_first_model_is_not_held_to_looks_and_slices_of_a_champion():
    slices = (sliced(Estimate(-0.1, -0.2, -0.05)).model_copy(update={"gain": None}),)
    assert decide(evaluation({}, slices=slices), Promote()).status == "promote"


@pytest.mark.parametrize(
    ("ours", "theirs", "rules", "status"),
    [
        (100, 100, {}, "promote"),
        (190, 100, {}, "promote"),
        (210, 100, {}, "needs_person"),
        (45, 100, {}, "needs_person"),
        (140, 100, {"max_volume_change": 0.3}, "needs_person"),
        # A handful of rows says nothing.
        (19, 3, {}, "promote"),
    ],
)
def test_many_more_or_fewer_predictions_than_the_champion_s_are_a_persons_matter(
    ours, theirs, rules, status
):
    name = "number of rows said to be yes"
    candidates = (
        result("xgboost", volumes={name: ours}),
        result("champion", volumes={name: theirs}),
    )
    found = decide(evaluation({"champion": CLEAR}, candidates=candidates), Promote(**rules))
    assert found.status == status
    if status == "needs_person":
        assert f"its {name} is {ours} and the champion's is {theirs}" in found.sentence


def test_a_slow_challenger_is_kept_back():
    slow = evaluation({}, candidates=(result("xgboost", microseconds=61.23),))
    assert decide(slow, Promote()).status == "promote"
    assert decide(slow, Promote(max_microseconds=70)).status == "promote"
    found = decide(slow, Promote(max_microseconds=50))
    assert found.status == "keep"
    assert "takes 61.2 microseconds to score a row, and 50 are allowed" in found.sentence


def test_a_feature_that_may_give_the_label_away_is_a_persons_matter():
    told = evaluation({"champion": CLEAR}, leaks=("The feature temp alone tells all.",))
    found = decide(told, Promote())
    assert found.status == "needs_person"
    assert "may know too much: The feature temp alone tells all." in found.sentence
    # One that is no better is kept back for that.
    worse = told.model_copy(update={"gains": {**told.gains, "champion": UNCLEAR}})
    assert decide(worse, Promote()).status == "keep"


def test_approval_is_a_persons():
    found = decide(evaluation({"champion": CLEAR}), Promote(approval="required"))
    assert found.status == "needs_person"
    assert "person must approve" in found.sentence


def test_a_champion_that_cannot_be_scored_is_a_persons_matter():
    found = decide(evaluation({}, champion_version=2, champion_problem="It lacks rain."), Promote())
    assert found.status == "needs_person"
    assert "It lacks rain." in found.sentence


def test_who_decides_without_a_comparison_is_told_what_speaks_against_it():
    alone = {"champion_version": 2, "champion_problem": "It lacks rain."}
    worse = decide(evaluation({"constant": UNCLEAR}, **alone), Promote())
    assert worse.status == "needs_person"
    assert "It lacks rain. The challenger (xgboost) does not beat a constant" in worse.sentence
    leaky = decide(evaluation({}, **alone, leaks=("The feature temp tells all.",)), Promote())
    assert "It lacks rain. The challenger (xgboost) may know too much: The" in leaky.sentence
    assert leaky.sentence.endswith("A person must decide.")


def test_a_calibration_error_that_is_unknown_is_not_said_to_be_none():
    unknown = result("xgboost").model_copy(
        update={"metrics": {"calibration_error": Estimate(None, reason="there are no rows")}}
    )
    told = evaluation({"champion": CLEAR}, candidates=(unknown, result("champion")))
    found = decide(told, Promote())
    assert found.status == "keep"
    assert "(calibration error) is unknown, because there are no rows." in found.sentence


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
