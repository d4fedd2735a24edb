"""One Spark session for all unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs import engine
from jobs.settings import Settings
from tests.jars import jars_folder

# Tables of a few rows: time goes into planning and compiling, and none of it pays for itself. With
# one compiler Java keeps 48 MB of compiled code, and would throw out what the next query needs.
QUICK = (
    "-XX:TieredStopAtLevel=1",
    "-XX:ReservedCodeCacheSize=256m",
    "-XX:+UseSerialGC",
    "-Xshare:auto",
)
SMALL = {
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("home")
    return Settings(home=home, spark="local[2]", spark_memory="2g", jars=jars_folder())


@pytest.fixture(scope="session")
def spark(settings: Settings) -> Iterator[object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "JAVA_OPTIONS", QUICK)
        patch.setattr(engine, "SESSION", {**engine.SESSION, **SMALL})
        started = engine.Engine(settings)
        yield started.session()
        started.stop()
