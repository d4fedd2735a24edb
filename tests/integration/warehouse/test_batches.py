"""Which batches are served: taken back, kept, and dropped."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import pytest

from jobs.errors import Refused
from jobs.prediction import publish, turn
from jobs.prediction.batches import drop_expired, publications, rollback
from jobs.prediction.warehouse import Connection, connect
from tests.integration.night_of_scores import DATE
from tests.integration.warehouse.batches import put, seen, tables_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.settings import Settings

ONE_DAY = dt.timedelta(days=1)


class TestRollback:
    def test_back_and_forth_and_written_down(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        batches = [put(spark, settings, "back", version).batch_id for version in (1, 2, 3)]
        found = rollback(settings, "back", DATE, reason="too eager", by="Ada")
        assert (found.batch_id, found.live, found.model_version) == (batches[1], True, 2)
        assert seen(reader, "back_latest") == [(batches[1], 2, 100)]
        rollback(settings, "back", DATE, reason="older still")
        rollback(settings, "back", DATE, to_batch=batches[2], reason="it was right", by="Eve")
        assert seen(reader, "back") == [(batches[2], 3, 100)]
        with connect(settings, "publisher") as publisher:
            history = publisher.execute(
                "SELECT from_batch, to_batch, changed_by, reason FROM daybreak.live_history "
                "WHERE use_case = 'back' ORDER BY id"
            ).fetchall()
        assert history[:3] == [
            (before, after, "a test", "published")
            for before, after in zip((None, *batches), batches, strict=False)
        ]
        assert history[3] == (batches[2], batches[1], "Ada", "too eager")
        assert history[5] == (batches[0], batches[2], "Eve", "it was right")

    def test_there_must_be_something_to_go_back_to(
        self, settings: Settings, spark: SparkSession
    ) -> None:
        only = put(spark, settings, "only", 1).batch_id
        with pytest.raises(Refused, match="no earlier batch"):
            rollback(settings, "only", DATE, reason="x")
        with pytest.raises(Refused, match=f"Batch {only + 1000} is not a kept batch"):
            rollback(settings, "only", DATE, to_batch=only + 1000, reason="x")
        with pytest.raises(Refused, match="No batch of only is live for"):
            rollback(settings, "only", DATE + ONE_DAY, reason="x")


class TestRetention:
    def test_what_expired_goes_and_the_latest_stays(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        days = [DATE + ONE_DAY * n for n in range(3)]
        batches = [put(spark, settings, "old", 1, day).batch_id for day in days]
        assert drop_expired(settings, "old", 1, days[2]) == 1
        assert [row[0] for row in seen(reader, "old")] == batches[1:]
        assert drop_expired(settings, "old", 1, days[2]) == 0
        # Years later only the newest date is left, however old it is.
        assert drop_expired(settings, "old", 400, days[2] + ONE_DAY * 4000) == 1
        assert [row[0] for row in seen(reader, "old_latest")] == batches[2:]
        assert [p.state for p in publications(settings, "old")] == ["ready", "dropped", "dropped"]

    def test_it_does_not_wait_for_a_reader_nor_disturb_one(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        old = put(spark, settings, "held", 1).batch_id
        new = put(spark, settings, "held", 1, DATE + ONE_DAY).batch_id
        with connect(settings, "reader", autocommit=False) as holder:
            holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            assert [row[0] for row in seen(holder, "held")] == [old, new]
            began = time.monotonic()
            assert drop_expired(settings, "held", 0, DATE + ONE_DAY) == 0
            assert time.monotonic() - began < 10
            assert [row[0] for row in seen(reader, "held")] == [new]
            assert [row[0] for row in seen(holder, "held")] == [old, new]
        put(spark, settings, "held", 2, DATE + ONE_DAY)
        assert drop_expired(settings, "held", 0, DATE + ONE_DAY) == 1

    def test_a_publication_under_way_is_let_finish(
        self,
        settings: Settings,
        spark: SparkSession,
        reader: Connection,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(turn, "PUBLISH_SECONDS", 0.5)
        new = put(spark, settings, "late", 1, DATE + ONE_DAY).batch_id
        load, attach = publish.load, publish._attach
        met: list[str] = []

        def maintained(work: Any) -> Any:
            def then(*given: Any) -> None:
                work(*given)
                assert drop_expired(settings, "late", 0, DATE + ONE_DAY) == 0
                met.append(publications(settings, "late")[1].state)

            return then

        with monkeypatch.context() as meeting:
            meeting.setattr(publish, "load", maintained(load))
            meeting.setattr(publish, "_attach", maintained(attach))
            late = put(spark, settings, "late", 1).batch_id
        assert met == ["loading", "attached"]
        assert [row[0] for row in seen(reader, "late")] == [new, late]
        assert drop_expired(settings, "late", 0, DATE + ONE_DAY) == 1

    @pytest.mark.parametrize("killed_in", ["load", "transactions_reading"])
    def test_what_a_kill_left_of_an_expired_date_goes(
        self,
        settings: Settings,
        spark: SparkSession,
        monkeypatch: pytest.MonkeyPatch,
        killed_in: str,
    ) -> None:
        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        name = f"left_{killed_in}"
        put(spark, settings, name, 1, DATE + ONE_DAY)
        with monkeypatch.context() as fault:
            fault.setattr(publish, killed_in, killed)
            with pytest.raises(KeyboardInterrupt):
                put(spark, settings, name, 1)
        assert len(tables_of(settings, name)) == 2
        drop_expired(settings, name, 0, DATE + ONE_DAY)
        assert [p.state for p in publications(settings, name)] == ["ready", "dropped"]
        assert len(tables_of(settings, name)) == 1
