"""A Postgres with the warehouse in it, a Spark session, and a reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from jobs.engine import Engine
from jobs.prediction.warehouse import Connection, connect
from tests.integration.warehouse_server import Warehouse, warehouse_server

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.settings import Settings


@pytest.fixture(scope="package")
def warehouse() -> Iterator[Warehouse]:
    with warehouse_server() as server:
        yield server


@pytest.fixture(scope="package")
def settings(warehouse: Warehouse) -> Settings:
    return warehouse.settings


@pytest.fixture(scope="package")
def spark(settings: Settings) -> Iterator[SparkSession]:
    engine = Engine(settings)
    found = engine.session()
    found.sparkContext.setLogLevel("OFF")
    yield found
    engine.stop()


@pytest.fixture
def reader(settings: Settings) -> Iterator[Connection]:
    with connect(settings, "reader") as connection:
        yield connection
