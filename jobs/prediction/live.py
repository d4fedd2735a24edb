"""Which batch readers see: the one row that says so, who may change it, and its history."""

from __future__ import annotations

import datetime as dt
import getpass
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, LiteralString

import psycopg

from jobs.errors import Refused, Unavailable
from jobs.prediction.published_table import PublishedTable
from jobs.prediction.warehouse import Connection, translated

WAIT_SECONDS = 10.0
PLANNING_SECONDS = 1.0


@contextmanager
def one_at_a_time(connection: Connection, use_case: str, date: dt.date) -> Iterator[None]:
    """Hold the right to publish a date; it ends with the connection at the latest.

    Raises:
        Unavailable: somebody else holds it for longer than a short while; says who.
    """
    key = f"daybreak:publish:{use_case}:{date}"
    deadline = time.monotonic() + WAIT_SECONDS
    with translated(f"waiting for the turn to publish {use_case} for {date}"):
        while not _value(connection, "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [key]):
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{use_case} for {date} is being published by {_holder(connection, key)}.",
                    "Let it end, then run the step again.",
                )
            time.sleep(0.2)
    try:
        yield
    finally:
        with suppress(psycopg.Error):
            connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])


def _holder(connection: Connection, key: str) -> str:
    row = connection.execute(
        "SELECT a.application_name, a.pid, a.backend_start FROM pg_locks l "
        "JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted "
        "AND ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended(%s, 0)",
        [key],
    ).fetchone()
    if row is None:
        return "somebody who has just finished"
    return f"{row[0]!r} (Postgres process {row[1]}, connected since {row[2]:%Y-%m-%d %H:%M:%S} UTC)"


def go_live(connection: Connection, batch_id: int, *, by: str, reason: str) -> None:
    """Make a loaded batch the one that readers see for its date, in one short transaction."""
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '5s'")
        batch = connection.execute(
            "UPDATE daybreak.batches SET state = 'ready', "
            "published_at = coalesce(published_at, clock_timestamp()) "
            "WHERE batch_id = %s AND state IN ('attached', 'ready') "
            "RETURNING use_case, prediction_date, model_version, rows, published_at",
            [batch_id],
        ).fetchone()
        if batch is None:
            raise Refused(
                f"Batch {batch_id} is not complete, so it did not go live.",
                "Run the publish step again.",
            )
        before = _value(
            connection,
            "SELECT batch_id FROM daybreak.live WHERE use_case = %s AND prediction_date = %s "
            "FOR UPDATE",
            [batch[0], batch[1]],
        )
        connection.execute(
            "INSERT INTO daybreak.live (use_case, prediction_date, model_version, rows, "
            "published_at, batch_id, since) VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp()) "
            "ON CONFLICT (use_case, prediction_date) DO UPDATE SET batch_id = excluded.batch_id, "
            "model_version = excluded.model_version, rows = excluded.rows, "
            "published_at = excluded.published_at, since = excluded.since",
            [*batch, batch_id],
        )
        record_change(connection, batch[0], batch[1], before, batch_id, by=by, reason=reason)


def record_change(
    connection: Connection,
    use_case: str,
    date: dt.date,
    before: int | None,
    after: int | None,
    *,
    by: str,
    reason: str,
) -> None:
    """Write down who changed what is live, and why; in the transaction that changes it."""
    connection.execute(
        "INSERT INTO daybreak.live_history (use_case, prediction_date, from_batch, to_batch, "
        "changed_by, reason) VALUES (%s, %s, %s, %s, %s, %s)",
        [use_case, date, before, after, by or getpass.getuser(), reason],
    )


def let_plans_pass(connection: Connection, table: PublishedTable) -> None:
    """Wait until no query is left that was planned before the partition was attached.

    Postgres plans a query first and takes its snapshot after that. A query that is planned before
    a partition is attached and takes its snapshot after the batch went live would look for the
    new batch in the old partitions, and find nothing. So those that hold the table now are waited
    for; not longer than planning takes, because one that is older has its snapshot by then.
    """
    now_reading = (
        "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' "
        "AND relation = to_regclass(%s) AND mode = 'AccessShareLock' AND granted "
        "AND pid <> pg_backend_pid()"
    )
    name = table.parent.as_string(connection)
    readers = {row[0] for row in connection.execute(now_reading, [name]).fetchall()}
    deadline = time.monotonic() + PLANNING_SECONDS
    while readers and time.monotonic() < deadline:
        time.sleep(0.005)
        readers &= {row[0] for row in connection.execute(now_reading, [name]).fetchall()}


def _value(connection: Connection, query: LiteralString, values: list[object]) -> Any:
    row = connection.execute(query, values).fetchone()
    return None if row is None else row[0]
