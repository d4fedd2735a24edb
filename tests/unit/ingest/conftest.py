"""A small use case with one daily source and one snapshot, in a landing folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from pyspark.sql import SparkSession

from jobs.plan import Plan
from jobs.settings import Settings
from jobs.usecase import UseCase
from tests.unit.ingest.s3_server import CREDENTIALS, Faults, s3_server_with_faults
from tests.unit.places import placed

USE_CASE = {
    "name": "visits",
    "about": {"question": "Who comes again?", "owner": "shop"},
    "entity": {"key": ["day", "who"], "date": "day", "source": "visits"},
    "timezone": "America/New_York",
    "schedule": {"cron": "0 2 * * *", "start": "2024-01-01"},
    "cutoff": "02:00",
    "sources": {
        "visits": {
            "landing": "visits/date={date}/*",
            "arrives": {"as": "daily", "lag": "1 day"},
            "key": ["day", "who"],
            "date": "day",
            "columns": {
                "day": {"type": "date", "required": True},
                "who": {"type": "string", "required": True},
                "spent": {"type": "number", "min": 0},
            },
            "budget": {"share": 0.5, "files": 0.5},
        },
        "people": {
            "landing": "people/*.csv",
            "arrives": {"as": "snapshot"},
            "key": ["who"],
            "columns": {"who": {"type": "string"}, "city": {"type": "string"}},
        },
    },
    "label": {"source": "visits", "expression": "spent > 10", "maturity": "1 day"},
    "features": {"module": "features", "history": "7 days", "numeric": ["spent"]},
    "model": {"rule": {"by": ["spent"]}},
}


@pytest.fixture
def plan(tmp_path: Path, settings: Settings) -> Plan:
    return Plan(UseCase.model_validate(USE_CASE), placed(settings, tmp_path))


@pytest.fixture(scope="module")
def s3_server() -> Iterator[tuple[str, Faults]]:
    with s3_server_with_faults() as server:
        yield server


@pytest.fixture(scope="module")
def endpoint(s3_server: tuple[str, Faults]) -> str:
    return s3_server[0]


@pytest.fixture
def faults(s3_server: tuple[str, Faults]) -> Iterator[Faults]:
    yield s3_server[1]
    s3_server[1].planted = None


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket="landing")
    # The server outlives a test, its objects must not.
    for each in client.list_objects_v2(Bucket="landing").get("Contents", []):
        client.delete_object(Bucket="landing", Key=each["Key"])
    return client


@pytest.fixture
def workers(spark: SparkSession, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark's workers have the credentials in their environment, as on a server."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setitem(spark.sparkContext.environment, name, value)


@pytest.fixture
def in_s3(plan: Plan, s3: Any, endpoint: str) -> Plan:
    update = {"landing": "s3://landing/in", "s3_endpoint": endpoint}
    return Plan(plan.usecase, plan.settings.model_copy(update=update))
