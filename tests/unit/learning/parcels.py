"""A small use case for the tests of learning: which parcels will be late?

Lateness depends on the hour, the depot, the weight and on a feature that may be missing, in a way
that trees see and a rule of thumb does not.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.lake.table import Table
from jobs.learning import reference
from jobs.learning.candidates import boosted
from jobs.learning.dataset import Parts
from jobs.learning.recipe.fit import FOLD, fit, fold_of
from jobs.learning.recipe.recipe import Recipe
from jobs.learning.targets.kinds import target_of
from jobs.plan import Plan
from jobs.settings import Settings
from jobs.usecase import UseCase

START = dt.date(2024, 1, 1)
DEPOTS = ("north", "south", "east")
KEY = {
    "sent_on": {"type": "date", "required": True},
    "parcel": {"type": "integer", "required": True},
}
SPEC: dict[str, Any] = {
    "name": "late_parcel",
    "about": {"question": "Which parcels will be late?", "owner": "depot"},
    "entity": {"key": ["sent_on", "parcel"], "date": "sent_on", "source": "plan"},
    "timezone": "Europe/Berlin",
    "schedule": {"cron": "0 2 * * *", "start": START},
    "cutoff": "02:00",
    "sources": {
        "plan": {
            "landing": "plan/date={date}/*",
            "key": ["sent_on", "parcel"],
            "date": "sent_on",
            "columns": KEY,
        },
        "actuals": {
            "landing": "actuals/date={date}/*",
            "key": ["sent_on", "parcel"],
            "date": "sent_on",
            "columns": {**KEY, "late": {"type": "boolean"}},
        },
    },
    "label": {"source": "actuals", "expression": "late", "maturity": "1 day"},
    "features": {
        "module": "features",
        "history": "0 days",
        "numeric": ["hour", "weight", "rain"],
        "categorical": ["depot"],
        "max_categories": 2,
    },
    "split": {"validation": "10 days", "holdout": "12 days"},
    "model": {
        "rule": {"by": ["depot"], "prior_rows": 20},
        "rounds": 60,
        "early_stopping": 10,
        "parameters": {"max_depth": 3, "learning_rate": 0.3},
        "seed": 7,
    },
    "slices": [{"name": "depot", "expression": "depot"}],
    "predict": {"columns": ["depot"]},
}


def plan(settings: Settings, **changes: Any) -> Plan:
    """The use case, with top-level sections replaced by `changes`."""
    return Plan(UseCase.model_validate({**SPEC, **changes}), settings)


def rows(days: int, per_day: int, seed: int = 1) -> pd.DataFrame:
    """Features and labels of some days, one row a parcel."""
    rng = np.random.default_rng(seed)
    n = days * per_day
    hour = rng.integers(6, 22, n).astype(float)
    weight = np.round(rng.gamma(2.0, 3.0, n), 2)
    rain = np.where(rng.random(n) < 0.2, np.nan, np.round(rng.random(n), 3))
    depot = rng.choice(DEPOTS, n, p=[0.5, 0.3, 0.2])
    wet = np.nan_to_num(rain, nan=0.9)
    storm = (wet > 0.6) & (hour > 15)
    margin = -2.5 + 3.0 * storm + 0.12 * weight + 1.5 * (depot == "south")
    return pd.DataFrame(
        {
            "sent_on": np.repeat([START + dt.timedelta(days=day) for day in range(days)], per_day),
            "parcel": np.arange(n),
            "hour": hour,
            "weight": weight,
            "rain": rain,
            "depot": depot,
            "label": (rng.random(n) < 1 / (1 + np.exp(-margin))).astype(float),
        }
    )


def frame(spark: SparkSession, data: pd.DataFrame) -> DataFrame:
    """Rows as `labelled` gives them."""
    table = pa.Table.from_pandas(data, preserve_index=False)
    return spark.createDataFrame(table).withColumn("prediction_date", F.col("sent_on"))


def dealt(spark: SparkSession, plan: Plan, cutoff: dt.date, workers: int) -> boosted.Shares:
    """What some XGBoost workers would learn from: 45 days of 200 parcels."""
    parts = Parts.of(frame(spark, rows(days=45, per_day=200)), plan.split(cutoff))
    boosting = target_of(plan.usecase).boosting(plan.usecase.metric)
    key = plan.usecase.entity.key
    return boosted.shares(parts, recipe(parts.train, plan), key, workers, boosting)


def recipe(train: DataFrame, plan: Plan) -> Recipe:
    """The use case's recipe, fitted as a training does it."""
    spec, key = plan.usecase.features, plan.usecase.entity.key
    folded = train.withColumn(FOLD, fold_of(key))
    sampled = reference.sample(folded, key, train.count(), (*spec.names, "label", FOLD))
    return fit(train, sampled, spec, plan.usecase.timezone)


def write(spark: SparkSession, features: Table, labels: Table, data: pd.DataFrame) -> None:
    """Fill `gold.features` and `gold.labels`; a label arrives at noon of the next day."""
    known = frame(spark, data)
    day = F.col("sent_on").cast("timestamp")
    features.append(
        _cast(known.withColumn("_cutoff_at", day + F.expr("interval 1 hour")), features)
    )
    labels.append(
        _cast(
            known.withColumns(
                {
                    "matured_at": day + F.expr("interval 47 hours"),
                    "_arrived_at": day + F.expr("interval 36 hours"),
                    "_superseded_at": F.lit(None),
                }
            ),
            labels,
        )
    )


def _cast(known: DataFrame, table: Table) -> DataFrame:
    return known.select(*[F.col(field.name).cast(field.dataType) for field in table.schema.fields])


def batch(data: pd.DataFrame) -> pa.RecordBatch:
    """Rows as one Arrow batch, as a Spark worker would see them."""
    return pa.RecordBatch.from_pandas(data, preserve_index=False)
