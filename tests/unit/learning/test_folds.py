"""Folds are those of scikit-learn, know no order of the rows, and judge as a training would."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import TimeSeriesSplit

from jobs.context import Context
from jobs.engine import Engine
from jobs.errors import Refused
from jobs.lake.tables import Tables
from jobs.learning.dataset import Parts
from jobs.learning.fitting import fit_all
from jobs.learning.folds import (
    PLACE,
    Spread,
    cross_validate,
    cross_validated,
    folds_of,
    with_places,
)
from jobs.plan import Dates
from jobs.settings import Settings
from jobs.usecase import Folds
from tests.unit.learning import parcels

ROWS, SEED = 211, 7
KEY = ("sent_on", "parcel")


@pytest.fixture(scope="module")
def few() -> pd.DataFrame:
    data = parcels.rows(days=ROWS, per_day=1)
    data["label"] = np.array(["rare", *["often"] * 3, *["seldom"] * 2] * ROWS)[:ROWS]
    return data


def placed(spark: SparkSession, data: pd.DataFrame, spec: Folds, seed: int = SEED) -> DataFrame:
    return with_places(parcels.frame(spark, data), spec, KEY, seed)


def dealt(spark: SparkSession, data: pd.DataFrame, spec: Folds, seed: int = SEED) -> pd.DataFrame:
    """Of each row, in which part of each fold it is."""
    flags = [
        condition.alias(f"{part}{number}")
        for number, fold in enumerate(folds_of(spec, len(data)))
        for part, condition in vars(fold).items()
    ]
    rows = placed(spark, data, spec, seed).select("parcel", "label", PLACE, *flags)
    return rows.toArrow().to_pandas().sort_values("parcel", ignore_index=True)


@pytest.mark.parametrize(
    "how",
    [
        {"number": 5},
        {"number": 4, "gap": 6, "train": 50, "test": 20},
        {"number": 3, "train": 40},
    ],
)
def test_folds_by_time_are_those_of_scikit_learn(
    spark: SparkSession, few: pd.DataFrame, how: dict[str, int]
) -> None:
    found = dealt(spark, few.sample(frac=1, random_state=3), Folds(by="time", **how))
    oracle = TimeSeriesSplit(
        how["number"],
        gap=how.get("gap", 0),
        max_train_size=how.get("train"),
        test_size=how.get("test"),
    )
    # Parcels are numbered in the order of time.
    for number, (train, test) in enumerate(oracle.split(np.arange(ROWS))):
        learned = np.flatnonzero(found[f"train{number}"])
        held_back = np.flatnonzero(found[f"validation{number}"])
        np.testing.assert_array_equal(np.concatenate([learned, held_back]), train)
        np.testing.assert_array_equal(np.flatnonzero(found[f"test{number}"]), test)
        assert len(held_back) == max(1, round(0.1 * len(train)))


@pytest.mark.parametrize("by", ["stratified", "random"])
def test_each_row_is_tested_once_and_is_in_one_part_of_a_fold(
    spark: SparkSession, few: pd.DataFrame, by: str
) -> None:
    found = dealt(spark, few, Folds(by=by, number=4, validation=0.25))
    tests = found[[f"test{number}" for number in range(4)]]
    assert (tests.sum(axis=1) == 1).all()
    for number in range(4):
        parts = found[[f"train{number}", f"validation{number}", f"test{number}"]]
        assert (parts.sum(axis=1) == 1).all()
        learned = ROWS - parts[f"test{number}"].sum()
        assert parts[f"validation{number}"].sum() == pytest.approx(0.25 * learned, abs=3)


def test_classes_keep_their_shares_in_each_fold(spark: SparkSession, few: pd.DataFrame) -> None:
    found = dealt(spark, few, Folds(by="stratified", number=4, validation=0.25))
    for part, least in (("test", 1), ("validation", 1), ("train", 2)):
        columns = [f"{part}{number}" for number in range(4)]
        counted = found.groupby("label")[columns].sum().to_numpy()
        assert (np.ptp(counted, axis=1) <= least).all(), part


def test_folds_know_the_keys_and_the_seed_but_no_order(
    spark: SparkSession, few: pd.DataFrame
) -> None:
    spec = Folds(by="stratified", number=4)
    found = dealt(spark, few, spec)
    shuffled = dealt(spark, few.sample(frac=1, random_state=1), spec)
    pd.testing.assert_frame_equal(found, shuffled)
    assert not found.equals(dealt(spark, few, spec, seed=SEED + 1))


def test_a_class_with_few_rows_is_in_each_part_of_each_fold(
    spark: SparkSession, few: pd.DataFrame
) -> None:
    rare = few.head(60).assign(label=["rare"] * 8 + ["often"] * 52)
    found = dealt(spark, rare, Folds(by="stratified", number=4))
    parts = [column for column in found if str(column)[:-1] in ("train", "validation", "test")]
    assert (found[found["label"] == "rare"][parts].sum() >= 1).all()


def test_a_fold_without_a_class_is_refused(spark: SparkSession, settings: Settings) -> None:
    plan = parcels.plan(settings, folds={"by": "stratified", "number": 2})
    assert plan.usecase.folds is not None
    data = parcels.rows(days=5, per_day=10).assign(label=[1.0] * 3 + [0.0] * 47)
    rows = placed(spark, data, plan.usecase.folds)
    said = "None of the validation rows of fold 1 is of class yes"
    with pytest.raises(Refused, match=said) as refused:
        cross_validated(rows, plan.usecase.folds, plan, lambda _: None)
    assert "Declare fewer folds" in str(refused.value.remedy)


def test_only_what_rows_are_numbered_by_goes_through_one_task(
    spark: SparkSession, few: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    placed(spark, few, Folds(by="random")).explain()
    _, one_task = capsys.readouterr().out.split("Exchange SinglePartition", 1)
    assert "parcel" in one_task.splitlines()[1]
    assert "weight" not in one_task.splitlines()[1]


def test_too_few_rows_in_time_are_refused() -> None:
    for how in ({}, {"test": 4}, {"test": 1, "gap": 9}):
        with pytest.raises(Refused, match="8 labelled rows are too few for 8 folds by time"):
            list(folds_of(Folds(by="time", number=8, **how), 8))


def test_a_metric_without_a_value_is_left_out_of_the_mean() -> None:
    found = Spread.of([1.0, float("nan"), 3.0])
    assert (found.mean, found.deviation, found.folds) == (2.0, 1.0, (1.0, None, 3.0))
    assert Spread.of([float("nan")]).mean is None


def test_a_fold_learns_and_judges_as_a_training_does(
    spark: SparkSession, settings: Settings
) -> None:
    plan = parcels.plan(settings, folds={"by": "stratified", "number": 2})
    assert plan.usecase.folds is not None
    rows = placed(spark, parcels.rows(days=20, per_day=60), plan.usecase.folds).cache()
    said: list[str] = []
    found = cross_validated(rows, plan.usecase.folds, plan, said.append)
    assert (found.rows, found.metric, len(said)) == (1200, "roc_auc", 2)
    assert [fold.test for fold in found.folds] == [600, 600]
    assert said[0].startswith("Fold 1 of 2, 600 rows: ROC AUC of constant 0.5000, rule ")

    first = next(folds_of(plan.usecase.folds, 1200))
    parts = first.parts(rows)
    assert isinstance(parts, Parts)
    again = fit_all(parts, plan, "once more", 0, lambda *_: None)
    table = rows.where(first.test).toArrow()
    for kind, model in again.models.items():
        scores = model.score(table.combine_chunks().to_batches()[0])
        area = roc_auc_score(table["label"].to_numpy(), scores)
        assert found.candidates[kind]["roc_auc"].folds[0] == pytest.approx(area), kind
    best = found.candidates["xgboost"]["roc_auc"]
    assert best.mean == pytest.approx(np.mean(best.folds))
    assert best.mean > found.candidates["constant"]["roc_auc"].mean


def test_rows_are_those_of_gold_and_nothing_is_left(spark: SparkSession, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, lake=str(tmp_path / "lake"))
    declared = {"by": "time", "number": 2, "test": 60, "gap": 30}
    plan = parcels.plan(settings, folds=declared)
    tables = Tables(plan)
    data = parcels.rows(days=13, per_day=30)
    parcels.write(spark, tables.features(), tables.labels(), data)
    dates = Dates(parcels.START, parcels.START + dt.timedelta(days=11))
    engine = cast("Engine", SimpleNamespace(session=lambda: spark))
    held: list[str] = []

    @contextmanager
    def reading() -> Iterator[None]:
        held.append("begun")
        yield
        held.append("ended")

    found = cross_validate(Context(plan, dates, engine), reading(), lambda _: None)
    assert (found.rows, held) == (12 * 30, ["begun", "ended"])
    last = found.folds[1]
    assert (last.train, last.validation, last.test) == (243, 27, 60)
    assert (last.first, last.last) == ("2024-01-11", "2024-01-12")
    assert not list((tmp_path / "lake").rglob("_staging/training/*"))

    undeclared = Context(parcels.plan(settings), dates, engine)
    with pytest.raises(Refused, match="late_parcel does not declare how it is cross-validated"):
        cross_validate(undeclared, nullcontext(), lambda _: None)
