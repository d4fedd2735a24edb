"""Numbers: how many hours late will each parcel be?"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xgboost
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pyspark.sql import SparkSession
from sklearn import metrics as oracle

from jobs.errors import Refused
from jobs.lake.tables import Tables
from jobs.learning.band import Band
from jobs.learning.dataset import Parts
from jobs.learning.evaluate import evaluate
from jobs.learning.evaluation import Evaluation
from jobs.learning.fitting import Trained, fit_all, parameters
from jobs.learning.holdout import Holdout, Scored
from jobs.learning.intervals import Asked, Resamples
from jobs.learning.leak import leaks_of
from jobs.learning.metrics.regression import METRICS, ErrorCounter
from jobs.learning.model import INDEX, opened, sha256
from jobs.learning.promotion import decide
from jobs.learning.registry import LoadedModel
from jobs.learning.targets.binary import Binary
from jobs.learning.targets.regression import Regression
from jobs.learning.targets.target import measured
from jobs.plan import Plan, Split
from jobs.prediction.published_table import PublishedTable
from jobs.prediction.score import score
from jobs.settings import Settings
from jobs.usecase import Promote
from tests.unit.learning import parcels
from tests.unit.learning.conftest import CUTOFF, train

ORACLES = {
    "mae": oracle.mean_absolute_error,
    "rmse": oracle.root_mean_squared_error,
    "r2": oracle.r2_score,
    "bias": lambda labels, scores, **how: np.average(scores - labels, weights=how["sample_weight"]),
}
NUMBERS = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


def plan_of(settings: Settings, metric: str | None, interval: float | None = None) -> Plan:
    changes = {
        "label": {**parcels.SPEC["label"], "expression": "hours", "type": "regression"},
        "model": {**parcels.SPEC["model"], **({"metric": metric} if metric else {})},
        "promote": {"max_slice_loss": 0.5},
        "predict": {**parcels.SPEC["predict"], "interval": interval},
    }
    return parcels.plan(settings, **changes)


@pytest.fixture(scope="module")
def hours() -> pd.DataFrame:
    """Parcels with how late they are, which has outliers and no upper end."""
    found = parcels.rows(days=42, per_day=90)
    rng = np.random.default_rng(3)
    wet = np.nan_to_num(found["rain"], nan=0.9)
    storm = (wet > 0.6) & (found["hour"] > 15)
    mean = 5.0 + 8.0 * storm + 0.8 * found["weight"] + 4.0 * (found["depot"] == "south")
    return found.assign(label=mean + rng.standard_t(3, len(found)))


@pytest.fixture(scope="module")
def trained(
    spark: SparkSession, settings: Settings, split: Split, hours: pd.DataFrame
) -> dict[str, Trained]:
    return {
        metric: train(spark, plan_of(settings, metric), split, hours) for metric in ("rmse", "mae")
    }


def holdout_of(hours: pd.DataFrame, split: Split) -> Holdout:
    rows = hours[hours["sent_on"] >= split.holdout.first]
    return Holdout(
        rows["label"].to_numpy(),
        rows["sent_on"].to_numpy().astype("datetime64[D]"),
        {"depot": rows["depot"].to_numpy(dtype=object)},
    )


def judged(trained: Trained, hours: pd.DataFrame, split: Split) -> Evaluation:
    batch = parcels.batch(hours[hours["sent_on"] >= split.holdout.first])
    scored = {kind: Scored(model.score(batch)) for kind, model in trained.models.items()}
    scored["champion"] = Scored(scored["linear"].scores + 3)
    return evaluate(
        holdout_of(hours, split),
        scored,
        target=Regression(),
        metric="mae",
        confidence=0.95,
        seed=1,
    )


@st.composite
def predicted(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = draw(st.integers(2, 40))
    labels, scores = (draw(arrays.arrays(np.float64, n, elements=NUMBERS)) for _ in range(2))
    labels[0], labels[1] = 0.0, 1.0
    weights = draw(arrays.arrays(np.float64, n, elements=st.sampled_from([1.0, 2.0, 5.0])))
    return labels, scores, weights


@how(max_examples=60, deadline=None)
@given(predicted())
@pytest.mark.parametrize("name", sorted(ORACLES))
def test_metrics_as_scikit_learn_under_weights(name, case):
    labels, scores, weights = case
    counter = ErrorCounter.of(labels, scores, np.arange(len(labels)), len(labels))
    found = METRICS[name].of(counter.tally(weights[None, :]))
    expected = ORACLES[name](labels, scores, sample_weight=weights)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_r2_of_large_numbers_close_together_is_not_swallowed():
    rng = np.random.default_rng(1)
    labels = 1e9 + rng.normal(size=500)
    scores = labels + rng.normal(scale=0.5, size=500)
    found = measured(Regression(), labels, Scored(scores))["r2"]
    assert found == pytest.approx(oracle.r2_score(labels, scores), abs=1e-6)


def test_equal_labels_have_errors_but_no_r2():
    found = measured(Regression(), np.full(4, 0.1), Scored(np.array([0.0, 0.1, 0.2, 0.3])))
    assert np.isnan(found["r2"])
    assert found["mae"] == pytest.approx(0.1)


def test_a_bootstrap_by_dates_is_that_of_repeated_rows():
    rng = np.random.default_rng(2)
    labels, dates = rng.normal(size=120), np.repeat(np.arange("2024-01-01", 12, dtype="M8[D]"), 10)
    scores = labels + rng.normal(size=120)
    draws = Resamples.of(dates, 5)
    asked = Asked(tuple(METRICS), labels, Scored(scores))
    found = draws.distributions(Regression(), {"model": asked})["model"]
    weights = next(iter(draws.weights(6)))[7].astype(int)
    rows = np.concatenate([np.flatnonzero(draws.groups == g).repeat(1) for g in range(12)
                           for _ in range(weights[g])])  # fmt: skip
    assert found["rmse"][8] == pytest.approx(
        oracle.root_mean_squared_error(labels[rows], scores[rows])
    )
    assert found["r2"][8] == pytest.approx(oracle.r2_score(labels[rows], scores[rows]))


def test_every_kind_learned_and_trees_learned_most(trained, hours, split):
    for metric, found in trained.items():
        holdout = hours[hours["sent_on"] >= split.holdout.first]
        labels, batch = holdout["label"].to_numpy(), parcels.batch(holdout)
        error = {
            kind: measured(Regression(), labels, Scored(model.score(batch)))[metric]
            for kind, model in found.models.items()
        }
        assert error["xgboost"] < error["linear"] < error["rule"] < error["constant"], error
        assert found.validation["xgboost"]["r2"] > 0.6
        assert {model.threshold for model in found.models.values()} == {None}


def test_a_constant_is_what_its_metric_is_least_at(trained, hours, split):
    labels = hours[hours["sent_on"] <= split.train.last]["label"]
    by = {metric: found.models["constant"].candidate.score for metric, found in trained.items()}
    assert by["rmse"] == pytest.approx(labels.mean(), rel=1e-8)
    assert by["mae"] == pytest.approx(labels.median(), rel=1e-8)


def test_means_of_the_rule_by_hand(trained, hours, split):
    labels = hours[hours["sent_on"] <= split.train.last]
    north = labels[labels["depot"] == "north"]["label"]
    overall = labels["label"].mean()
    expected = (north.sum() + 20 * overall) / (len(north) + 20)
    odd = parcels.batch(pd.DataFrame({"depot": ["north", "never seen", None]}))
    found = trained["rmse"].models["rule"].candidate.raw(odd)
    assert found == pytest.approx([expected, overall, overall], rel=1e-8)


def test_linear_is_where_its_loss_is_flat(trained, hours, split):
    linear = trained["rmse"].models["linear"].candidate
    rows = hours[hours["sent_on"] <= split.train.last]
    ready = linear.scaling.apply(linear.recipe.matrix(parcels.batch(rows)))
    off = linear.raw(parcels.batch(rows)) - rows["label"].to_numpy()
    slope = ready.T @ off / len(rows) + 1e-4 * np.array(linear.coefficients)
    assert np.abs(slope).max() < 1e-5
    assert abs(off.mean()) < 1e-5


def test_a_fit_does_not_depend_on_the_order_of_rows(spark, settings, trained, hours, split):
    shuffled = hours.sample(frac=1, random_state=1)
    parts = Parts.of(parcels.frame(spark, shuffled).repartition(3), split)
    again = fit_all(parts, plan_of(settings, "rmse"), str(CUTOFF), 0, lambda *_: None)
    for kind, model in trained["rmse"].models.items():
        assert again.models[kind].files() == model.files(), kind


def test_saved_and_opened_scores_are_equal_bit_for_bit(trained, hours):
    batch = parcels.batch(hours)
    for kind, model in trained["mae"].models.items():
        files = model.files()
        again = opened(files, sha256(files[INDEX]), kind)
        assert again.target == Regression()
        assert np.array_equal(again.score(batch), model.score(batch)), kind
        alone = [model.score(batch.slice(place, 1))[0] for place in range(20)]
        assert np.array_equal(model.score(batch)[:20], alone), kind
        assert model.score(batch.slice(0, 0)).shape == (0,)


def test_predictions_are_the_scores(spark, settings, trained, hours):
    tables = Tables(plan_of(settings, None))
    assert [tables.labels().schema["label"].dataType.simpleString()] == ["double"]
    some = hours.head(200)
    model = trained["rmse"].models["xgboost"]
    found = score(parcels.frame(spark, some), LoadedModel(model, 3, ""), tables)
    rows = found.orderBy("parcel").toArrow()
    assert rows["score"].to_numpy() == pytest.approx(model.score(parcels.batch(some)))
    assert rows["prediction"].to_pylist() == rows["score"].to_pylist()


def test_intervals_are_fitted_published_and_checked_on_the_holdout(
    spark, settings, trained, hours, split
):
    plan = plan_of(settings, "rmse", interval=0.8)
    rows = hours[hours["sent_on"].between(split.validation.first, split.validation.last)]
    late = hours[hours["sent_on"] >= split.holdout.first]
    bounded = {}
    for kind, model in trained["rmse"].models.items():
        added = Regression.of(plan.usecase).finish(
            model.score(parcels.batch(rows)), rows["label"].to_numpy(), plan.usecase
        )
        assert added.remark is None
        bounded[kind] = replace(model, band=added.band)
    scored = {kind: one.scored(one.score(parcels.batch(late))) for kind, one in bounded.items()}
    found = evaluate(
        holdout_of(hours, split),
        scored,
        target=Regression.of(plan.usecase),
        metric="rmse",
        confidence=0.95,
        seed=1,
    )
    for kind in bounded:
        covered = found.of(kind).metrics["coverage"]
        assert covered.low < 0.8 < covered.high, kind
    assert found.of("xgboost").band.margin < found.of("constant").band.margin

    tables = Tables(plan)
    told = score(parcels.frame(spark, late), LoadedModel(bounded["xgboost"], 3, ""), tables)
    told = told.orderBy("parcel").toArrow()
    low, high = told["low"].to_numpy(), told["high"].to_numpy()
    labels = late["label"].to_numpy()
    assert np.mean((low <= labels) & (labels <= high)) == pytest.approx(
        found.of("xgboost").metrics["coverage"].value
    )
    assert high - low == pytest.approx(2 * found.of("xgboost").band.margin)
    names = [column.name for column in PublishedTable.of(plan).stored]
    assert names == ["sent_on", "parcel", "score", "prediction", "low", "high", "depot"]

    older = LoadedModel(trained["rmse"].models["xgboost"], 3, "")
    assert (
        score(parcels.frame(spark, late.head(5)), older, tables).where("low is null").count() == 5
    )


def test_too_few_rows_for_an_interval_are_said(settings):
    plan = plan_of(settings, None, interval=0.9)
    found = Regression.of(plan.usecase).finish(np.zeros(8), np.ones(8), plan.usecase)
    assert found.band is None
    assert found.remark == (
        "Validation has 8 rows, and an interval of 0.9 takes 9: low and high are empty."
    )


def test_counts_have_no_interval_below_zero(spark, settings, trained, hours):
    plan = plan_of(settings, None, interval=0.9)
    poisson = plan.usecase.model.model_copy(update={"objective": "poisson"})
    tables = Tables(replace(plan, usecase=plan.usecase.model_copy(update={"model": poisson})))
    model = replace(trained["rmse"].models["constant"], band=Band(0.9, 1e3))
    found = score(parcels.frame(spark, hours.head(3)), LoadedModel(model, 3, ""), tables)
    assert {row.low for row in found.collect()} == {0.0}


def test_a_model_of_other_labels_scores_nothing(spark, settings, trained, hours):
    model = replace(trained["rmse"].models["constant"], target=Binary())
    tables = Tables(plan_of(settings, None))
    with pytest.raises(Refused, match=r"learned binary labels, and .* declares regression labels"):
        score(parcels.frame(spark, hours.head(2)), LoadedModel(model, 3, ""), tables)


def test_an_evaluation_has_gains_in_the_labels_unit(trained, hours, split):
    found = judged(trained["mae"], hours, split)
    assert (found.target, found.yes, found.challenger) == ("regression", None, "xgboost")
    assert found.of("xgboost").confusion is None
    assert found.of("champion").metrics["bias"].value > 2
    assert found.gains["champion"].low > 1
    assert {one.value for one in found.slices} <= {"north", "south", "east"}
    assert all(one.yes is None and one.gain.value > 0 for one in found.slices)
    assert Evaluation.model_validate_json(found.model_dump_json()) == found


def test_a_first_model_is_promoted_by_what_it_explains(trained, hours, split):
    found = judged(trained["mae"], hours, split)
    first = found.model_copy(
        update={"gains": {n: g for n, g in found.gains.items() if n != "champion"}}
    )
    decision = decide(first, Promote(max_slice_loss=0.5))
    assert decision.status == "promote"
    assert "gain in mean absolute error +" in decision.sentence
    assert "; R² 0." in decision.sentence


def test_what_was_chosen_names_no_calibration(settings):
    found = parameters(plan_of(settings, None).usecase, {})
    assert found["metric"] == "rmse"
    assert "calibrate" not in found


def test_effects_that_multiply_are_learned_by_poisson(spark, settings, split):
    found = parcels.rows(days=42, per_day=40)
    rng = np.random.default_rng(5)
    mean = np.exp(0.2 * found["hour"] - 2 + 1.5 * (found["depot"] == "south"))
    counts = found.assign(label=rng.poisson(mean).astype(float))
    plan = plan_of(settings, "mae")
    poisson = plan.usecase.model.model_copy(update={"objective": "poisson"})
    usecase = plan.usecase.model_copy(update={"model": poisson})
    model = train(spark, replace(plan, usecase=usecase), split, counts).models["xgboost"]
    booster = xgboost.Booster()
    booster.load_model(bytearray(model.files()["booster.ubj"]))
    learner = json.loads(booster.save_config())["learner"]
    assert learner["objective"]["name"] == "count:poisson"
    scores = model.score(parcels.batch(counts))
    assert scores.min() > 0
    assert oracle.mean_poisson_deviance(counts["label"], scores) < 1.3
    assert parameters(usecase, {})["xgboost.objective"] == "poisson"

    parts = Parts.of(parcels.frame(spark, counts.assign(label=-1.0 - counts["label"])), split)
    with pytest.raises(Refused, match="`objective: poisson` is of numbers that are 0 or more"):
        fit_all(parts, replace(plan, usecase=usecase), "2024-02-12", 0, lambda *_: None)


def test_equal_labels_are_refused(spark, settings, hours):
    frame = parcels.frame(spark, hours.head(5).assign(label=2.5))
    with pytest.raises(Refused, match=r"All 5 rows of the training part .* same label, 2\.5"):
        fit_all(Parts(frame, frame), plan_of(settings, None), "2024-02-12", 0, lambda *_: None)


@pytest.mark.parametrize("name", ["weight", "depot"])
def test_a_feature_that_ranks_the_labels_is_named(settings, hours, name):
    spec = plan_of(settings, None).usecase.features
    labels = hours["label"].to_numpy()
    assert not leaks_of(pa.Table.from_pandas(hours), labels, spec, Regression())
    # Of a number any function that grows, of categories their names.
    fifth = np.digitize(labels, np.quantile(labels, [0.2, 0.4, 0.6, 0.8])).astype(float)
    given = {"weight": (np.exp(labels / 10), labels), "depot": (fifth.astype(str), fifth)}
    leaking = pa.Table.from_pandas(hours.assign(**{name: given[name][0]}))
    (said,) = leaks_of(leaking, given[name][1], spec, Regression())
    assert said.startswith(f"The feature {name} alone ranks the labels")


def test_nights_are_measured_in_closed_form():
    rng = np.random.default_rng(4)
    labels = rng.normal(size=400)
    scores = labels + rng.normal(loc=0.5, size=400)
    found = Regression().matured({"label": labels, "score": scores}, np.ones(400))
    for name in ("rmse", "mae", "bias"):
        value, low, high = found[name]
        expected = ORACLES[name](labels, scores, sample_weight=np.ones(400))
        assert value == pytest.approx(expected)
        assert low < value < high
    covered = np.append(np.ones(39), 0.0)
    told = {"label": np.zeros(40), "score": np.ones(40), "covered": covered}
    value, low, high = Regression(bounded=True).matured(told, np.ones(40))["coverage"]
    assert (value, high) == (pytest.approx(39 / 40), 1.0)
    assert 0.9 < low < value
    none = Regression().matured({"label": np.array([]), "score": np.array([])}, np.array([]))
    assert np.isnan([end for one in none.values() for end in one]).all()
