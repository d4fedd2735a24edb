"""Which batch readers see: the one row that says so, who may change it, and its history."""

from __future__ import annotations

import datetime as dt
import getpass
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from jobs.errors import Refused, Unavailable
from jobs.prediction.published_table import PublishedTable
from jobs.prediction.warehouse import Connection, one, translated

WAIT_SECONDS = 10.0


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


@dataclass(frozen=True)
class Readers:
    """Transactions that read a use case's table at a moment, by process and virtual id."""

    noted_at: dt.datetime
    pids: tuple[int, ...]
    transactions: tuple[str, ...]


def go_live(
    connection: Connection, batch_id: int, *, by: str, reason: str, readers: Readers | None = None
) -> None:
    """Make a loaded batch the one that readers see for its date, in one short transaction.

    `readers` may not know its partition yet; they go on with the batch before. For a batch that
    was live before there are none: they were noted then.
    """
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
        if readers is not None:
            _let_go_on(connection, batch[0], batch[1], readers)
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


def transactions_reading(connection: Connection, table: PublishedTable) -> Readers:
    """The transactions that hold a use case's table now; call it right after an attach.

    What is not among them has either ended, or begins to read only now and sees the partition.
    """
    noted_at = one(connection, "SELECT clock_timestamp()")[0]
    found = connection.execute(
        "SELECT DISTINCT pid, virtualtransaction FROM pg_locks WHERE locktype = 'relation' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND relation = to_regclass(%s) AND granted AND pid <> pg_backend_pid()",
        [table.parent.as_string(connection)],
    ).fetchall()
    return Readers(
        noted_at, tuple(pid for pid, _ in found), tuple(transaction for _, transaction in found)
    )


def _let_go_on(connection: Connection, use_case: str, date: dt.date, readers: Readers) -> None:
    """Let those that were reading go on with the batch they saw; before the row is changed."""
    values = {
        "use_case": use_case,
        "date": date,
        "noted_at": readers.noted_at,
        "pids": list(readers.pids),
        "transactions": list(readers.transactions),
    }
    connection.execute(
        "DELETE FROM daybreak.behind WHERE use_case = %(use_case)s AND (pid, transaction) NOT IN "
        "(SELECT * FROM unnest(%(pids)s::int[], %(transactions)s::text[]))",
        values,
    )
    # One that was behind before stays with the batch it saw then.
    connection.execute(
        "INSERT INTO daybreak.behind (use_case, prediction_date, pid, transaction, noted_at, "
        "batch_id, model_version, rows, published_at) "
        "SELECT %(use_case)s, %(date)s, r.pid, r.transaction, %(noted_at)s, "
        "l.batch_id, l.model_version, l.rows, l.published_at "
        "FROM unnest(%(pids)s::int[], %(transactions)s::text[]) AS r (pid, transaction) "
        "LEFT JOIN daybreak.live l ON l.use_case = %(use_case)s "
        "AND l.prediction_date = %(date)s ON CONFLICT DO NOTHING",
        values,
    )


def _value(connection: Connection, query: LiteralString, values: list[object]) -> Any:
    row = connection.execute(query, values).fetchone()
    return None if row is None else row[0]
