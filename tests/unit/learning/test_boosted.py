"""How XGBoost's workers get their rows."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pytest
import xgboost
from pyspark.sql import SparkSession
from scipy.sparse import csr_array

from jobs.learning.candidates import boosted
from jobs.learning.dataset import Parts
from jobs.learning.recipe.fit import FOLD
from jobs.learning.recipe.recipe import Recipe, beside
from jobs.learning.targets.binary import Binary
from jobs.plan import Plan, Split
from tests.unit.learning import parcels


def trees(batches: boosted.Rows) -> bytes:
    learned = xgboost.QuantileDMatrix(batches)
    return bytes(xgboost.train({"objective": "binary:logistic"}, learned, 5).save_raw("ubj"))


def test_how_rows_are_cut_into_batches_does_not_matter():
    rng = np.random.default_rng(1)
    matrix, labels = rng.random((1000, 3), dtype=np.float32), rng.integers(0, 2, 1000).astype(float)
    whole, cut = boosted.Rows(), boosted.Rows()
    whole.add(matrix, labels)
    for place in (slice(0), slice(0, 600), slice(600, 600), slice(600, 1000)):
        cut.add(matrix[place], labels[place])
    assert trees(cut) == trees(whole)


def test_a_sparse_zero_is_no_missing_value():
    numbers = np.tile(np.array([0, np.nan, 1], dtype=np.float32), 400).reshape(-1, 1)
    labels = np.isnan(numbers[:, 0]).astype(float)
    block = csr_array((1200, 70_000), dtype=np.float32)
    given = boosted.Rows()
    given.add(beside(numbers, block)[:600], labels[:600])
    given.add(beside(numbers, block)[600:], labels[600:])
    booster = xgboost.Booster()
    booster.load_model(bytearray(trees(given)))
    zero, missing, one = booster.inplace_predict(beside(numbers, block)[:3])
    assert zero < 0.2 < 0.8 < missing
    assert one < 0.2


@pytest.mark.parametrize(
    ("master", "workers", "cores", "threads"),
    [
        ("local[4]", 1, 1, 4),
        ("local[4]", 3, 1, 1),
        ("local[2, 3]", 4, 1, 1),
        ("local[*]", 1, 1, len(os.sched_getaffinity(0))),
        ("local", 1, 1, 1),
        ("spark://there:7077", 2, 3, 3),
    ],
)
def test_threads_of_a_worker(master: str, workers: int, cores: int, threads: int):
    assert boosted.threads_of(master, workers, cores) == threads


def test_a_worker_uses_all_of_its_threads(spark: SparkSession, data: pd.DataFrame):
    """Although Spark tells the OpenMP of its Python workers of one core."""
    recipe = Recipe((("hour", "number"),), "UTC", ())
    learner = boosted.Learner(recipe, 1, "local[2]", {"objective": "binary:logistic"}, 5, 5)

    def threads(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        before = psutil.Process().num_threads()
        list(learner(batches))
        more = psutil.Process().num_threads() - before
        yield pa.RecordBatch.from_arrays([pa.array([more])], ["n"])

    rows = parcels.frame(spark, data).selectExpr(
        "hour", "label", f"if(parcel % 9 = 0, null, parcel) as {FOLD}"
    )
    (found,) = rows.repartition(1).mapInArrow(threads, "n long", barrier=True).collect()
    # Beside its first one; XGBoost starts no more than there are cores.
    assert found["n"] == min(2, len(os.sched_getaffinity(0))) - 1


def test_a_worker_without_a_row_of_validation_learns_with_the_others(
    spark: SparkSession, parcel_plan: Plan, split: Split, data: pd.DataFrame
):
    parts = Parts.of(parcels.frame(spark, data), split)
    lonely = Parts(parts.train, parts.validation.limit(1))
    recipe = parcels.recipe(parts.train, parcel_plan)
    boosting = Binary().boosting("log_loss")
    shared = boosted.shares(lonely, recipe, parcel_plan.usecase.entity.key, 2, boosting)
    model = parcel_plan.usecase.model
    found = boosted.fit(shared, model, model.parameters)
    held_out = shared.frame.where(f"{FOLD} is null").count()
    assert (shared.frame.rdd.getNumPartitions(), held_out) == (2, 1)
    assert found.rounds >= 1
    assert 0 < found.best < 1


def test_each_worker_has_rows_to_learn_from():
    assert boosted.workers(400_000, 50_000, 8) == 8
    assert boosted.workers(5000, 4000, 8) == 4
    # Undersampling may leave few of them, and many to validate on.
    assert boosted.workers(250, 50_000, 8) == 2
    assert boosted.workers(30, 50_000, 8) == 1
