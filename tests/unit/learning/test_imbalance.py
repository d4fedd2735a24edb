"""Rare classes count more while a model learns, and its scores are those of the true shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from scipy.special import expit, softmax

from jobs.learning.balance import TIMES, Balance, repeated, times_of
from jobs.learning.fitting import Trained, parameters
from jobs.learning.targets.binary import Binary
from jobs.learning.targets.multiclass import Multiclass
from jobs.plan import Plan, Split
from jobs.settings import Settings
from jobs.usecase import Imbalance
from tests.unit.learning import parcels
from tests.unit.learning.conftest import train

N = 100_000
RIDGE = 1e-6


def balance(rows: tuple[int, ...], **spec: Any) -> Balance:
    return Balance.of(Imbalance.model_validate(spec), rows)


def test_factors_by_hand():
    assert balance((75, 25), by="weight").factors == pytest.approx((2 / 3, 2))
    assert balance((75, 25), by="weight", to=0.4).factors == pytest.approx((0.8, 1.6))
    # 60 no beside 40 yes are 37.5 beside 25: half of 75.
    assert balance((75, 25), by="undersample", to=0.4).factors == pytest.approx((0.5, 1))
    # And where yes is frequent, some of it is left out.
    assert balance((25, 75), by="undersample", to=0.5).factors == pytest.approx((1, 1 / 3))
    assert balance((50, 30, 20), by="weight").factors == pytest.approx((2 / 3, 10 / 9, 5 / 3))
    # No row of the rarer class is left out, whatever share is asked for.
    assert balance((75, 25), by="undersample", to=0.1).factors == (1, 1)
    assert balance((25, 75), by="undersample", to=0.9).factors == (1, 1)
    assert balance((50, 50), by="undersample", to=0.4).factors == (1, 1)
    # 75 no beside 25 yes are 75 beside 50: two fifths of 125.
    assert balance((75, 25), by="oversample", to=0.4).factors == pytest.approx((1, 2))
    assert balance((30, 75), by="oversample").factors == pytest.approx((2.5, 1))
    assert balance((50, 30, 20), by="oversample").factors == pytest.approx((1, 5 / 3, 2.5))
    # Nor is one of the more frequent class repeated.
    assert balance((75, 25), by="oversample", to=0.1).factors == (1, 1)
    assert balance((25, 75), by="oversample", to=0.9).factors == (1, 1)
    assert balance((50, 50), by="oversample", to=0.6).factors == (1, 1)
    labels = np.array([0.0, 1.0, 1.0])
    assert balance((75, 25), by="weight").weights(labels) == pytest.approx([2 / 3, 2, 2])
    assert balance((75, 25), by="undersample", to=0.4).weights(labels).tolist() == [1, 1, 1]


def rare(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns, chances of yes of which the mean is about 3 %, and labels."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(N, 2))
    chances = expit(-4 + columns @ [1.0, -0.5])
    return columns, chances, (rng.random(N) < chances).astype(float)


@pytest.mark.parametrize(
    "spec",
    [
        {"by": "weight"},
        {"by": "weight", "to": 0.3},
        {"by": "undersample", "to": 0.4},
        {"by": "oversample", "to": 0.4},
    ],
)
def test_the_line_finds_the_true_chances(spec):
    columns, chances, labels = rare(1)
    found = balance((int((labels == 0).sum()), int(labels.sum())), **spec)
    times = np.array(found.factors)[labels.astype(int)] if found.sampled else np.ones(N)
    rows = np.repeat(np.arange(N), np.floor(times + np.random.default_rng(2).random(N)).astype(int))
    line = Binary().line(columns[rows], labels[rows], RIDGE, found)
    scores = expit(columns @ line.coefficients + line.intercept)
    assert_calibrated(scores, chances)
    # What was learned without a correction is far too high.
    no, yes = found.margins
    assert expit(columns @ line.coefficients + line.intercept + yes - no).mean() > 0.2


def test_the_line_finds_the_true_chances_of_classes():
    rng = np.random.default_rng(3)
    columns = rng.normal(size=(N, 2))
    chances = softmax(np.column_stack([np.full(N, 4.0), columns[:, 0], columns[:, 1]]), axis=1)
    labels = (chances.cumsum(axis=1) < rng.random((N, 1))).sum(axis=1).astype(float)
    found = balance(tuple(np.bincount(labels.astype(int)).tolist()), by="weight")
    line = Multiclass(("a", "b", "c")).line(columns, labels, RIDGE, found)
    scores = softmax(columns @ line.coefficients.T + line.intercept, axis=1)
    for place in range(3):
        assert_calibrated(scores[:, place], chances[:, place])


def assert_calibrated(scores: np.ndarray, chances: np.ndarray) -> None:
    """In each fifth of the rows, by what they are told, within a tenth of the truth."""
    for part in np.array_split(np.argsort(scores), 5):
        assert scores[part].mean() == pytest.approx(chances[part].mean(), rel=0.1)


def late(data: pd.DataFrame) -> np.ndarray:
    """The chance of being late, of which trees and lines both can learn."""
    south = (data["depot"] == "south").to_numpy()
    return expit(-4.5 + 0.25 * (data["hour"].to_numpy() - 14) + 1.2 * south)


@pytest.fixture(scope="module")
def some_late() -> pd.DataFrame:
    data = parcels.rows(days=42, per_day=300)
    rng = np.random.default_rng(9)
    return data.assign(label=(rng.random(len(data)) < late(data)).astype(float))


def plan_of(settings: Settings, **imbalance: Any) -> Plan:
    model = {
        **parcels.SPEC["model"],
        "metric": "log_loss",
        "calibrate": "none",
        "imbalance": imbalance,
    }
    return parcels.plan(settings, model=model)


@pytest.mark.parametrize(
    "spec",
    [{"by": "weight"}, {"by": "undersample", "to": 0.3}, {"by": "oversample", "to": 0.3}],
)
def test_a_training_tells_true_chances(
    spark: SparkSession, settings: Settings, split: Split, some_late: pd.DataFrame, spec: Any
):
    plan = plan_of(settings, **spec)
    trained = train(spark, plan, split, some_late)
    batch, chances = parcels.batch(some_late), late(some_late)
    assert 0.01 < chances.mean() < 0.05
    # Trees that are stopped early of few rows say somewhat less; uncorrected, all say 0.2 and more.
    for kind, off in (("linear", 0.006), ("xgboost", 0.012)):
        scores = trained.models[kind].score(batch)
        assert scores.mean() == pytest.approx(chances.mean(), abs=off), kind
        assert np.corrcoef(scores, chances)[0, 1] > 0.75, kind
    learned = some_late[some_late["sent_on"] <= split.train.last]
    assert trained.models["constant"].candidate.score == pytest.approx(learned["label"].mean())
    assert trained.rows["train"] == len(learned)
    if spec["by"] == "undersample":
        assert learned["label"].sum() < trained.kept < 0.2 * len(learned)
    elif spec["by"] == "oversample":
        no = len(learned) - learned["label"].sum()
        assert trained.kept == pytest.approx(no / 0.7, rel=0.02)
    else:
        assert trained.kept == len(learned)
    assert parameters(plan.usecase, trained.settings)["imbalance"].startswith(spec["by"])


def test_undersampling_keeps_all_yes_and_the_same_no(
    spark: SparkSession, settings: Settings, some_late: pd.DataFrame
):
    yes = int(some_late["label"].sum())
    found = balance((len(some_late) - yes, yes), by="undersample", to=0.25)
    frame = parcels.frame(spark, some_late)
    key = ("sent_on", "parcel")
    kept = repeated(found.drawn(frame, key, 7)).toPandas()
    assert kept["label"].sum() == yes
    assert kept["label"].mean() == pytest.approx(0.25, abs=0.02)
    again = found.drawn(frame.orderBy("weight").repartition(3), key, 7).toPandas()
    assert set(again["parcel"]) == set(kept["parcel"])
    assert set(found.drawn(frame, key, 8).toPandas()["parcel"]) != set(kept["parcel"])


def test_oversampling_keeps_all_rows_and_repeats_the_same_yes(
    spark: SparkSession, settings: Settings, some_late: pd.DataFrame
):
    yes = int(some_late["label"].sum())
    found = balance((len(some_late) - yes, yes), by="oversample", to=0.25)
    frame = parcels.frame(spark, some_late)
    key = ("sent_on", "parcel")
    made = repeated(found.drawn(frame, key, 7))
    assert made.columns == frame.columns
    rows = made.toPandas()
    times = rows["parcel"].value_counts()
    assert set(times.index) == set(some_late["parcel"])
    late_ones = some_late.loc[some_late["label"] == 1, "parcel"]
    assert set(times[late_ones]) == {int(found.factors[1]), int(found.factors[1]) + 1}
    assert set(times.drop(late_ones)) == {1}
    assert rows["label"].mean() == pytest.approx(0.25, abs=0.02)
    again = repeated(found.drawn(frame.orderBy("weight").repartition(3), key, 7)).toPandas()
    assert again["parcel"].value_counts().to_dict() == times.to_dict()


def test_to_a_line_a_row_that_counts_twice_is_two_copies_of_it():
    rng = np.random.default_rng(4)
    columns, labels = rng.normal(size=(200, 2)), (rng.random(200) < 0.3).astype(float)
    found = balance((140, 60), by="oversample", to=0.6)
    times = np.floor(np.array(found.factors)[labels.astype(int)] + rng.random(200)).astype(int)
    copied = np.repeat(np.arange(200), times)
    by_copies = Binary().line(columns[copied], labels[copied], 0.1, found)
    counts = times_of(pa.table({TIMES: times}), None)
    by_weight = Binary().line(columns, labels, 0.1, found, counts)
    assert set(times) > {1}
    assert by_weight.coefficients == pytest.approx(by_copies.coefficients, rel=1e-4)
    assert by_weight.intercept == pytest.approx(by_copies.intercept, rel=1e-4)
    # Where a row of the sample stands for several, so do its copies.
    of_three = times_of(pa.table({TIMES: [1, 3, 2]}), np.array([2.0, 1.0, 1.0]))
    assert of_three == pytest.approx(np.array([2, 3, 2]) / (7 / 4))


@pytest.mark.parametrize("by", ["weight", "oversample"])
def test_trees_of_balanced_classes_tell_true_shares(
    spark: SparkSession, settings: Settings, split: Split, by: str
):
    data = parcels.rows(days=42, per_day=200)
    rng = np.random.default_rng(5)
    south = (data["depot"] == "south").to_numpy()
    margins = np.column_stack([np.full(len(data), 3.0), 1.5 * south, 0.1 * data["weight"]])
    chances = softmax(margins, axis=1)
    labels = (chances.cumsum(axis=1) < rng.random((len(data), 1))).sum(axis=1)
    classes = ("door", "neighbour", "shop")
    plan = parcels.plan(
        settings,
        label={**parcels.SPEC["label"], "type": "multiclass", "classes": classes},
        model={
            "rule": {"by": ["depot"]},
            "rounds": 60,
            "early_stopping": 10,
            "parameters": {"max_depth": 3, "learning_rate": 0.3},
            "imbalance": {"by": by},
        },
    )
    named = data.assign(label=np.array(classes, dtype=object)[labels])
    trained: Trained = train(spark, plan, split, named)
    for kind in ("linear", "xgboost"):
        scores = trained.models[kind].score(parcels.batch(data))
        assert scores.mean(axis=0) == pytest.approx(chances.mean(axis=0), abs=0.025), kind
