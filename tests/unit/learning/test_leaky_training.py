"""What makes a model look better than it is, and what becomes of it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.context import Context, StepResult
from jobs.errors import Refused
from jobs.lake.tables import Tables
from jobs.learning import registry
from jobs.learning.cut import HASHES, Cut
from jobs.learning.leak import refuse_overlap
from jobs.learning.train import evaluate, promote, train
from jobs.plan import Dates, Plan
from jobs.settings import Settings
from jobs.usecase import UseCase
from tests.unit.learning import parcels
from tests.unit.learning.test_split_training import MODEL, Started

CUTOFF = dt.date(2024, 2, 12)
# Whatever was late is held out, and the rest is learned from.
LATE_HELD_OUT = Cut(
    columns=("sent_on", "parcel"),
    grouped=False,
    seed=7,
    ends=(0, HASHES // 2),
    by_class={"1.0": (HASHES, HASHES)},
)
NOTED = {
    **parcels.SPEC["features"],
    "text": ["note"],
    "transforms": [{"do": "length", "of": "note"}],
}


def decided(spark: SparkSession, home: Path, data: pd.DataFrame) -> tuple[StepResult, StepResult]:
    """A training on these rows, and what it comes to."""
    settings = Settings(home=home, lake=f"{home}/lake", mlflow_url=f"sqlite:///{home}/mlflow.db")
    client = registry.connect(settings)
    client.create_experiment("late_parcel", artifact_location=str(home / "artifacts"))
    plan: Plan = parcels.plan(settings, split={"by": "random"}, model=MODEL)
    tables = Tables(plan)
    parcels.write(spark, tables.features(), tables.labels(), data)
    context = Context(plan, Dates.one(CUTOFF), Started(spark), {})
    trained = train(context)
    evaluate(context)
    return trained, promote(context)


def test_a_feature_that_tells_the_label_is_a_persons_matter(
    spark: SparkSession, tmp_path: Path
) -> None:
    data = parcels.rows(days=42, per_day=30)
    trained, found = decided(spark, tmp_path, data.assign(weight=data["label"] * 9 + 1))
    assert "The feature weight alone tells yes from no" in trained.sentence
    assert found.facts["status"] == "needs_person"
    assert "The feature weight alone tells yes from no in 100.0% of pairs" in found.sentence
    assert "--version 1 --acknowledge leak --reason WHY" in found.sentence
    assert found.facts["evaluation"]["leaks"] != []


def test_labels_dealt_out_at_random_teach_nothing(spark: SparkSession, tmp_path: Path) -> None:
    data = parcels.rows(days=42, per_day=30)
    dealt = np.random.default_rng(1).permutation(data["label"])
    _, found = decided(spark, tmp_path, data.assign(label=dealt))
    assert found.facts["status"] == "keep"
    gains = found.facts["evaluation"]["gains"]
    assert all(gain["low"] is None or gain["low"] < 0 for gain in gains.values())


def twice(spark: SparkSession, copies: int, **columns: list[str]) -> DataFrame:
    """200 parcels that were in time and 200 late ones, of which some are the same parcels."""
    numbers = [*range(200), *range(200 - copies, 400 - copies)]
    data = pd.DataFrame(
        {
            "sent_on": [parcels.START] * 400,
            "parcel": numbers,
            "label": [0.0] * 200 + [1.0] * 200,
            **columns,
        }
    )
    return parcels.frame(spark, data)


def test_an_entity_in_the_holdout_is_not_learned_from(spark: SparkSession) -> None:
    usecase = UseCase.model_validate(parcels.SPEC)
    refuse_overlap(twice(spark, 0), LATE_HELD_OUT, usecase)
    with pytest.raises(Refused, match="1 of 200 holdout rows have the same sent_on, parcel"):
        refuse_overlap(twice(spark, 1), LATE_HELD_OUT, usecase)


def test_a_text_that_is_nearly_the_same_is_not_learned_from(spark: SparkSession) -> None:
    usecase = UseCase.model_validate({**parcels.SPEC, "features": NOTED})

    def noted(copies: int) -> DataFrame:
        notes = [f"Leave it at door {number}." for number in range(400 - copies)]
        # What is missing is no text, and two stock phrases are borne.
        again = [f" leave it -- at DOOR {number}" for number in range(copies)]
        return twice(spark, 0, note=[*notes[:200], *again, *notes[200:]])

    for borne in (0, 2):
        refuse_overlap(noted(borne), LATE_HELD_OUT, usecase)
    refuse_overlap(twice(spark, 0, note=["…"] * 400), LATE_HELD_OUT, usecase)
    with pytest.raises(Refused, match="3 of 200 holdout rows have nearly the same note"):
        refuse_overlap(noted(3), LATE_HELD_OUT, usecase)
