"""Which batch readers see: the one row that says so, who may change it, and its history."""

from __future__ import annotations

import datetime as dt
import getpass
from dataclasses import dataclass
from typing import Any, LiteralString

from jobs.errors import Refused
from jobs.prediction.published_table import PublishedTable
from jobs.prediction.warehouse import Connection, one


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
    # Of those that another date's publication has noted since, this one knows nothing.
    connection.execute(
        "DELETE FROM daybreak.behind WHERE use_case = %(use_case)s AND noted_at < %(noted_at)s "
        "AND (pid, transaction) NOT IN "
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
