"""How XGBoost's workers get their rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xgboost
from pyspark.sql import SparkSession

from jobs.learning.candidates import boosted
from jobs.learning.dataset import Parts
from jobs.learning.preprocess import fit_encoding
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
