"""A class of which a sample would hold no row is learned of, and is as rare as it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.learning import reference
from jobs.learning.scarce import Scarce
from jobs.plan import Plan, Split
from tests.unit.learning import parcels
from tests.unit.learning.conftest import train


def test_which_rows_are_taken_and_for_how_many_they_stand() -> None:
    found = Scarce.of({0: 1_990_000, 1: 9000, 2: 900, 3: 100})
    assert found == Scarce(20, {2: 9, 3: 1})
    assert found.weights(np.array([0.0, 1.0, 2.0, 3.0])).tolist() == [1, 1, 9 / 20, 1 / 20]
    # All rows of a small part are taken.
    assert Scarce.of({0: 90_000, 1: 2}).by_class == {}
    assert Scarce.of({}).by_class == {}


def test_a_class_without_a_row_in_the_sample_is_learned_of(
    spark: SparkSession,
    parcel_plan: Plan,
    split: Split,
    data: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reference, "SAMPLE_ROWS", 200)
    learned = (data["sent_on"] >= split.train.first) & (data["sent_on"] <= split.train.last)
    one_in = reference.every(int(learned.sum()))
    hashed = F.pmod(F.xxhash64("sent_on", "parcel"), F.lit(one_in)) == 0
    rows = parcels.frame(spark, data).select("parcel", hashed.alias("taken")).toArrow()
    taken = rows.to_pandas().sort_values("parcel")["taken"].to_numpy()
    south = (data["depot"] == "south").to_numpy()
    yes = south & ~taken & (data["parcel"].to_numpy() % 4 == 0)
    rare = data.assign(label=yes.astype(float))

    line = train(spark, parcel_plan, split, rare).models["linear"].candidate
    scores = line.raw(parcels.batch(rare[learned]))
    there = south[learned]
    assert scores.mean() == pytest.approx(yes[learned].mean(), abs=0.02)
    assert scores[there].mean() > 5 * scores[~there].mean()
