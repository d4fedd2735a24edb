"""Publishers that are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.errors import Unavailable
from jobs.prediction import live, publish
from jobs.prediction.batches import drop_expired, publications
from jobs.prediction.fingerprint import of_batch
from jobs.prediction.lookup import Lookup
from jobs.prediction.publish import Source, publish_batch
from jobs.prediction.warehouse import Connection, connect
from tests.integration import night_of_scores
from tests.integration.night_of_scores import DATE, NIGHT, scores, slowly
from tests.integration.warehouse.batches import night, put, seen, tables_of
from tests.integration.warehouse_server import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.settings import Settings


class Killed(BaseException):
    """Ends a publisher as a kill would: nothing that it would do on an error is done."""


class TestKills:
    @pytest.mark.parametrize(
        "before", ["load", "_index", "_compare", "_attach", "transactions_reading", "go_live"]
    )
    def test_a_publisher_that_ends_anywhere_is_made_good_by_the_next(
        self,
        settings: Settings,
        spark: SparkSession,
        reader: Connection,
        monkeypatch: pytest.MonkeyPatch,
        before: str,
    ) -> None:
        def kill(*_: object, **__: object) -> None:
            raise Killed

        name = f"ended_{before.strip('_')}"
        first = put(spark, settings, name, 1)
        with monkeypatch.context() as patched:
            patched.setattr(publish, before, kill)
            with pytest.raises(Killed):
                put(spark, settings, name, 2)
        assert seen(reader, name) == [(first.batch_id, 1, 100)]
        last = put(spark, settings, name, 2)
        assert seen(reader, name) == [(last.batch_id, 2, 100)]
        states = [p.state for p in publications(settings, name)]
        assert states == ["ready", "dropped", "ready"]
        drop_expired(settings, name, 400, DATE)
        assert tables_of(settings, name) == {
            f"_{b}_{name}" for b in (first.batch_id, last.batch_id)
        }

    def test_a_kill_after_going_live_makes_the_retry_a_no_op(
        self, settings: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def live_then_killed(*args: Any, **named: Any) -> None:
            live.go_live(*args, **named)
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(publish, "go_live", live_then_killed)
            with pytest.raises(Killed):
                put(spark, settings, "late_kill", 1)
        assert not put(spark, settings, "late_kill", 1).changed
        assert len(publications(settings, "late_kill")) == 1

    @pytest.mark.timeout(400)
    def test_sigkill_in_the_middle_of_copy(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        table, rows = NIGHT, 40_000
        before = put(spark, settings, table.use_case, 1)
        child = start_publisher(settings, rows, version=2, pause=2.0)
        try:
            wait_for_copy(settings, table.use_case)
            child.kill()
            child.wait(30)
            assert seen(reader, table.use_case) == [(before.batch_id, 1, 100)]
            last = put(spark, settings, table.use_case, 2, rows=rows)
        finally:
            end_group(child)
        assert seen(reader, table.use_case) == [(last.batch_id, 2, rows)]
        clean = put(spark, settings, "clean_night", 2, rows=rows)
        assert (last.rows, last.checksum) == (clean.rows, clean.checksum)
        with connect(settings, "publisher") as publisher:
            assert of_batch(publisher, table, last.batch_id) == of_batch(
                publisher, night("clean_night"), clean.batch_id
            )
            assert of_batch(publisher, table, last.batch_id).checksum == last.checksum
        drop_expired(settings, table.use_case, 400, DATE)
        assert tables_of(settings, table.use_case) == {
            f"_{b.batch_id}_{table.use_case}" for b in (before, last)
        }

    def test_postgres_killed_in_the_middle_of_copy(
        self, warehouse: Warehouse, spark: SparkSession
    ) -> None:
        settings = warehouse.settings
        before = put(spark, settings, "power_cut", 1)
        raised: list[BaseException] = []

        def publish_slowly() -> None:
            frame = slowly(scores(spark, 200_000, 2), 1.0)
            try:
                publish_batch(frame, night("power_cut"), DATE, Source("m", 2), settings)
            except BaseException as error:
                raised.append(error)

        with Lookup(settings, "power_cut", max_staleness=0) as client:
            assert client.get({"name": "k0000001"}).model_version == 1
            publisher = threading.Thread(target=publish_slowly)
            publisher.start()
            wait_for_copy(settings, "power_cut")
            warehouse.kill()
            publisher.join()
            with pytest.raises(Unavailable):
                client.get({"name": "k0000001"})
            warehouse.start()
            assert [type(error) for error in raised] == [Unavailable]
            with connect(settings, "reader") as reader:
                assert seen(reader, "power_cut") == [(before.batch_id, 1, 100)]
                last = put(spark, settings, "power_cut", 2)
                assert seen(reader, "power_cut") == [(last.batch_id, 2, 100)]
            assert client.get({"name": "k0000001"}).model_version == 2


def start_publisher(
    settings: Settings, rows: int, *, version: int, pause: float
) -> subprocess.Popen[bytes]:
    """A publisher in a process and process group of its own."""
    secrets = ("owner_password", "publisher_password", "reader_password")
    given = {
        **settings.model_dump(mode="json", include={"home", "spark", "spark_memory", "jars"}),
        "warehouse_port": settings.warehouse_port,
        **{name: getattr(settings, name).get_secret_value() for name in secrets},
    }
    script = Path(night_of_scores.__file__)
    return subprocess.Popen(
        [sys.executable, str(script), json.dumps([given, rows, version, pause])],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def end_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def wait_for_copy(settings: Settings, name: str) -> None:
    """Wait until rows of a use case are on their way into its table."""
    deadline = time.monotonic() + 240
    with connect(settings, "publisher") as publisher:
        while time.monotonic() < deadline:
            found = publisher.execute(
                "SELECT 1 FROM pg_stat_progress_copy WHERE tuples_processed > 0 "
                "AND relid::regclass::text LIKE %s",
                [f"%\\_{name}%"],
            ).fetchone()
            if found:
                return
            time.sleep(0.05)
    raise AssertionError("no COPY was seen")
