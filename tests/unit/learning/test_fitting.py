"""What a training learned, and what it must not have seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from jobs.errors import Refused
from jobs.learning.candidates import rule
from jobs.learning.candidates.kinds import SIMPLEST_FIRST
from jobs.learning.dataset import Parts
from jobs.learning.fitting import fit_all, parameters
from jobs.learning.metrics.binary import METRICS
from jobs.learning.metrics.tally import tally
from jobs.learning.model import INDEX, opened, sha256
from jobs.learning.reference import sample, seen
from jobs.learning.reference import with_scores as with_scores_of
from jobs.learning.scoring import with_scores
from jobs.learning.targets.binary import Binary
from jobs.learning.targets.target import Watched
from jobs.usecase import Rate
from tests.unit.learning import parcels


def part(data: pd.DataFrame, dates: object) -> pd.DataFrame:
    return data[(data["sent_on"] >= dates.first) & (data["sent_on"] <= dates.last)]


def test_every_kind_learned_and_trees_learned_most(trained, data, split):
    assert tuple(trained.models) == SIMPLEST_FIRST
    holdout = part(data, split.holdout)
    roc_auc = METRICS["roc_auc"]
    auc = {
        kind: roc_auc.of(tally(holdout["label"].to_numpy(), model.score(parcels.batch(holdout))))
        for kind, model in trained.models.items()
    }
    assert auc["constant"] == 0.5
    assert 0.5 < auc["rule"] < auc["linear"] < auc["xgboost"]
    assert 1 <= trained.settings["rounds_kept"] <= 60


def test_candidates_that_are_left_out_are_not_fitted(spark, settings, split, data, trained):
    plan = parcels.plan(settings, model={"candidates": ["linear", "constant"], "seed": 7})
    parts = Parts.of(parcels.frame(spark, data), split)
    found = fit_all(parts, plan, trained.models["linear"].cutoff, 0, lambda *_: None)
    assert tuple(found.models) == ("constant", "linear")
    assert found.models["linear"].files() == trained.models["linear"].files()
    assert found.settings == {}
    assert set(parameters(plan.usecase, found.settings, ridge=0.5)) == {
        *("metric", "calibrate", "seed", "linear.ridge", "linear.most_rows")
    }


def test_holdout_cannot_influence_a_fit(spark, trained, parcel_plan, split, data):
    poisoned = data.copy()
    rows = poisoned["sent_on"] >= split.holdout.first
    poisoned.loc[rows, "label"] = 1 - poisoned.loc[rows, "label"]
    poisoned.loc[rows, ["hour", "weight", "rain"]] = 1e9
    poisoned.loc[rows, "depot"] = "poison"
    parts = Parts.of(parcels.frame(spark, poisoned.sample(frac=1, random_state=1)), split)
    again = fit_all(parts, parcel_plan, trained.models["rule"].cutoff, 0, lambda *_: None)
    for kind, model in trained.models.items():
        assert again.models[kind].files() == model.files(), kind


def test_validation_is_not_fitted_on(trained, data, split):
    train = part(data, split.train)
    assert trained.models["constant"].candidate.score == pytest.approx(train["label"].mean())
    assert trained.rows == {"train": len(train), "validation": len(part(data, split.validation))}


def test_rates_of_the_rule_by_hand(trained, data, split):
    rule = trained.models["rule"].candidate
    train = part(data, split.train)
    overall = train["label"].mean()
    north = train[train["depot"] == "north"]["label"]
    expected = (north.sum() + 20 * overall) / (len(north) + 20)
    odd = parcels.batch(pd.DataFrame({"depot": ["north", "never seen", None]}))
    assert rule.raw(odd) == pytest.approx([expected, overall, overall])


def test_of_many_groups_the_largest_have_a_score_of_their_own(spark, data, monkeypatch):
    monkeypatch.setattr(rule, "MOST_GROUPS", 2)
    frame = parcels.frame(spark, data)
    found = rule.fit(Parts(frame, frame), Rate(by=("depot",)), Binary())
    assert [values for values, _ in found.groups] == [("north",), ("south",)]
    assert found.overall == pytest.approx(data["label"].mean())


def test_linear_is_where_its_loss_is_flat(trained, data, split):
    linear = trained.models["linear"].candidate
    train = part(data, split.train)
    ready = linear.scaling.apply(linear.recipe.matrix(parcels.batch(train)))
    chances = linear.raw(parcels.batch(train))
    off = chances - train["label"].to_numpy()
    slope = ready.T @ off / len(train) + 1e-4 * np.array(linear.coefficients)
    assert np.abs(slope).max() < 2e-3
    assert abs(off.mean()) < 2e-3
    # Of the loss of a constant, the slopes would be far from flat.
    base = ready.T @ (train["label"].mean() - train["label"].to_numpy()) / len(train)
    assert np.abs(base).max() > 0.02


def test_saved_and_opened_scores_are_equal_bit_for_bit(trained, data):
    batch = parcels.batch(data)
    for kind, model in trained.models.items():
        files = model.files()
        again = opened(files, sha256(files[INDEX]), kind)
        assert np.array_equal(again.score(batch), model.score(batch)), kind
        assert again.files() == files


def test_scores_in_spark_are_those_of_training(spark, trained, data):
    some = data.head(500)
    scored = with_scores(parcels.frame(spark, some), trained.models, ("parcel",)).orderBy("parcel")
    table = scored.toArrow()
    for kind, model in trained.models.items():
        assert np.array_equal(table[kind].to_numpy(), model.score(parcels.batch(some))), kind


def test_a_row_scores_the_same_alone_and_among_others(trained, data):
    batch = parcels.batch(data)
    for kind, model in trained.models.items():
        alone = [model.score(batch.slice(place, 1))[0] for place in range(50)]
        assert np.array_equal(model.score(batch)[:50], alone), kind


def test_importance_names_the_columns(trained):
    assert "weight" in trained.models["xgboost"].candidate.importance()
    assert "rain is missing" in trained.models["linear"].candidate.importance()


def test_reference_holds_what_drift_needs(trained):
    reference = trained.models["xgboost"].reference
    weight = reference["numeric"]["weight"]
    assert len(weight["shares"]) == len(weight["edges"]) + 1
    assert sum(weight["shares"]) == pytest.approx(1)
    assert reference["numeric"]["rain"]["missing"] == pytest.approx(0.2, abs=0.05)
    depot = reference["categorical"]["depot"]
    assert sum(depot["values"].values()) + depot["other"] == pytest.approx(1)
    assert len(depot["values"]) == 2
    assert reference["score"]["missing"] == 0
    # Nineteen days are less than two weeks' worth of weeks.
    assert reference["usual"] == {}


def test_reference_holds_how_far_the_weeks_lay_apart(spark, parcel_plan, data):
    frame, features = parcels.frame(spark, data), parcel_plan.usecase.features
    sampled = sample(frame, ("sent_on", "parcel"), len(data), features.names)
    reference = seen(frame, sampled, features)
    scores = np.linspace(0, 1, len(data))
    dates = data["sent_on"].to_numpy().astype("datetime64[D]")
    usual = with_scores_of(reference, Watched(scores), dates)["usual"]
    assert set(usual) == {"weight", "hour", "rain", "depot", "score"}
    # Of 42 days, 36 begin a week.
    assert {(one["weeks"], one["days"]) for one in usual.values()} == {(36 / 7, 7)}
    # Days are alike in these parcels, and as unlike as can be in these scores.
    assert usual["weight"]["most"] < 0.1 < 1 < usual["score"]["most"]


def test_no_rows_are_refused(spark, parcel_plan, data):
    frame = parcels.frame(spark, data.head(5))
    with pytest.raises(Refused, match="training part of the training set has no rows"):
        fit_all(Parts(frame.limit(0), frame), parcel_plan, "2024-02-12", 0, lambda *_: None)


def test_one_class_is_refused(spark, parcel_plan, data):
    frame = parcels.frame(spark, data.head(5).assign(label=0.0))
    with pytest.raises(Refused, match=r"All 5 rows of the training part .* same label, no"):
        fit_all(Parts(frame, frame), parcel_plan, "2024-02-12", 0, lambda *_: None)
