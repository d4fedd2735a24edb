from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from jobs.lake.local_rows import local_rows
from jobs.lake.tables import Tables
from jobs.learning.metrics.closed_form import auc_interval, mean_interval
from jobs.learning.targets.binary import Binary
from jobs.learning.targets.kinds import target_of
from jobs.monitoring.performance import measure, outcomes
from jobs.plan import Plan
from jobs.settings import Settings
from tests.unit.learning import parcels

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

DAY = dt.date(2013, 10, 1)
NOW = dt.datetime(2013, 10, 5)


def _sample(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.beta(2, 5, size)
    return (rng.random(size) < scores).astype(float), scores


def test_the_area_is_sklearns_and_weights_are_repeated_rows() -> None:
    labels, scores = _sample(300, 1)
    scores = scores.round(1)
    once = auc_interval(labels, scores, np.ones(300))
    assert once[0] == pytest.approx(roc_auc_score(labels, scores))
    pairs, counts = np.unique(np.stack([labels, scores]), axis=1, return_counts=True)
    assert auc_interval(pairs[0], pairs[1], counts.astype(float)) == pytest.approx(once)


def test_the_variance_of_the_area_is_delongs_by_hand() -> None:
    labels, scores = _sample(80, 2)
    scores = scores.round(1)
    yes, no = scores[labels == 1], scores[labels == 0]
    wins = (yes[:, None] > no).astype(float) + 0.5 * (yes[:, None] == no)
    variance = wins.mean(axis=1).var(ddof=1) / len(yes) + wins.mean(axis=0).var(ddof=1) / len(no)
    area, low, high = auc_interval(labels, scores, np.ones(80))
    assert (high - low) / 2 == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-6)
    assert area == pytest.approx(wins.mean())


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    labels, scores = _sample(200_000, 3)
    truth = roc_auc_score(labels, scores)
    covered = 0
    for seed in range(200):
        _, low, high = auc_interval(*_sample(500, 100 + seed), np.ones(500))
        covered += low <= truth <= high
    # 95 % of 200 is 190; fewer than 178 would come once in ten thousand times.
    assert covered >= 178


def test_one_class_has_no_area_and_no_rows_no_mean() -> None:
    assert np.isnan(auc_interval(np.zeros(5), np.linspace(0, 1, 5), np.ones(5))[0])
    assert np.isnan(mean_interval(np.array([]), np.array([]))).all()


def _rows(spark: SparkSession, schema: StructType, rows: list[dict[str, Any]]) -> Any:
    names = [field.name for field in schema]
    return local_rows(spark, [tuple(row.get(n) for n in names) for row in rows], schema)


def test_dates_are_measured_on_final_labels_of_the_published_version(
    spark: SparkSession, settings: Settings
) -> None:
    tables = Tables(Plan.of("flight_delay", settings))
    labels, scores = _sample(120, 4)
    keys = [
        {
            "flight_date": DAY,
            "prediction_date": DAY,
            "carrier": "AA" if n < 100 else "UA",
            "flight": n,
            "origin": "EWR",
            "sched_dep_time": 900,
            "sched_hour": 9.0,
        }
        for n in range(120)
    ]
    published = [
        {**key, "score": float(s), "model_version": 2} for key, s in zip(keys, scores, strict=True)
    ]
    other = [{**key, "score": 0.5, "model_version": 1} for key in keys]
    early, late = dt.datetime(2013, 10, 3), dt.datetime(2013, 10, 9)
    known = [
        {**key, "label": float(y), "_arrived_at": early, "matured_at": early}
        for key, y in zip(keys[:110], labels, strict=False)
    ]
    # Not final yet, and a version that was superseded: neither may count.
    known += [{**key, "label": 1.0, "_arrived_at": early, "matured_at": late} for key in keys[110:]]
    known += [
        {
            **key,
            "label": 1 - float(y),
            "_arrived_at": dt.datetime(2013, 10, 2),
            "matured_at": early,
            "_superseded_at": early,
        }
        for key, y in zip(keys[:50], labels, strict=False)
    ]
    found = outcomes(
        _rows(spark, tables.predictions().schema, published + other),
        _rows(spark, tables.features().schema, keys),
        _rows(spark, tables.labels().schema, known),
        tables,
        {DAY: 2},
        {DAY: DAY},
        NOW,
    )
    by = {
        (m.slice, m.metric): m
        for m in measure(found, Binary(), tables.plan.usecase.slices, {DAY: 2})
    }
    area = by["all", "roc_auc"]
    assert area.value == pytest.approx(roc_auc_score(labels[:110], scores[:110]))
    assert (area.rows, area.matured_share) == (110, pytest.approx(110 / 120))
    assert by["all", "log_loss"].value == pytest.approx(log_loss(labels[:110], scores[:110]))
    assert by["all", "positives"].value == labels[:110].sum()
    assert by["carrier=AA", "roc_auc"].value == pytest.approx(
        roc_auc_score(labels[:100], scores[:100])
    )
    # 20 rows of a slice say nothing.
    assert ("carrier=UA", "roc_auc") not in by


@pytest.mark.parametrize(
    ("label", "predict", "scored", "told"),
    [
        (
            {"type": "regression"},
            {},
            [({"score": 3.0}, 2.0), ({"score": 1.0}, 4.0), ({"score": 9.0}, None)],
            {"rmse": 5**0.5, "mae": 2.0, "bias": -1.0},
        ),
        (
            {"type": "regression"},
            {"interval": 0.9},
            [
                ({"score": 3.0, "low": 2.0, "high": 4.0}, 2.0),
                ({"score": 1.0, "low": 0.0, "high": 2.0}, 4.0),
                ({"score": 9.0, "low": 8.0, "high": 10.0}, None),
            ],
            {"rmse": 5**0.5, "mae": 2.0, "bias": -1.0, "coverage": 0.5},
        ),
        (
            {"type": "regression"},
            {"interval": 0.9},
            [({"score": 3.0}, 2.0), ({"score": 1.0}, 4.0), ({"score": 9.0}, None)],
            {"rmse": 5**0.5, "mae": 2.0, "bias": -1.0, "coverage": None},
        ),
        (
            {"type": "multiclass", "classes": ["door", "shop", "lost"]},
            {},
            [
                ({"prediction": "door", "score_door": 0.7, "score_shop": 0.2}, "door"),
                ({"prediction": "door", "score_door": 0.6, "score_shop": 0.4}, "shop"),
                ({"prediction": "lost", "score_door": 0.1, "score_shop": 0.1}, None),
            ],
            {
                "log_loss": -(np.log(0.7) + np.log(0.4)) / 2,
                "accuracy": 0.5,
                "f1_macro": 1 / 3,
                "f1_weighted": 1 / 3,
            },
        ),
    ],
)
def test_numbers_and_classes_are_measured_by_their_own_metrics(
    spark: SparkSession,
    settings: Settings,
    label: dict[str, Any],
    predict: dict[str, Any],
    scored: list[tuple[dict[str, Any], Any]],
    told: dict[str, float],
) -> None:
    plan = parcels.plan(
        settings, label={**parcels.SPEC["label"], **label}, slices=[], predict=predict
    )
    tables, early = Tables(plan), dt.datetime(2013, 10, 3)
    keys = [{"sent_on": DAY, "parcel": n, "prediction_date": DAY} for n in range(3)]
    rows = list(zip(keys, scored, strict=True))
    published = [{**key, "model_version": 2, **found} for key, (found, _) in rows]
    known = [
        {**key, "label": label, "_arrived_at": early, "matured_at": early}
        for key, (_, label) in rows
        if label is not None
    ]
    found = outcomes(
        _rows(spark, tables.predictions().schema, published),
        _rows(spark, tables.features().schema, keys),
        _rows(spark, tables.labels().schema, known),
        tables,
        {DAY: 2},
        {DAY: DAY},
        NOW,
    )
    by = {m.metric: m for m in measure(found, target_of(plan.usecase), (), {DAY: 2})}
    assert {name: one.value for name, one in by.items()} == pytest.approx(told)
    assert [one.matured_share for one in by.values()] == pytest.approx([2 / 3] * len(by))
