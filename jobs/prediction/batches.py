"""The batches in the warehouse: list them, go back to an earlier one, drop what has expired."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from psycopg import errors, sql

from jobs.errors import Refused, Unavailable
from jobs.prediction.live import go_live, record_change
from jobs.prediction.published_table import PublishedTable, partition_name, published_as
from jobs.prediction.turn import publish_turn
from jobs.prediction.warehouse import Connection, connect, one, translated
from jobs.settings import Settings

FAILED_KEPT_DAYS = 7


@dataclass(frozen=True)
class Publication:
    """One attempt to publish a date.

    `state` is one of loading, attached, ready, failed, dropped; `live` says whether readers see
    it now; `published_at` and `age_seconds` (since then) are None if it never went live.
    """

    use_case: str
    prediction_date: dt.date
    batch_id: int
    attempt: int
    rows: int
    model_name: str
    model_version: int
    state: str
    live: bool
    created_at: dt.datetime
    published_at: dt.datetime | None
    age_seconds: float | None
    note: str

    @property
    def sentence(self) -> str:
        return (
            f"Batch {self.batch_id} of {self.use_case} for {self.prediction_date}, {self.rows} "
            f"rows by model version {self.model_version}, is {'live' if self.live else self.state}."
        )


SELECT = """
SELECT b.use_case, b.prediction_date, b.batch_id, b.attempt, b.rows, b.model_name,
       b.model_version, b.state, l.batch_id IS NOT NULL, b.created_at, b.published_at,
       extract(epoch FROM clock_timestamp() - b.published_at)::float8, b.note
FROM daybreak.batches b LEFT JOIN daybreak.live l USING (batch_id)
WHERE b.use_case = %s
"""


def publications(settings: Settings, use_case: str) -> list[Publication]:
    """Every attempt to publish a use case, newest date and attempt first."""
    with connect(settings, "publisher") as connection, translated(f"listing {use_case}"):
        rows = connection.execute(
            SELECT + "ORDER BY b.prediction_date DESC, b.attempt DESC", [use_case]
        )
        return [Publication(*row) for row in rows]


def latest(settings: Settings, use_case: str) -> Publication | None:
    """The live batch of the newest date, or None if nothing is live; for freshness."""
    with connect(settings, "publisher") as connection, translated(f"reading {use_case}"):
        row = connection.execute(
            SELECT + "AND l.batch_id IS NOT NULL ORDER BY b.prediction_date DESC LIMIT 1",
            [use_case],
        ).fetchone()
        return Publication(*row) if row else None


def rollback(
    settings: Settings,
    use_case: str,
    date: dt.date,
    *,
    to_batch: int | None = None,
    reason: str,
    by: str = "",
) -> Publication:
    """Make an earlier batch of a date live again: `to_batch`, or the one that was live before.

    Raises:
        Refused: nothing is live for the date, there is no earlier batch that is kept, or
            `to_batch` is not a kept batch of this use case and date.
    """
    with (
        connect(settings, "publisher") as connection,
        translated(f"rolling back {use_case} for {date}"),
        connection.transaction(),
    ):
        # The row stays locked until the end, so that two rollbacks do not cross.
        live = connection.execute(
            "SELECT batch_id FROM daybreak.live WHERE use_case = %s AND prediction_date = %s "
            "FOR UPDATE",
            [use_case, date],
        ).fetchone()
        if live is None:
            raise Refused(
                f"No batch of {use_case} is live for {date}, so there is nothing to roll back.",
                f"See `daybreak publications {use_case}`.",
            )
        target = _target(connection, use_case, date, live[0], to_batch)
        go_live(connection, target, by=by, reason=reason)
        row = one(connection, SELECT + "AND b.batch_id = %s", [use_case, target])
        return Publication(*row)


def _target(
    connection: Connection, use_case: str, date: dt.date, live: int, to_batch: int | None
) -> int:
    kept = [
        row[0]
        for row in connection.execute(
            "SELECT batch_id FROM daybreak.batches WHERE use_case = %s AND prediction_date = %s "
            "AND state = 'ready' ORDER BY batch_id DESC",
            [use_case, date],
        )
    ]
    earlier = [batch_id for batch_id in kept if batch_id < live]
    listed = f"Batches kept for that date: {', '.join(map(str, kept))}."
    if to_batch is None and not earlier:
        raise Refused(
            f"Batch {live} of {use_case} for {date} has no earlier batch to go back to.", listed
        )
    if to_batch is not None and to_batch not in kept:
        raise Refused(f"Batch {to_batch} is not a kept batch of {use_case} for {date}.", listed)
    return earlier[0] if to_batch is None else to_batch


def drop_expired(settings: Settings, use_case: str, keep_days: int, today: dt.date) -> int:
    """Drop the batches of dates before `today` less `keep_days`, and failed ones after a week.

    The newest live date stays whatever its age, and so does a batch that is being published.
    Readers never wait for it: a table is detached only once no query that may use it is left, and
    is otherwise left for the next time. Gives the number of tables dropped.
    """
    with connect(settings, "publisher") as connection, translated(f"dropping old {use_case}"):
        table = published_as(connection, use_case)
        if table is None:
            return 0
        first_kept = today - dt.timedelta(days=keep_days)
        _close_killed(connection, table, first_kept)
        _let_go(connection, use_case, first_kept)
        batches = _still_there(connection, use_case)
        return sum(_drop(connection, table, batch) for batch in batches)


def _close_killed(connection: Connection, table: PublishedTable, first_kept: dt.date) -> None:
    """Close what killed publications of expired dates have left.

    Who holds a date's turn is still at work: that one is left for the next time.
    """
    from jobs.prediction.publish import clear_leftovers

    dates = connection.execute(
        "SELECT DISTINCT prediction_date FROM daybreak.batches WHERE use_case = %s "
        "AND prediction_date < %s AND state IN ('loading', 'attached')",
        [table.use_case, first_kept],
    ).fetchall()
    for (date,) in dates:
        with suppress(Unavailable), publish_turn(connection, table.use_case, date):
            clear_leftovers(connection, table, date)


def _let_go(connection: Connection, use_case: str, first_kept: dt.date) -> None:
    with connection.transaction():
        # Locked, so that no rollback makes live what is let go here.
        live = connection.execute(
            "SELECT prediction_date FROM daybreak.live WHERE use_case = %s FOR UPDATE", [use_case]
        ).fetchall()
        newest = max(row[0] for row in live) if live else first_kept
        gone = connection.execute(
            "DELETE FROM daybreak.live WHERE use_case = %s AND prediction_date < %s "
            "AND prediction_date <> %s RETURNING prediction_date, batch_id",
            [use_case, first_kept, newest],
        ).fetchall()
        for date, batch_id in gone:
            record_change(
                connection, use_case, date, batch_id, None, by="", reason="past its retention"
            )
        connection.execute(
            "UPDATE daybreak.batches b SET state = 'dropped' WHERE use_case = %s AND ("
            "(state IN ('ready', 'failed') AND prediction_date < %s) OR "
            "(state = 'failed' AND created_at < now() - make_interval(days => %s))) "
            "AND NOT EXISTS (SELECT FROM daybreak.live l WHERE l.batch_id = b.batch_id)",
            [use_case, first_kept, FAILED_KEPT_DAYS],
        )


def _still_there(connection: Connection, use_case: str) -> list[int]:
    tables = {
        row[0]
        for row in connection.execute(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'batches'::regnamespace "
            "AND relkind = 'r'"
        )
    }
    dropped = connection.execute(
        "SELECT batch_id FROM daybreak.batches WHERE use_case = %s AND state = 'dropped' "
        "ORDER BY batch_id",
        [use_case],
    )
    return [row[0] for row in dropped if partition_name(use_case, row[0]) in tables]


def _drop(connection: Connection, table: PublishedTable, batch_id: int) -> bool:
    try:
        connection.execute("SET lock_timeout = '2s'")
        _detach(connection, table, batch_id)
        connection.execute(sql.SQL("DROP TABLE {}").format(table.partition(batch_id)))
    except (errors.LockNotAvailable, errors.ObjectInUse, errors.ObjectNotInPrerequisiteState):
        return False
    finally:
        with suppress(psycopg.Error):
            connection.execute("RESET lock_timeout")
    return True


def _detach(connection: Connection, table: PublishedTable, batch_id: int) -> None:
    partition = table.partition(batch_id)
    row = connection.execute(
        "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = to_regclass(%s)",
        [partition.as_string(connection)],
    ).fetchone()
    if row is not None:
        # An earlier time may have been stopped half-way by a reader: that one is only finished.
        how = sql.SQL("FINALIZE" if row[0] else "CONCURRENTLY")
        connection.execute(
            sql.SQL("ALTER TABLE {} DETACH PARTITION {} {}").format(table.parent, partition, how)
        )
