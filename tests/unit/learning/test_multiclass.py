"""Several classes: how will each parcel come to its door?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from scipy.special import softmax
from sklearn import metrics as oracle

from jobs.errors import Refused
from jobs.lake.tables import Tables
from jobs.learning.bins import bins_of
from jobs.learning.dataset import Parts
from jobs.learning.evaluate import evaluate
from jobs.learning.evaluation import Evaluation
from jobs.learning.fitting import Trained, fit_all
from jobs.learning.holdout import Holdout, Scored
from jobs.learning.intervals import Asked, Resamples
from jobs.learning.leak import leaks_of
from jobs.learning.metrics.multiclass import METRICS, ClassCounter
from jobs.learning.model import DESCRIPTION, INDEX, opened, sha256
from jobs.learning.promotion import decide
from jobs.learning.registry import LoadedModel
from jobs.learning.scoring import from_arrow, to_arrow
from jobs.learning.targets.multiclass import Multiclass
from jobs.learning.targets.target import measured
from jobs.plan import Plan, Split
from jobs.prediction.published_table import Column, PublishedTable
from jobs.prediction.score import score
from jobs.quality import gate, suite
from jobs.settings import Settings
from jobs.usecase import Promote
from tests.unit.learning import parcels
from tests.unit.learning.conftest import CUTOFF, train

CLASSES = ("door", "Neighbour", "shop 24h")
COLUMNS = ["score_door", "score_neighbour", "score_shop_24h"]
TARGET = Multiclass(CLASSES)


# It is bad not to be told of a parcel at the shop; two classes are as wrong as they always are.
COSTS = {"shop 24h": {"door": 6.0, "Neighbour": 4.0}}


def plan_of(settings: Settings, costs: dict[str, dict[str, float]] | None = None) -> Plan:
    label = {"type": "multiclass", "classes": CLASSES, "expression": "came_to"}
    return parcels.plan(
        settings,
        label={**parcels.SPEC["label"], **label},
        predict={**parcels.SPEC["predict"], "costs": costs or {}},
    )


@pytest.fixture(scope="module")
def ways() -> pd.DataFrame:
    """Parcels with how they came, which has to do with hour, weight and depot."""
    found = parcels.rows(days=42, per_day=90)
    rng = np.random.default_rng(6)
    wet = np.nan_to_num(found["rain"], nan=0.9)
    storm = (wet > 0.6) & (found["hour"] > 15)
    margins = np.column_stack(
        [np.zeros(len(found)), -2 + 4.0 * storm, -2 + 0.3 * found["weight"] - 1.5 * storm]
    )
    margins[:, 2] += 1.5 * (found["depot"] == "south")
    drawn = (softmax(margins, axis=1).cumsum(axis=1) < rng.random((len(found), 1))).sum(axis=1)
    return found.assign(label=np.array(CLASSES, dtype=object)[drawn])


@pytest.fixture(scope="module")
def trained(spark: SparkSession, settings: Settings, split: Split, ways: pd.DataFrame) -> Trained:
    return train(spark, plan_of(settings), split, ways)


def codes(rows: pd.DataFrame) -> np.ndarray:
    return rows["label"].map(CLASSES.index).to_numpy(dtype=np.float64)


def late(ways: pd.DataFrame, split: Split) -> pd.DataFrame:
    return ways[ways["sent_on"] >= split.holdout.first]


def judged(trained: Trained, ways: pd.DataFrame, split: Split) -> tuple[Holdout, Evaluation]:
    rows = late(ways, split)
    holdout = Holdout(
        codes(rows),
        rows["sent_on"].to_numpy().astype("datetime64[D]"),
        {"depot": rows["depot"].to_numpy(dtype=object)},
    )
    scored = {k: Scored(model.score(parcels.batch(rows))) for k, model in trained.models.items()}
    scored["champion"] = scored["rule"]
    found = evaluate(holdout, scored, target=TARGET, metric="f1_weighted", confidence=0.95, seed=1)
    return holdout, found


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, k = draw(st.integers(6, 40)), draw(st.integers(3, 5))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    labels = np.append(np.arange(k), rng.integers(0, k, n)).astype(np.float64)
    # Few distinct ones, so that ties are common.
    scores = softmax(rng.integers(0, 3, (n + k, k)).astype(float), axis=1)
    return labels, scores, rng.choice([1.0, 2.0, 5.0], n + k)


def by_scikit(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    said, every = scores.argmax(axis=1), range(scores.shape[1])
    how = {"sample_weight": weights}
    return {
        "log_loss": oracle.log_loss(labels, scores, labels=every, **how),
        "accuracy": oracle.accuracy_score(labels, said, **how),
        "f1_weighted": oracle.f1_score(labels, said, average="weighted", **how),
        "f1_macro": oracle.f1_score(labels, said, average="macro", **how),
        "roc_auc": oracle.roc_auc_score(labels, scores, multi_class="ovr", labels=every, **how),
        "brier": oracle.brier_score_loss(labels, scores, labels=every, scale_by_half=False, **how),
    }


@how(max_examples=60, deadline=None)
@given(scored())
def test_metrics_as_scikit_learn_under_weights(case):
    labels, scores, weights = case
    rows, said = np.arange(len(labels)), scores.argmax(axis=1)
    tally = ClassCounter.of(labels, scores, said, rows, len(labels)).tally(weights[None, :])
    for name, expected in by_scikit(labels, scores, weights).items():
        assert METRICS[name].of(tally) == pytest.approx(expected), name


def test_a_class_that_nobody_is_of_or_is_said_to_be_is_left_out_as_in_scikit_learn():
    labels, scores = np.array([0.0, 0.0, 1.0]), np.eye(4)[[0, 1, 1]]
    found = measured(Multiclass(("a", "b", "c", "d")), labels, Scored(scores))
    assert found["f1_macro"] == pytest.approx(oracle.f1_score(labels, [0, 1, 1], average="macro"))
    assert np.isnan(found["roc_auc"])
    assert np.isfinite(found["log_loss"])


def test_calibration_error_by_hand():
    # Said with 0.55, right half of the time; said with 0.95, always right.
    scores = np.array([[0.55, 0.45, 0], [0.55, 0.45, 0], [0, 0.05, 0.95], [0, 0.05, 0.95]])
    found = measured(TARGET, np.array([0.0, 1.0, 2.0, 2.0]), Scored(scores))
    assert found["calibration_error"] == pytest.approx(0.05 / 2 + 0.05 / 2)


def test_a_bootstrap_by_dates_is_that_of_repeated_rows():
    rng = np.random.default_rng(2)
    labels, scores = rng.integers(0, 3, 240).astype(float), rng.dirichlet([1, 1, 1], 240)
    draws = Resamples.of(np.repeat(np.arange("2024-01-01", 12, dtype="M8[D]"), 20), 5)
    asked = Asked(tuple(METRICS), labels, Scored(scores))
    found = draws.distributions(TARGET, {"model": asked})["model"]
    weights = next(iter(draws.weights(240)))[7][draws.groups]
    for name, expected in by_scikit(labels, scores, weights).items():
        assert found[name][8] == pytest.approx(expected), name


def test_every_kind_learned_and_trees_learned_most(trained, ways, split):
    rows = late(ways, split)
    loss = {
        kind: measured(TARGET, codes(rows), Scored(model.score(parcels.batch(rows))))["log_loss"]
        for kind, model in trained.models.items()
    }
    assert loss["xgboost"] < loss["linear"] < loss["rule"] < loss["constant"], loss
    assert {model.threshold for model in trained.models.values()} == {None}
    assert "weight" in trained.models["xgboost"].candidate.importance()
    assert trained.models["linear"].candidate.importance()["weight"] > 0


def test_probabilities_add_up_to_one(trained, ways):
    for kind, model in trained.models.items():
        scores = model.score(parcels.batch(ways))
        assert scores.shape == (len(ways), 3)
        assert np.abs(scores.sum(axis=1) - 1).max() < 1e-9, kind
        assert scores.min() >= 0


def test_shares_of_constant_and_rule_by_hand(trained, ways, split):
    rows = ways[ways["sent_on"] <= split.train.last]
    shares = [(rows["label"] == name).mean() for name in CLASSES]
    assert trained.models["constant"].candidate.score == pytest.approx(shares)
    north = rows[rows["depot"] == "north"]["label"]
    expected = [
        ((north == name).sum() + 20 * share) / (len(north) + 20)
        for name, share in zip(CLASSES, shares, strict=True)
    ]
    odd = parcels.batch(pd.DataFrame({"depot": ["north", "never seen"]}))
    found = trained.models["rule"].candidate.raw(odd)
    assert found == pytest.approx(np.array([expected, shares]))


def test_linear_is_where_its_loss_is_flat(trained, ways, split):
    linear = trained.models["linear"].candidate
    rows = ways[ways["sent_on"] <= split.train.last]
    ready = linear.scaling.apply(linear.recipe.matrix(parcels.batch(rows)))
    off = linear.raw(parcels.batch(rows)) - np.eye(3)[codes(rows).astype(int)]
    slopes = ready.T @ off / len(rows) + 1e-4 * np.array(linear.coefficients).T
    assert np.abs(slopes).max() < 2e-3
    assert np.abs(off.mean(axis=0)).max() < 2e-3


def test_a_fit_does_not_depend_on_the_order_of_rows(spark, settings, trained, ways, split):
    shuffled = parcels.frame(spark, ways.sample(frac=1, random_state=1)).repartition(3)
    parts = Parts.of(shuffled, split)
    again = fit_all(parts, plan_of(settings), str(CUTOFF), 0, lambda *_: None)
    for kind, model in trained.models.items():
        assert again.models[kind].files() == model.files(), kind


def test_saved_and_opened_scores_are_equal_bit_for_bit(trained, ways):
    batch = parcels.batch(ways)
    for kind, model in trained.models.items():
        files = model.files()
        again = opened(files, sha256(files[INDEX]), kind)
        assert again.target == TARGET
        assert again.files() == files
        assert np.array_equal(again.score(batch), model.score(batch)), kind
        alone = [model.score(batch.slice(place, 1))[0] for place in range(20)]
        assert np.array_equal(model.score(batch)[:20], alone), kind
        assert model.score(batch.slice(0, 0)).shape == (0, 3), kind
        assert all(name.encode() in files[DESCRIPTION] for name in COLUMNS)


def test_scores_survive_arrow():
    for scores in (np.random.default_rng(1).random((7, 3)), np.arange(5.0), np.zeros((0, 3))):
        found = from_arrow(pa.chunked_array([to_arrow(scores)]))
        assert np.array_equal(found, scores) or not scores.size


def test_predictions_have_a_column_for_each_class(spark, settings, trained, ways):
    plan = plan_of(settings)
    some, model = ways.head(300), trained.models["xgboost"]
    found = score(parcels.frame(spark, some), LoadedModel(model, 3, ""), Tables(plan))
    rows, expected = found.orderBy("parcel").toArrow(), model.score(parcels.batch(some))
    assert np.array_equal(np.column_stack([rows[name] for name in COLUMNS]), expected)
    assert np.array_equal(rows["score"].to_numpy(), expected.max(axis=1))
    assert rows["prediction"].to_pylist() == [CLASSES[n] for n in expected.argmax(axis=1)]
    table = PublishedTable.of(plan)
    assert [c.name for c in table.stored] == [
        *("sent_on", "parcel", "score", "prediction"),
        *COLUMNS,
        "depot",
    ]
    assert table.scores[1] == Column("prediction", "string")


def test_of_equally_likely_classes_the_first_declared_is_predicted(spark):
    frame = spark.createDataFrame([([0.2, 0.4, 0.4],)], "score array<double>")
    row = frame.select(*[c.alias(n) for n, c in TARGET.predicted(None).items()]).collect()[0]
    assert (row["prediction"], row["score"]) == ("Neighbour", 0.4)


@how(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 5), st.integers(1, 40))
def test_the_class_that_is_said_costs_least_of_all(seed, classes, rows):
    rng = np.random.default_rng(seed)
    costs = rng.integers(0, 30, (classes, classes)) * (1.0 - np.eye(classes))
    scores = softmax(rng.integers(0, 3, (rows, classes)).astype(float), axis=1)
    names = tuple(f"class {place}" for place in range(classes))
    found = Multiclass(names, tuple(map(tuple, costs.tolist()))).cheapest(scores)
    for row, said in zip(scores, found, strict=True):
        each = [
            sum(row[true] * costs[true, one] for true in range(classes)) for one in range(classes)
        ]
        assert each[said] == min(each)
        assert said == each.index(min(each))
    # Where all errors cost the same it is the likeliest.
    same = Multiclass(names, tuple(map(tuple, (1.0 - np.eye(classes)).tolist()))).cheapest(scores)
    assert scores[np.arange(rows), same] == pytest.approx(scores.max(axis=1))


def test_costs_decide_about_the_class_in_gold_in_the_evaluation_and_in_what_is_watched(
    spark, settings, trained, ways, split
):
    plan = plan_of(settings, COSTS)
    target = Multiclass.of(plan.usecase)
    assert target.costs == ((0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (6.0, 4.0, 0.0))
    model = replace(trained.models["xgboost"], target=target)
    files = model.files()
    model = opened(files, sha256(files[INDEX]), "it")
    assert model.target.costs == target.costs
    some = ways.head(300)
    chances = model.score(parcels.batch(some))
    said = (chances @ np.array(target.costs)).argmin(axis=1)
    assert (said == 2).sum() > (chances.argmax(axis=1) == 2).sum()
    found = score(parcels.frame(spark, some), LoadedModel(model, 3, ""), Tables(plan))
    rows = found.orderBy("parcel").toArrow()
    assert rows["prediction"].to_pylist() == [CLASSES[place] for place in said]
    assert np.array_equal(rows["score"].to_numpy(), chances[np.arange(300), said])
    watched = target.watched(chances)
    assert watched.prediction.to_pylist() == rows["prediction"].to_pylist()
    assert np.array_equal(watched.score, rows["score"].to_numpy())
    judged = target.judged(codes(some), Scored(chances))
    matrix = oracle.confusion_matrix(codes(some), said, labels=range(3))
    assert [[*row.values()] for row in judged.confusion.values()] == matrix.tolist()
    metrics = measured(target, codes(some), Scored(chances))
    assert metrics["accuracy"] == pytest.approx((said == codes(some)).mean())
    # A model that was trained at other costs is still of these classes.
    score(parcels.frame(spark, some), LoadedModel(trained.models["rule"], 3, ""), Tables(plan))


def test_a_model_of_other_classes_scores_nothing(spark, settings, trained, ways):
    other = replace(trained.models["constant"], target=Multiclass(("door", "x", "y")))
    with pytest.raises(
        Refused, match=r"learned the classes door, x, y, and .* the classes door, N"
    ):
        score(
            parcels.frame(spark, ways.head(2)), LoadedModel(other, 3, ""), Tables(plan_of(settings))
        )


def test_the_gate_wants_probabilities_that_add_up_to_one(spark, settings, trained, ways):
    plan, model = plan_of(settings), LoadedModel(trained.models["rule"], 3, "")
    good = score(parcels.frame(spark, ways.head(50)), model, Tables(plan))
    wanted = suite.predictions(plan, plan.split(CUTOFF).train, 50)
    assert gate.validate(good, wanted, 50).passed
    one = F.col("parcel") == 7
    bad = good.withColumns(
        {
            "score_door": F.when(one, F.col("score_door") + 1e-5).otherwise(F.col("score_door")),
            "prediction": F.when(one, "window").otherwise(F.col("prediction")),
        }
    )
    failed = {each.expectation: each for each in gate.validate(bad, wanted, 50).failures}
    assert set(failed) == {suite.CHANCES, suite.IN_SET}
    assert (failed[suite.CHANCES].unexpected_count, failed[suite.CHANCES].total) == (1, 50)
    assert failed[suite.IN_SET].examples == ("window",)


def test_labels_outside_of_the_classes_are_refused_by_value_and_count(spark, settings, ways):
    plan = plan_of(settings)
    labels = Tables(plan).labels()
    assert labels.schema["label"].dataType.simpleString() == "string"
    odd = ways.head(40).assign(label=["roof"] * 3 + ["door"] * 37)
    frame = parcels.frame(spark, odd).withColumns(
        {n: F.current_timestamp() for n in ("matured_at", "_arrived_at", "_superseded_at")}
    )
    found = gate.validate(frame.select(*labels.schema.names), suite.labels(plan), 40)
    with pytest.raises(Refused, match=r"in_set\(label\) failed: 3 of 40 rows, e\.g\. roof") as said:
        gate.require(found, "2024-01-01", "there.")
    assert "'door', 'Neighbour', 'shop 24h'" in said.value.sentence


def test_an_evaluation_tells_of_each_class(trained, ways, split):
    holdout, found = judged(trained, ways, split)
    assert (found.target, found.yes) == ("multiclass", None)
    assert found.challenger in ("linear", "xgboost")
    best, scores = (
        found.of("xgboost"),
        trained.models["xgboost"].score(parcels.batch(late(ways, split))),
    )
    matrix = oracle.confusion_matrix(holdout.labels, scores.argmax(axis=1))
    assert [[*row.values()] for row in best.confusion.values()] == matrix.tolist()
    recalls = oracle.recall_score(holdout.labels, scores.argmax(axis=1), average=None)
    assert [best.classes[name].recall for name in CLASSES] == pytest.approx(recalls)
    assert sum(one.rows for one in best.calibration) == len(holdout.labels)
    assert found.gains["champion"].low > 0
    assert Evaluation.model_validate_json(found.model_dump_json()) == found


def test_a_decision_speaks_of_the_metric_and_bounds_the_calibration(trained, ways, split):
    _, found = judged(trained, ways, split)
    first = found.model_copy(
        update={"gains": {n: g for n, g in found.gains.items() if n != "champion"}}
    )
    said = decide(first, Promote()).sentence
    assert "gain in weighted F1 +" in said
    assert "; calibration error 0." in said
    strict = Promote(max_calibration_error=1e-6, max_slice_loss=1)
    assert "as a probability (calibration error)" in decide(found, strict).sentence


def test_drift_looks_at_the_predicted_classes_and_their_probability(trained):
    reference = trained.models["xgboost"].reference
    assert set(reference["prediction"]["values"]) <= set(CLASSES)
    assert sum(reference["prediction"]["values"].values()) == pytest.approx(1)
    bins = bins_of(reference)
    assert {"score", "prediction", "weight", "depot"} <= set(bins)
    assert len(bins["prediction"].rows) == len(reference["prediction"]["values"]) + 2


def test_an_unknown_label_and_an_unseen_class_are_refused(spark, settings, ways):
    frame = parcels.frame(spark, ways.head(20))
    plan = plan_of(settings)
    strange = Parts(frame.withColumn("label", F.lit("roof")), frame)
    with pytest.raises(Refused, match="20 of 20 labels in the training part are none of"):
        fit_all(strange, plan, "2024-02-12", 0, lambda *_: None)
    lacking = frame.withColumn("label", F.lit("door"))
    with pytest.raises(Refused, match="None of 20 training rows is of class Neighbour, shop 24h"):
        fit_all(Parts(lacking, frame), plan, "2024-02-12", 0, lambda *_: None)
    with pytest.raises(Refused, match="1 of 2 labels in the holdout are none of"):
        TARGET.require_judgeable(np.array([0.0, np.nan]))


@pytest.mark.parametrize("given_by", ["number", "category"])
def test_a_feature_that_tells_one_class_from_all_others_is_named(settings, ways, given_by):
    spec, labels = plan_of(settings).usecase.features, codes(ways)
    assert not leaks_of(pa.Table.from_pandas(ways), labels, spec, TARGET)
    door = labels == 0
    # Whichever way the other two are mixed.
    values = {
        "number": {"weight": np.where(door, 5.0, ways["weight"] * 100 + 6)},
        "category": {"depot": np.where(door, "sure", ways["depot"])},
    }
    leaking = pa.Table.from_pandas(ways.assign(**values[given_by]))
    (said,) = leaks_of(leaking, labels, spec, TARGET)
    assert "tells door from each other class in at least 100.0%" in said


def test_nights_are_measured_in_closed_form():
    rng = np.random.default_rng(4)
    labels, scores = rng.integers(0, 3, 400).astype(float), rng.dirichlet([2, 1, 1], 400)
    said = scores.argmax(axis=1).astype(float)
    columns = {"label": labels, "said": said, "chance": scores[np.arange(400), labels.astype(int)]}
    found = TARGET.matured(columns, np.ones(400))
    expected = by_scikit(labels, scores, np.ones(400))
    for name in ("log_loss", "accuracy", "f1_weighted", "f1_macro"):
        value, low, high = found[name]
        assert value == pytest.approx(expected[name]), name
        assert low < value < high
    none = {name: np.array([]) for name in columns}
    assert np.isnan(
        [end for one in TARGET.matured(none, np.array([])).values() for end in one]
    ).all()


def test_the_interval_of_f1_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(7)
    chances = np.array([[0.5, 0.1, 0.05], [0.05, 0.15, 0.05], [0.02, 0.02, 0.06]])

    def sample(rows: int) -> dict[str, np.ndarray]:
        cells = rng.choice(9, rows, p=chances.ravel() / chances.sum())
        labels, said = (part.astype(float) for part in np.divmod(cells, 3))
        return {"label": labels, "said": said, "chance": np.full(rows, 0.5)}

    big = sample(400_000)
    for name, average in (("f1_macro", "macro"), ("f1_weighted", "weighted")):
        truth = oracle.f1_score(big["label"], big["said"], average=average)
        ends = [TARGET.matured(sample(500), np.ones(500))[name] for _ in range(200)]
        # 95 % of 200 is 190; fewer than 178 would come once in ten thousand times.
        assert sum(low <= truth <= high for _, low, high in ends) >= 178


def test_published_rows_are_coded_for_the_nights(spark):
    frame = spark.createDataFrame(
        [("door", 0.5, 0.3, 0.2, "shop 24h"), ("door", 0.5, 0.3, 0.2, None)],
        "prediction string, score_door double, score_neighbour double, score_shop_24h double, "
        "label string",
    )
    told = [column.alias(name) for name, column in TARGET.outcome().items()]
    rows = TARGET.coded(frame).select("label", *told).collect()
    assert [tuple(row) for row in rows] == [(2.0, 0.0, 0.2), (None, 0.0, None)]
