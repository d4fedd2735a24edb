"""The warehouse's roles, database and tables: made and brought up to date, over and over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import psycopg
from psycopg import sql

from jobs.errors import Refused
from jobs.prediction.roles import Role
from jobs.prediction.warehouse import (
    Connection,
    connect_to,
    conninfo,
    login,
    password,
    translated,
)
from jobs.settings import PROJECT, Settings

SCRIPTS = PROJECT / "infra" / "postgres"

# All of Postgres's own timeouts default to none. A reader may hold a transaction open for long:
# nothing waits for it. JIT only delays the short queries that lookups are.
SESSION: Mapping[Role, Mapping[str, str]] = {
    "owner": {
        "lock_timeout": "10s",
        "statement_timeout": "30min",
        "idle_in_transaction_session_timeout": "10min",
    },
    "publisher": {
        "lock_timeout": "5s",
        "statement_timeout": "30min",
        "idle_in_transaction_session_timeout": "10min",
    },
    "reader": {
        "lock_timeout": "5s",
        "statement_timeout": "60s",
        "idle_in_transaction_session_timeout": "2h",
        "default_transaction_read_only": "on",
        "search_path": "predictions",
    },
    # What is not committed soon would be known before anybody can see it.
    "labeller": {
        "lock_timeout": "5s",
        "statement_timeout": "60s",
        "idle_in_transaction_session_timeout": "10min",
        "search_path": "feedback",
    },
}
EVERY_SESSION = {"timezone": "UTC", "jit": "off", "client_connection_check_interval": "10s"}


def ensure_roles(superuser_conninfo: str, settings: Settings) -> None:
    """Make the four roles and the database, or bring them up to date; as often as you like.

    Raises:
        Refused: a password is missing, or the server refused.
        Unavailable: the server does not answer.
    """
    roles: tuple[Role, ...] = get_args(Role)
    secrets = {role: password(settings, role) for role in roles}
    with connect_to(superuser_conninfo) as connection, translated("making roles"):
        for role, secret in secrets.items():
            _ensure_role(connection, role, secret)
        _ensure_database(connection, settings.warehouse_database)
    inside = psycopg.conninfo.make_conninfo(superuser_conninfo, dbname=settings.warehouse_database)
    with connect_to(inside) as connection, translated("closing the schema public"):
        connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")


def upgrade(settings: Settings) -> None:
    """Bring the tables up to the newest migration, as daybreak_owner; nothing happens twice.

    Raises:
        Refused: a migration failed; none of its statements remain.
        Unavailable: the server does not answer.
    """
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    # The connection is handed over, so that no URL with a password is written anywhere.
    info = conninfo(settings, "owner", "daybreak migrations")
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: connect_to(info, autocommit=False),
        poolclass=NullPool,
    )
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        said = " ".join(str(error.orig).split())
        raise Refused(
            f"The warehouse's tables could not be brought up to date: {said}.",
            "Mend what it names, then run `daybreak up` again.",
        ) from error


def _ensure_role(connection: Connection, role: Role, secret: str) -> None:
    name = sql.Identifier(login(role))
    known = connection.execute(
        "SELECT 1 FROM pg_roles WHERE rolname = %s", [login(role)]
    ).fetchone()
    if not known:
        connection.execute(sql.SQL("CREATE ROLE {}").format(name))
    # libpq makes the SCRAM verifier here: the password itself never reaches a server log.
    verifier = connection.pgconn.encrypt_password(
        secret.encode(), login(role).encode(), b"scram-sha-256"
    ).decode()
    connection.execute(
        sql.SQL(
            "ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS "
            "PASSWORD {}"
        ).format(name, sql.Literal(verifier))
    )
    for setting, value in {**EVERY_SESSION, **SESSION[role]}.items():
        connection.execute(
            sql.SQL("ALTER ROLE {} SET {} = {}").format(
                name, sql.Identifier(setting), sql.Literal(value)
            )
        )


def _ensure_database(connection: Connection, database: str) -> None:
    name, owner = sql.Identifier(database), sql.Identifier(login("owner"))
    known = connection.execute(
        "SELECT 1 FROM pg_database WHERE datname = %s", [database]
    ).fetchone()
    if not known:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(
                name, owner
            )
        )
    connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, owner))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    for role in ("publisher", "reader", "labeller"):
        connection.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                name, sql.Identifier(f"daybreak_{role}")
            )
        )
