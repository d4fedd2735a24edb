"""One key looked up."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import TYPE_CHECKING

import pytest

from jobs.errors import Refused, Unavailable
from jobs.prediction.batches import rollback
from jobs.prediction.lookup import Lookup
from tests.integration.night_of_scores import DATE
from tests.integration.warehouse.batches import put

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.settings import Settings

ONE_DAY = dt.timedelta(days=1)


class TestLookup:
    def test_an_unknown_key_is_an_answer(self, settings: Settings, spark: SparkSession) -> None:
        batch = put(spark, settings, "answers", 1)
        with Lookup(settings, "answers") as client:
            known = client.get({"name": "k0000001"})
            assert (known.found, known.batch_id, known.prediction_date) == (
                True,
                batch.batch_id,
                DATE,
            )
            assert known.age_seconds is not None
            unknown = client.get({"name": "nobody"})
            assert (unknown.found, unknown.score, unknown.batch_id) == (
                False,
                None,
                batch.batch_id,
            )
            other_day = client.get({"name": "k0000001"}, DATE + ONE_DAY)
            assert (other_day.found, other_day.batch_id) == (False, None)

    def test_a_use_case_never_published_is_refused(self, settings: Settings) -> None:
        with pytest.raises(Refused, match="'nothing' was never published"):
            Lookup(settings, "nothing")

    def test_no_answer_is_older_than_the_bound(
        self, settings: Settings, spark: SparkSession
    ) -> None:
        bound = 0.3
        put(spark, settings, "stale", 1)
        changes: list[tuple[float, int]] = [(time.monotonic(), 1)]
        answers: list[tuple[float, int | None]] = []
        ended = threading.Event()

        def look() -> None:
            with Lookup(settings, "stale", max_staleness=bound) as client:
                while not ended.is_set():
                    began = time.monotonic()
                    answers.append((began, client.get({"name": "k0000001"}).model_version))
                    time.sleep(0.001)

        reader = threading.Thread(target=look)
        reader.start()
        try:
            for version in (2, 3):
                put(spark, settings, "stale", version)
                changes.append((time.monotonic(), version))
                time.sleep(2 * bound)
            for version in (2, 1):
                rollback(settings, "stale", DATE, reason="test")
                changes.append((time.monotonic(), version))
                time.sleep(2 * bound)
        finally:
            ended.set()
            reader.join()
        for changed, version in changes[1:]:
            # From the bound after a change until the next one begins, 2 bounds after this one.
            settled = {v for at, v in answers if changed + bound < at < changed + 2 * bound}
            assert settled == {version}
        assert {version for _, version in answers} == {1, 2, 3}

    def test_the_cache_is_used_and_bounded(self, settings: Settings, spark: SparkSession) -> None:
        put(spark, settings, "cached", 1)
        with Lookup(settings, "cached", max_staleness=60, cached=10) as client:
            first = client.get({"name": "k0000001"})
            # Nothing but the cache can answer on a connection that is closed for good.
            client.close()
            client._settings = settings.model_copy(update={"warehouse_port": 1})
            again = client.get({"name": "k0000001"})
            assert (again.score, again.batch_id) == (first.score, first.batch_id)
            with pytest.raises(Unavailable):
                client.get({"name": "k0000002"})
        with Lookup(settings, "cached", cached=10) as client:
            for number in range(50):
                client.get({"name": f"k{number:07d}"})
            assert len(client._answers) == 10
