"""What readers see while somebody publishes."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from jobs.prediction.batches import rollback
from jobs.prediction.warehouse import connect
from tests.integration.night_of_scores import DATE
from tests.integration.warehouse.batches import put, seen

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.settings import Settings

ONE_DAY = dt.timedelta(days=1)


class TestReaders:
    def test_none_sees_a_gap_an_error_or_two_batches(
        self, settings: Settings, spark: SparkSession
    ) -> None:
        put(spark, settings, "busy", 1)
        put(spark, settings, "busy", 2)
        ended = threading.Event()
        faults: list[Any] = []
        answers: list[int] = []

        def look(prepare: bool, view: str) -> None:
            query = f"SELECT batch_id, count(*), min(model_version) FROM {view} GROUP BY 1"
            try:
                with connect(settings, "reader") as connection:
                    while not ended.is_set():
                        found = connection.execute(query.encode(), prepare=prepare).fetchall()
                        answers.append(1)
                        if len(found) != 1 or found[0][1] != 100:
                            faults.append(found)
            except psycopg.Error as error:
                faults.append(error)

        readers = [
            threading.Thread(target=look, args=(prepare, view))
            for prepare in (False, True)
            for view in ("busy", "busy_latest")
        ]
        for reader in readers:
            reader.start()
        try:
            for version in range(3, 13):
                put(spark, settings, "busy", version)
                rollback(settings, "busy", DATE, reason="test")
                rollback(settings, "busy", DATE, reason="test")
        finally:
            ended.set()
            for reader in readers:
                reader.join()
        assert len(answers) > 100
        assert faults == []

    @pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
    def test_a_long_transaction_is_neither_waited_for_nor_broken(
        self, settings: Settings, spark: SparkSession, level: str
    ) -> None:
        name = f"long_{level.split()[0].lower()}"
        first = put(spark, settings, name, 1).batch_id
        with connect(settings, "reader", autocommit=False) as reader:
            reader.execute(sql.SQL("SET TRANSACTION ISOLATION LEVEL {}").format(sql.SQL(level)))  # type: ignore[arg-type]
            for _ in range(8):  # so often that psycopg and Postgres keep the plan
                assert seen(reader, name) == [(first, 1, 100)]
            for version in (2, 3, 4):
                began = time.monotonic()
                last = put(spark, settings, name, version).batch_id
                took = time.monotonic() - began
                # It goes on with the batch it saw; others see the new one.
                assert seen(reader, name) == [(first, 1, 100)]
                assert seen(reader, f"{name}_latest") == [(first, 1, 100)]
                with connect(settings, "reader") as other:
                    assert seen(other, name) == [(last, version, 100)]
                assert took < 30
            put(spark, settings, name, 1, DATE + ONE_DAY)
            assert seen(reader, f"{name}_latest") == [(first, 1, 100)]
            rollback(settings, name, DATE, reason="test")
            assert seen(reader, name) == [(first, 1, 100)]
            reader.commit()
            found = [row[1] for row in seen(reader, name)]
            assert found == [3, 1]
