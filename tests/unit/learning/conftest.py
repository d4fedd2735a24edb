"""One small training, which several tests look at from different sides."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from jobs.learning.dataset import Parts
from jobs.learning.fitting import Trained, fit_all
from jobs.plan import Plan, Split
from jobs.settings import Settings
from tests.unit.learning import parcels

CUTOFF = parcels.START + dt.timedelta(days=42)


@pytest.fixture(scope="session")
def parcel_plan(settings: Settings) -> Plan:
    return parcels.plan(settings)


@pytest.fixture(scope="session")
def split(parcel_plan: Plan) -> Split:
    return parcel_plan.split(CUTOFF)


@pytest.fixture(scope="session")
def data() -> pd.DataFrame:
    return parcels.rows(days=42, per_day=90)


@pytest.fixture(scope="session")
def trained(spark: SparkSession, parcel_plan: Plan, split: Split, data: pd.DataFrame) -> Trained:
    return train(spark, parcel_plan, split, data)


def train(spark: SparkSession, plan: Plan, split: Split, data: pd.DataFrame) -> Trained:
    parts = Parts.of(parcels.frame(spark, data), split)
    return fit_all(parts, plan, str(CUTOFF), 0, lambda *_: None)
