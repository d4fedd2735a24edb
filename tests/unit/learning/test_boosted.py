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

from jobs.learning.candidates import boosted
from jobs.learning.dataset import Parts
from jobs.learning.preprocess import Encoding, fit_encoding
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
    encoding = Encoding(("hour",), ())
    learner = boosted.Learner(encoding, 1, "local[2]", {"objective": "binary:logistic"}, 5, 5)

    def threads(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        before = psutil.Process().num_threads()
        list(learner(batches))
        more = psutil.Process().num_threads() - before
        yield pa.RecordBatch.from_arrays([pa.array([more])], ["n"])

    rows = parcels.frame(spark, data).selectExpr("hour", "label", "parcel % 9 = 0 as _validation")
    (found,) = rows.repartition(1).mapInArrow(threads, "n long", barrier=True).collect()
    # Beside its first one; XGBoost starts no more than there are cores.
    assert found["n"] == min(2, len(os.sched_getaffinity(0))) - 1


def test_a_worker_without_a_row_of_validation_learns_with_the_others(
    spark: SparkSession, parcel_plan: Plan, split: Split, data: pd.DataFrame
):
    parts = Parts.of(parcels.frame(spark, data), split)
    lonely = Parts(parts.train, parts.validation.limit(1))
    encoding = fit_encoding(parts.train, parcel_plan.usecase.features)
    shared = boosted.shares(lonely, encoding, parcel_plan.usecase.entity.key, 2)
    model = parcel_plan.usecase.model.model_copy(update={"metric": "log_loss"})
    found = boosted.fit(shared, model, model.parameters)
    held_out = shared.frame.where("_validation").count()
    assert (shared.frame.rdd.getNumPartitions(), held_out) == (2, 1)
    assert found.rounds >= 1
    assert 0 < found.best < 1
