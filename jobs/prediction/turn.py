"""Taking turns: work that only one may do at a time, by an advisory lock of the warehouse.

The lock ends with the connection, so that a killed process never holds it.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from jobs.errors import Unavailable
from jobs.prediction.warehouse import Connection, connect, one, translated
from jobs.settings import Settings

log = logging.getLogger(__name__)

# A range of a year is worked on for minutes; more than an hour means that something hangs.
LAKE_SECONDS = 3600.0
PUBLISH_SECONDS = 10.0
# Registering a model and moving its alias takes seconds.
CHAMPION_SECONDS = 60.0
REMIND_SECONDS = 60.0

_LOCK = sql.SQL("SELECT {}{}(hashtextextended(%s, 0))")


@dataclass(frozen=True)
class LakeTurn:
    """The right to change the tables of a use case, which is lost with its connection."""

    use_case: str
    connection: Connection

    def require(self) -> None:
        """Say if the turn is lost, as it is when Postgres was started anew.

        Raises:
            Unavailable: it is, and another may work on the lake by now.
        """
        try:
            self.connection.execute("SELECT 1")
        except psycopg.Error as error:
            raise Unavailable(
                f"The warehouse was lost while working on {self.use_case}'s lake, and with it the "
                "right to change it.",
                "Run the step again: it goes on from what is there.",
            ) from error


@contextmanager
def lake_turn(
    settings: Settings, use_case: str, doing: str, beside: str | None = None
) -> Iterator[LakeTurn]:
    """Hold the right to change the tables of a use case in the lake.

    Who has to wait says so in its log, with who is before it. Work during which the right was lost
    has failed: it may have gone on beside another's, and is done again.

    Args:
        beside: names work that may go on beside other such work, because no two of it write to
            the same place and none reads what another writes; of one name there is one at a time.
            None: nothing else goes on.

    Raises:
        Unavailable: somebody else holds it for an hour, the warehouse does not answer, or the
            right was lost.
    """
    me = f"daybreak {doing} {socket.gethostname()[:20]}:{os.getpid()}"
    key, what = f"daybreak:lake:{settings.lake}:{use_case}", f"working on {use_case}'s lake"
    with ExitStack() as held:
        connection = held.enter_context(connect(settings, "publisher", application=me[:63]))
        if beside:
            held.enter_context(turn(connection, f"{key}:{beside}", what, LAKE_SECONDS))
        held.enter_context(turn(connection, key, what, LAKE_SECONDS, shared=bool(beside)))
        mine = LakeTurn(use_case, connection)
        yield mine
        mine.require()


def publish_turn(
    connection: Connection, use_case: str, date: dt.date
) -> AbstractContextManager[None]:
    """Hold the right to publish a date.

    Raises:
        Unavailable: somebody else holds it for longer than a short while; says who.
    """
    key = f"daybreak:publish:{use_case}:{date}"
    return turn(connection, key, f"publishing {use_case} for {date}", PUBLISH_SECONDS)


@dataclass(frozen=True)
class Attempt:
    """Work that others can see going on, by a lock that ends with its process."""

    name: str
    connection: Connection

    def under_way(self, name: str) -> bool:
        """Whether another attempt of that name still goes on."""
        key, kind = _attempt(name), sql.SQL("_shared")
        with translated("looking for what else goes on"):
            if not _locked(self.connection, key, kind):
                return True
            self.connection.execute(_LOCK.format(sql.SQL("pg_advisory_unlock"), kind), [key])
        return False


@contextmanager
def attempt(settings: Settings, doing: str) -> Iterator[Attempt]:
    """A new attempt, for as long as this process does what `doing` says.

    Raises:
        Unavailable: the warehouse does not answer.
    """
    me, name = f"daybreak {doing} {socket.gethostname()[:20]}:{os.getpid()}", uuid.uuid4().hex
    with (
        connect(settings, "publisher", application=me[:63]) as connection,
        turn(connection, _attempt(name), doing, 0.0),
    ):
        yield Attempt(name, connection)


@contextmanager
def champion_turn(settings: Settings, use_case: str) -> Iterator[None]:
    """Hold the right to decide on a use case's champion.

    Raises:
        Unavailable: somebody else holds it for a minute, or the warehouse does not answer.
    """
    me = f"daybreak champion of {use_case[:20]} {socket.gethostname()[:16]}:{os.getpid()}"
    what = f"deciding on the champion of {use_case}"
    with (
        connect(settings, "publisher", application=me[:63]) as connection,
        turn(connection, f"daybreak:champion:{use_case}", what, CHAMPION_SECONDS),
    ):
        yield


@contextmanager
def turn(
    connection: Connection, key: str, what: str, seconds: float, *, shared: bool = False
) -> Iterator[None]:
    """Hold an advisory lock; it ends with the connection at the latest.

    Args:
        key: names the lock.
        what: says what is done while it is held.
        seconds: how long to wait for it.
        shared: whether others may hold it, too, who also share it.

    Raises:
        Unavailable: somebody else holds it for longer than that; says who.
    """
    kind = sql.SQL("_shared" if shared else "")
    started, said = time.monotonic(), 0.0
    with translated(f"waiting for the turn of {what}"):
        while not _locked(connection, key, kind):
            waited = time.monotonic() - started
            if waited > seconds:
                raise Unavailable(
                    f"{_holder(connection, key)} is {what}.",
                    "Let it end, then run the step again.",
                )
            if not said or waited - said > REMIND_SECONDS:
                said = waited or REMIND_SECONDS / 1e6
                log.warning("Waiting: %s is %s.", _holder(connection, key), what)
            time.sleep(0.2)
    try:
        yield
    finally:
        with suppress(psycopg.Error):
            connection.execute(_LOCK.format(sql.SQL("pg_advisory_unlock"), kind), [key])


def _attempt(name: str) -> str:
    return f"daybreak:attempt:{name}"


def _locked(connection: Connection, key: str, kind: sql.SQL) -> bool:
    locked = _LOCK.format(sql.SQL("pg_try_advisory_lock"), kind)
    return bool(one(connection, locked, [key])[0])


def _holder(connection: Connection, key: str) -> str:
    row = connection.execute(
        "SELECT a.application_name, a.pid, a.backend_start FROM pg_locks l "
        "JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted "
        "AND l.pid <> pg_backend_pid() "
        "AND ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended(%s, 0)",
        [key],
    ).fetchone()
    if row is None:
        return "Somebody who has just finished"
    return f"{row[0]!r} (Postgres process {row[1]}, since {row[2]:%Y-%m-%d %H:%M:%S} UTC)"
