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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that need Spark in one process of several, so that there is one session.

    They come first, because they take the longest.
    """
    with_spark = [item for item in items if "spark" in getattr(item, "fixturenames", ())]
    for item in with_spark:
        item.add_marker(pytest.mark.spark)
        item.add_marker(pytest.mark.xdist_group("spark"))
    there = set(map(id, with_spark))
    items[:] = [*with_spark, *(item for item in items if id(item) not in there)]


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
