"""Connections to the warehouse: four roles, and errors a person can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString
from urllib.parse import quote

import psycopg
from psycopg import errors, sql
from psycopg.abc import Params
from psycopg.conninfo import make_conninfo

from jobs.errors import Refused, Unavailable
from jobs.prediction.roles import Role
from jobs.settings import Settings

Connection = psycopg.Connection[tuple[Any, ...]]
Statement = LiteralString | bytes | sql.SQL | sql.Composed

CONNECT_SECONDS = 5
PASSING = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.DeadlockDetected,
    errors.SerializationFailure,
)
START = "Run `daybreak status`; `daybreak up` starts embedded services that are down."


def login(role: Role) -> str:
    """The Postgres role behind a role's short name."""
    return f"daybreak_{role}"


def password(settings: Settings, role: Role) -> str:
    """A role's password.

    Raises:
        Refused: it is not in the settings.
    """
    secret = getattr(settings, f"{role}_password")
    if secret is None:
        raise Refused(
            f"The password of {login(role)} is not set.",
            f"Set DAYBREAK_{role.upper()}_PASSWORD, or run `daybreak up`, which makes one.",
        )
    return str(secret.get_secret_value())


def conninfo(settings: Settings, role: Role, application: str = "") -> str:
    """What libpq needs to connect. It holds a password: never log it."""
    return make_conninfo(
        host=settings.warehouse_host,
        port=settings.warehouse_port,
        dbname=settings.warehouse_database,
        user=login(role),
        password=password(settings, role),
        application_name=application or f"daybreak {role}",
        client_encoding="utf8",
        connect_timeout=CONNECT_SECONDS,
        keepalives_idle=30,
        tcp_user_timeout=20_000,
    )


def url(settings: Settings, role: Role) -> str:
    """A URL that psql takes. It holds a password: print it only when asked to."""
    host = settings.warehouse_host
    where = f"[{host}]" if ":" in host else quote(host, safe="")
    secret = quote(password(settings, role), safe="")
    database = quote(settings.warehouse_database, safe="")
    return f"postgresql://{login(role)}:{secret}@{where}:{settings.warehouse_port}/{database}"


def connect(
    settings: Settings, role: Role, *, application: str = "", autocommit: bool = True
) -> Connection:
    """Open a connection as `role`; use `with` to close it.

    Raises:
        Unavailable: the server does not answer.
        Refused: it answers, but does not take the role, password or database.
    """
    return connect_to(conninfo(settings, role, application), autocommit=autocommit)


def connect_to(info: str, *, autocommit: bool = True) -> Connection:
    """`connect`, where only the connection information is at hand."""
    try:
        return psycopg.connect(info, autocommit=autocommit)
    except psycopg.OperationalError as error:
        raise _not_connected(error, info) from error


def _not_connected(error: psycopg.OperationalError, info: str) -> Exception:
    parts = psycopg.conninfo.conninfo_to_dict(info)
    where = f"{parts['host']}:{parts['port']}"
    said = " ".join(str(error).split())
    if "authentication failed" in said or "does not exist" in said or "permission denied" in said:
        return Refused(
            f"The warehouse at {where} does not let {parts['user']} into database "
            f"{parts['dbname']!r}: {said}.",
            "Run `daybreak up`, which makes roles and database, or mend the DAYBREAK_* settings.",
        )
    return Unavailable(f"The warehouse at {where} does not answer: {said}.", START)


def one(connection: Connection, query: Statement, values: Params | None = None) -> tuple[Any, ...]:
    """The row of a query that always has one."""
    row = connection.execute(query, values).fetchone()
    if row is None:
        raise psycopg.DataError("a query that always has a row had none")
    return row


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what Postgres raises while `doing` something into an error for a person.

    A lost connection, a lock that was not given in time, a full disk or a server that is shutting
    down may pass: `Unavailable`. Anything else is `Refused`.
    """
    try:
        yield
    except psycopg.Error as error:
        raise explained(error, doing) from error


def explained(error: psycopg.Error, doing: str) -> Refused | Unavailable:
    """The error a person reads for what Postgres raised; see `translated`."""
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, errors.DiskFull):
        return Unavailable(
            f"The warehouse's disk is full while {doing}: {said}.",
            "Free space on the warehouse's disk; what was live is still served.",
        )
    if isinstance(error, errors.LockNotAvailable | errors.QueryCanceled):
        return Unavailable(
            f"Somebody else holds a lock that is needed while {doing}: {said}.",
            "Try again in a minute; `select * from pg_stat_activity` shows who.",
        )
    # Class 54 is a limit of Postgres's own, such as a key too long for an index: it stays.
    too_large = (error.sqlstate or "").startswith("54")
    if isinstance(error, PASSING) and not too_large:
        return Unavailable(f"The warehouse was lost while {doing}: {said}.", START)
    return Refused(
        f"The warehouse refused {doing}: {said}.", "Mend what it names, then run the step again."
    )
