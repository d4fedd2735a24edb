"""A training with transforms: text, moments, and categories that their labels stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from scipy.sparse import issparse

from jobs.learning.dataset import Parts
from jobs.learning.fitting import Trained, fit_all
from jobs.learning.metrics.binary import METRICS
from jobs.learning.metrics.tally import tally
from jobs.learning.model import INDEX, opened, sha256
from jobs.learning.scoring import with_scores
from jobs.plan import Split
from jobs.settings import Settings
from tests.unit.learning import parcels
from tests.unit.learning.conftest import CUTOFF

FEATURES: dict[str, Any] = {
    "module": "features",
    "history": "0 days",
    "numeric": ["hour", "weight", "rain"],
    "categorical": ["depot", "sender"],
    "timestamp": ["sent_at"],
    "text": ["note"],
    "transforms": [
        {"do": "impute", "of": "rain", "by": "median", "indicator": True},
        {"do": "calendar", "of": "sent_at", "parts": ["hour", "day_of_week"]},
        {"do": "cyclic", "of": "sent_at_hour", "period": 24},
        {"do": "hash", "of": "depot", "buckets": 8, "as": "depot_hashed"},
        {"do": "target", "of": "sender", "smoothing": 1},
        {"do": "tfidf", "of": "note"},
        {"do": "length", "of": "note"},
    ],
}


@pytest.fixture(scope="module")
def sent(data: pd.DataFrame) -> pd.DataFrame:
    """Parcels with a moment, a note that has to do with the label, and a sender each."""
    rng = np.random.default_rng(5)
    hours = pd.to_timedelta(data["hour"], unit="h")
    words = np.where(data["label"] == 1, "fragile heavy glass", "letter paper glass")
    any_word = rng.choice(["book", "gift", "glass", "urgent"], len(data))
    told = np.where(rng.random(len(data)) < 0.5, words, any_word)
    return data.assign(
        sent_at=pd.to_datetime(data["sent_on"]).dt.tz_localize("UTC") + hours,
        note=np.where(rng.random(len(data)) < 0.1, None, told),
        sender=[f"sender {n}" for n in data["parcel"]],
    )


@pytest.fixture(scope="module")
def trained(spark: SparkSession, settings: Settings, split: Split, sent: pd.DataFrame) -> Trained:
    plan = parcels.plan(settings, features=FEATURES)
    parts = Parts.of(parcels.frame(spark, sent), split)
    return fit_all(parts, plan, str(CUTOFF), 0, lambda *_: None)


def area(trained: Trained, kind: str, rows: pd.DataFrame) -> float:
    scores = trained.models[kind].score(parcels.batch(rows))
    return METRICS["roc_auc"].of(tally(rows["label"].to_numpy(), scores))


def test_words_help_and_a_sender_of_one_parcel_does_no_harm(
    trained: Trained, sent: pd.DataFrame, split: Split
) -> None:
    holdout = sent[sent["sent_on"] >= split.holdout.first]
    for kind in ("linear", "xgboost"):
        # Had training rows seen their own labels in `sender`, there would be nothing else to learn.
        assert area(trained, kind, holdout) > 0.85, kind
    importance = trained.models["xgboost"].candidate.importance()
    assert importance.get("sender", 0) < 0.1 * sum(importance.values())
    assert any(name.startswith("note_tfidf_words:") for name in importance)
    # In units of standard deviations, as of `weight`.
    importance = trained.models["linear"].candidate.importance()
    assert importance["sender"] < importance["weight"]


def test_wide_text_is_never_dense(trained: Trained, sent: pd.DataFrame) -> None:
    linear = trained.models["linear"].candidate
    matrix = linear.recipe.matrix(parcels.batch(sent))
    assert issparse(matrix)
    assert issparse(linear.scaling.apply(matrix))
    assert matrix.shape[1] > 16_384
    assert len(linear.coefficients) == len(linear.importance()) > 16_384


def test_saved_and_opened_scores_are_equal_bit_for_bit(
    trained: Trained, sent: pd.DataFrame
) -> None:
    batch = parcels.batch(sent)
    for kind, model in trained.models.items():
        files = model.files()
        again = opened(files, sha256(files[INDEX]), kind)
        assert np.array_equal(again.score(batch), model.score(batch)), kind
        assert again.files() == files
        assert again.features == model.features
        alone = [model.score(batch.slice(place, 1))[0] for place in range(20)]
        assert np.array_equal(model.score(batch)[:20], alone), kind


def test_scores_in_spark_are_those_of_training(
    spark: SparkSession, trained: Trained, sent: pd.DataFrame
) -> None:
    some = sent.head(500)
    frame = parcels.frame(spark, some).repartition(3)
    table = with_scores(frame, trained.models, ("parcel",)).orderBy("parcel").toArrow()
    for kind, model in trained.models.items():
        assert np.array_equal(table[kind].to_numpy(), model.score(parcels.batch(some))), kind


def test_moments_and_text_have_no_distribution(trained: Trained) -> None:
    reference = trained.models["xgboost"].reference
    assert set(reference["numeric"]) == {"hour", "weight", "rain"}
    assert set(reference["categorical"]) == {"depot", "sender"}
