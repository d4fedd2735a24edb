"""Who may do what in the warehouse."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import errors
from pydantic import SecretStr

from jobs.errors import Refused
from jobs.prediction.migrations import ensure_roles, upgrade
from jobs.prediction.warehouse import connect, conninfo, url
from tests.integration.night_of_scores import NIGHT
from tests.integration.warehouse.batches import put, seen
from tests.integration.warehouse_server import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.settings import Settings


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


def test_the_connection_information_of_a_load_is_not_in_its_text(settings: Settings) -> None:
    from jobs.prediction.load import Load

    task = Load(conninfo(settings, "publisher"), NIGHT, 1)
    assert "password" not in repr(task)
