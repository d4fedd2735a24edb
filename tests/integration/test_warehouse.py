"""The warehouse on a real Postgres: who may do what, publish, roll back, look up, retention."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa
import pytest
from psycopg import errors, sql
from pydantic import SecretStr
from pyspark.sql import functions as F

from jobs.engine import Engine
from jobs.errors import Refused, Unavailable
from jobs.lake.local_rows import local_rows
from jobs.prediction import live, publish, turn
from jobs.prediction.batches import drop_expired, latest, publications, rollback
from jobs.prediction.fingerprint import of_batch
from jobs.prediction.lookup import Lookup
from jobs.prediction.migrations import ensure_roles, upgrade
from jobs.prediction.publish import Published, Source, publish_batch
from jobs.prediction.published_table import Column, PublishedTable
from jobs.prediction.warehouse import Connection, connect, conninfo, url
from tests.integration.night_of_scores import DATE, NIGHT, scores, slowly
from tests.integration.warehouse_server import Warehouse, warehouse_server

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.settings import Settings

ONE_DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Warehouse]:
    with warehouse_server() as server:
        yield server


@pytest.fixture(scope="module")
def settings(warehouse: Warehouse) -> Settings:
    return warehouse.settings


@pytest.fixture(scope="module")
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


def night(name: str) -> PublishedTable:
    """The night's table under another name, so that each test has a use case of its own."""
    return PublishedTable(name, NIGHT.key, NIGHT.date_column, NIGHT.columns)


def put(
    spark: SparkSession,
    settings: Settings,
    name: str,
    version: int,
    date: dt.date = DATE,
    rows: int = 100,
) -> Published:
    frame = scores(spark, rows, version, date)
    return publish_batch(frame, night(name), date, Source(name, version, "a test"), settings)


def seen(connection: Connection, view: str) -> list[tuple[Any, ...]]:
    """(batch, model version, rows) for each batch that a reader sees."""
    query = sql.SQL(
        "SELECT batch_id, model_version, count(*) FROM {} GROUP BY 1, 2 ORDER BY 1"
    ).format(sql.Identifier("predictions", view))
    return connection.execute(query).fetchall()


class TestRoles:
    def test_everything_can_be_made_again(self, warehouse: Warehouse) -> None:
        ensure_roles(warehouse.superuser, warehouse.settings)
        upgrade(warehouse.settings)
        with connect(warehouse.settings, "owner") as owner:
            found = owner.execute("SELECT version_num FROM daybreak.migrations").fetchall()
        assert found == [("0005",)]

    def test_no_password_is_in_the_servers_log_or_catalog(self, warehouse: Warehouse) -> None:
        log = (warehouse.places.logs / "postgres.log").read_text()
        assert "ready to accept connections" in log
        with psycopg.connect(warehouse.superuser) as superuser:
            stored = superuser.execute(
                "SELECT rolpassword FROM pg_authid WHERE rolname LIKE 'daybreak%'"
            ).fetchall()
        assert len(stored) == 4
        assert all(word.startswith("SCRAM-SHA-256$") for (word,) in stored)
        for role in ("owner", "publisher", "reader", "labeller"):
            assert getattr(warehouse.settings, f"{role}_password").get_secret_value() not in log

    def test_psql_takes_the_url_of_each_role(self, warehouse: Warehouse) -> None:
        psql = str(warehouse.binaries / "psql")
        for role in ("owner", "publisher", "reader", "labeller"):
            found = subprocess.run(
                [psql, url(warehouse.settings, role), "-Atc", "select current_user"],
                capture_output=True,
                text=True,
                timeout=30,
                check=True,
            )
            assert found.stdout.strip() == f"daybreak_{role}"

    def test_a_wrong_password_is_refused_and_not_shown(self, settings: Settings) -> None:
        wrong = settings.model_copy(update={"reader_password": SecretStr("open sesame")})
        with pytest.raises(Refused, match="does not let daybreak_reader") as raised:
            connect(wrong, "reader")
        assert "sesame" not in str(raised.value)

    @pytest.mark.parametrize(
        "statement",
        [
            "SELECT * FROM daybreak.batches",
            "SELECT * FROM daybreak.live",
            "SELECT * FROM monitoring.drift",
            "SELECT * FROM batches.least_privilege",
            "CREATE TABLE predictions.mine (a int)",
            "CREATE TABLE public.mine (a int)",
            "CREATE TEMP TABLE mine (a int)",
            "SET ROLE daybreak_publisher",
        ],
    )
    def test_a_reader_reads_predictions_and_nothing_else(
        self, settings: Settings, spark: SparkSession, statement: str
    ) -> None:
        put(spark, settings, "least_privilege", 1)
        with connect(settings, "reader") as reader:
            assert seen(reader, "least_privilege")[0][1:] == (1, 100)
            reader.execute("SET default_transaction_read_only = off")
            with pytest.raises(errors.InsufficientPrivilege):
                reader.execute(statement)

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE ROLE mine",
            "CREATE DATABASE mine",
            "CREATE SCHEMA mine",
            "DROP TABLE daybreak.live",
            "ALTER TABLE daybreak.batches ADD COLUMN mine int",
            "DELETE FROM daybreak.live_history",
            "UPDATE daybreak.live_history SET reason = 'nothing happened'",
            "SET ROLE daybreak_owner",
            "COPY daybreak.live TO PROGRAM 'cat'",
        ],
    )
    def test_a_publisher_publishes_and_nothing_else(
        self, settings: Settings, statement: str
    ) -> None:
        with (
            connect(settings, "publisher") as publisher,
            pytest.raises(errors.InsufficientPrivilege),
        ):
            publisher.execute(statement)

    def test_every_session_is_bounded(self, settings: Settings) -> None:
        for role in ("owner", "publisher", "reader", "labeller"):
            with connect(settings, role) as connection:
                for name in (
                    "lock_timeout",
                    "statement_timeout",
                    "idle_in_transaction_session_timeout",
                ):
                    row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
                    assert row not in (None, ("0",)), (role, name)


class TestPublish:
    def test_the_same_again_changes_nothing_and_says_so(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        first = put(spark, settings, "twice", 1)
        again = put(spark, settings, "twice", 1)
        assert first.changed
        assert not again.changed
        assert again.batch_id == first.batch_id
        assert "nothing was changed" in again.sentence
        assert seen(reader, "twice") == [(first.batch_id, 1, 100)]
        other = put(spark, settings, "twice", 2)
        assert seen(reader, "twice") == [(other.batch_id, 2, 100)]
        assert [p.attempt for p in publications(settings, "twice")] == [2, 1]

    def test_rows_are_those_of_gold(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        put(spark, settings, "rows", 3)
        found = reader.execute("SELECT day, name, score, prediction, dest FROM rows").fetchall()
        wanted = scores(spark, 100, 3).drop("model_version").collect()
        assert sorted(found) == sorted(tuple(row) for row in wanted)

    def test_an_older_date_published_later_is_not_the_latest(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        newer = put(spark, settings, "backfill", 1)
        older = put(spark, settings, "backfill", 2, DATE - ONE_DAY)
        assert seen(reader, "backfill_latest") == [(newer.batch_id, 1, 100)]
        assert [row[0] for row in seen(reader, "backfill")] == [newer.batch_id, older.batch_id]
        found = latest(settings, "backfill")
        assert found is not None
        assert (found.batch_id, found.prediction_date, found.live) == (newer.batch_id, DATE, True)
        assert found.age_seconds is not None
        assert found.age_seconds >= 0

    @pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf])
    def test_a_score_that_is_no_number_is_refused(
        self, settings: Settings, spark: SparkSession, reader: Connection, bad: float | None
    ) -> None:
        before = put(spark, settings, "no_number", 1)
        frame = scores(spark, 100, 2).withColumn(
            "score", F.when(F.col("name") != "k0000042", F.col("score")).otherwise(F.lit(bad))
        )
        with pytest.raises(Refused, match="1 have no score that is a finite number"):
            publish_batch(frame, night("no_number"), DATE, Source("m", 2), settings)
        assert seen(reader, "no_number") == [(before.batch_id, 1, 100)]

    def test_a_key_twice_is_refused_by_name(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        before = put(spark, settings, "doubled", 1)
        frame = scores(spark, 100, 2)
        doubled = frame.union(frame.where("name = 'k0000042'"))
        with pytest.raises(Refused, match=r"a key twice.*k0000042"):
            publish_batch(doubled, night("doubled"), DATE, Source("m", 2), settings)
        assert seen(reader, "doubled") == [(before.batch_id, 1, 100)]
        assert [p.state for p in publications(settings, "doubled")] == ["failed", "ready"]

    def test_a_batch_that_is_not_gold_does_not_go_live_and_is_kept(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        before = put(spark, settings, "unlike", 1)
        frame = unstable(scores(spark, 100, 2))
        with pytest.raises(Refused, match="gold has 100"):
            publish_batch(frame, night("unlike"), DATE, Source("m", 2), settings)
        assert seen(reader, "unlike") == [(before.batch_id, 1, 100)]
        failed = publications(settings, "unlike")[0]
        assert (failed.state, failed.live) == ("failed", False)
        with connect(settings, "publisher") as publisher:
            assert of_batch(publisher, night("unlike"), failed.batch_id).rows == 100

    def test_a_zero_byte_in_a_text_is_refused_in_a_sentence(
        self, settings: Settings, spark: SparkSession
    ) -> None:
        frame = scores(spark, 10, 1).withColumn("dest", F.lit("a\0b"))
        with pytest.raises(Refused, match="zero_byte, batch"):
            publish_batch(frame, night("zero_byte"), DATE, Source("m", 1), settings)

    def test_two_at_once_one_publishes_and_the_other_says_who(
        self, settings: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(turn, "PUBLISH_SECONDS", 0.5)
        first = put(spark, settings, "at_once", 1)
        with (
            connect(settings, "publisher", application="the other one") as other,
            turn.publish_turn(other, "at_once", DATE),
        ):
            with pytest.raises(Unavailable, match=r"'the other one'.* is publishing at_once for"):
                put(spark, settings, "at_once", 2)
            put(spark, settings, "at_once", 2, DATE + ONE_DAY)
        assert put(spark, settings, "at_once", 2).batch_id > first.batch_id

    def test_a_column_may_be_added_and_a_lost_one_stays(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        put(spark, settings, "wider", 1)
        wider = PublishedTable("wider", NIGHT.key, "day", (Column("seats", "number"),))
        frame = scores(spark, 100, 2).drop("dest").withColumn("seats", F.lit(180.0))
        moved = frame.withColumn("day", F.lit(DATE + ONE_DAY))
        publish_batch(moved, wider, DATE + ONE_DAY, Source("m", 2), settings)
        found = reader.execute(
            "SELECT prediction_date, max(dest), max(seats) FROM wider GROUP BY 1 ORDER BY 1"
        ).fetchall()
        assert found == [(DATE, "BOS", None), (DATE + ONE_DAY, None, 180.0)]
        with Lookup(settings, "wider") as client:
            assert client.get({"name": "k0000001"}).columns == {
                "dest": None,
                "seats": 180.0,
            }

    def test_predicted_numbers_are_published_as_numbers(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        numbers = PublishedTable("numbers", NIGHT.key, "day", NIGHT.columns, "number")
        found = scores(spark, 50, 1).withColumns(
            {"score": F.col("score") * 900 - 400, "prediction": F.col("score") * 900 - 400}
        )
        publish_batch(found, numbers, DATE, Source("m", 1), settings)
        rows = "SELECT count(*), bool_and(score = prediction), min(prediction) < 0 FROM numbers"
        assert reader.execute(rows).fetchall() == [(50, True, True)]
        with Lookup(settings, "numbers") as client:
            assert client.table == numbers
            answer = client.get({"name": "k0000001"})
            assert answer.prediction == answer.score

    def test_classes_have_columns_and_a_new_one_comes_beside_the_old(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        first = (Column("score_late", "number"), Column("score_lost", "number"))
        classes = PublishedTable("classes", NIGHT.key, "day", first, "string")
        found = scores(spark, 10, 1).withColumns(
            {
                "prediction": F.when(F.col("prediction"), "late").otherwise("lost"),
                "score_late": F.col("score"),
                "score_lost": 1 - F.col("score"),
            }
        )
        publish_batch(found, classes, DATE, Source("m", 1), settings)
        later = DATE + ONE_DAY
        other = PublishedTable(
            "classes", NIGHT.key, "day", (first[0], Column("score_here", "number")), "string"
        )
        again = found.withColumns({"day": F.lit(later), "score_here": F.col("score_lost")})
        publish_batch(again, other, later, Source("m", 2), settings)
        rows = reader.execute(
            "SELECT prediction_date, min(prediction), count(score_late), count(score_lost), "
            "count(score_here) FROM classes GROUP BY 1 ORDER BY 1"
        ).fetchall()
        assert rows == [(DATE, "late", 10, 10, 0), (later, "late", 10, 0, 10)]
        with Lookup(settings, "classes") as client:
            answer = client.get({"name": "k0000001"})
            assert (answer.prediction, answer.columns["score_lost"]) == ("lost", None)

    @pytest.mark.parametrize(
        ("changed", "what"),
        [
            (PublishedTable("fixed", NIGHT.key, "day", (Column("dest", "number"),)), "'dest' is"),
            (PublishedTable("fixed", NIGHT.key[1:], None, NIGHT.columns), "the key is"),
            (PublishedTable("fixed", NIGHT.key, "day", NIGHT.columns, "number"), "'prediction' is"),
        ],
    )
    def test_another_key_or_type_is_refused_with_a_remedy(
        self, settings: Settings, spark: SparkSession, changed: PublishedTable, what: str
    ) -> None:
        put(spark, settings, "fixed", 1)
        with pytest.raises(Refused, match=what) as raised:
            publish_batch(scores(spark, 1, 1), changed, DATE, Source("m", 1), settings)
        assert "new use-case name" in raised.value.remedy


NASTY = (
    "",
    " ",
    "NULL",
    "\\N",
    "\\.",
    '"',
    '""',
    "'; DROP TABLE daybreak.live; --",
    "=cmd()|'/c calc'!A1",
    "a,b\tc\nd\re\r\nf",
    "\ufeffBOM",
    "żółw 🛫 \u202e \U0010ffff",
    "%s %(x)s {} $1",
    "\\x41\\n\\",
    "~",
    "x" * 2000,
)


class TestNames:
    def test_any_text_survives_and_an_empty_one_is_not_null(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        rows = [
            (DATE, text, i / 97, i % 2 == 0, other, 7)
            for i, (text, other) in enumerate(zip(NASTY, (None, *NASTY), strict=False))
        ]
        frame = local_rows(spark, rows, scores(spark, 1, 1).schema)
        publish_batch(frame, night("nasty"), DATE, Source("m", 7), settings)
        found = reader.execute("SELECT day, name, score, prediction, dest, 7 FROM nasty").fetchall()
        assert sorted(found, key=str) == sorted(rows, key=str)
        with Lookup(settings, "nasty") as client:
            for _, text, score, prediction, other, _version in rows:
                answer = client.get([DATE, text])
                assert (answer.score, answer.prediction) == (score, prediction)
                assert answer.columns == {"dest": other}

    def test_every_kind_of_value_survives(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        table = PublishedTable(
            "kinds",
            (Column("at", "timestamp"), Column("number", "integer"), Column("share", "number")),
            None,
            (Column("day", "date"), Column("yes", "boolean")),
        )
        moment = dt.datetime(2013, 11, 3, 6, 30, 0, 1, tzinfo=dt.UTC)
        rows = [
            (moment, 2**63 - 1, 1.7976931348623157e308, 0.1, True, dt.date(1, 1, 1), None),
            (moment.replace(year=1901), -(2**63), 5e-324, 1.0, False, dt.date(9999, 12, 31), True),
            (moment, 0, -0.1, 0.30000000000000004, True, None, False),
        ]
        ddl = (
            "at timestamp, number bigint, share double, score double, prediction boolean, "
            "day date, yes boolean"
        )
        publish_batch(local_rows(spark, rows, ddl), table, DATE, Source("m", 1), settings)
        found = reader.execute(
            "SELECT at, number, share, score, prediction, day, yes FROM kinds"
        ).fetchall()
        assert sorted(found, key=str) == sorted(rows, key=str)
        with Lookup(settings, "kinds") as client:
            assert client.get(rows[0][:3], DATE).score == 0.1

    def test_names_are_names_whatever_they_are_made_of(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        use_case = "x\"; DROP TABLE daybreak.live; --'%s"
        table = PublishedTable(
            use_case,
            (Column('k"; SELECT 1; --%s', "string"),),
            None,
            (Column("select `a.b` 'c' %(d)s", "string"),),
        )
        names = [column.name for column in table.stored]
        frame = spark.createDataFrame([("Ada", 0.5, True, "x")], names)
        publish_batch(frame, table, DATE, Source("m", 1), settings)
        assert seen(reader, use_case)[0][1:] == (1, 1)
        with Lookup(settings, use_case) as client:
            assert client.get("Ada").score == 0.5
        assert rollback_is_refused(settings, use_case)
        assert drop_expired(settings, use_case, 0, DATE) == 0


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


def unstable(frame: DataFrame) -> DataFrame:
    """Scores that differ each time they are worked out, as no gold table's do."""

    def drift(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            place = batch.schema.get_field_index("score")
            value = pa.array([time.time_ns() % 10**9 / 10**9] * batch.num_rows)
            yield batch.set_column(place, "score", value)

    return frame.mapInArrow(drift, frame.schema)


def tables_of(settings: Settings, name: str) -> set[str]:
    """The batch tables of a use case that exist."""
    with connect(settings, "publisher") as publisher:
        found = publisher.execute(
            "SELECT relname::text FROM pg_class WHERE relkind = 'r' "
            "AND relnamespace = 'batches'::regnamespace AND relname LIKE %s",
            [f"\\_%\\_{name}"],
        )
        return {row[0] for row in found}


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
    script = Path(__file__).with_name("night_of_scores.py")
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


def rollback_is_refused(settings: Settings, use_case: str) -> bool:
    with pytest.raises(Refused):
        rollback(settings, use_case, DATE, reason="test")
    return True


def test_the_connection_information_of_a_load_is_not_in_its_text(settings: Settings) -> None:
    from jobs.prediction.load import Load

    task = Load(conninfo(settings, "publisher"), NIGHT, 1)
    assert "password" not in repr(task)
