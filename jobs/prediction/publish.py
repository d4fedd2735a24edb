"""Put the predictions of one date into the warehouse: all at once, or not at all.

A batch is loaded into a table of its own that nobody sees, indexed, and compared with gold. Then
it is attached to its use case's table, and goes live by one row. Killed anywhere, the next try
clears away what is left and publishes one batch.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors, sql

from jobs.errors import DaybreakError, Refused
from jobs.prediction import fingerprint
from jobs.prediction.fingerprint import Fingerprint
from jobs.prediction.live import go_live, transactions_reading
from jobs.prediction.load import Load, load
from jobs.prediction.published_table import PublishedTable, ensure_use_case
from jobs.prediction.turn import publish_turn
from jobs.prediction.warehouse import Connection, connect_to, conninfo, one, translated
from jobs.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Source:
    """Whose predictions they are, and who publishes them.

    Attributes:
        model_name: name in the registry.
        model_version: version in the registry.
        by: who publishes; the operating system's user where nobody is named.
    """

    model_name: str
    model_version: int
    by: str = ""


@dataclass(frozen=True)
class Published:
    """The batch that is live after publishing; `changed` is False if it was live before."""

    use_case: str
    date: dt.date
    batch_id: int
    attempt: int
    rows: int
    checksum: int
    model_version: int
    changed: bool

    @property
    def sentence(self) -> str:
        what = f"Batch {self.batch_id} of {self.use_case} for {self.date}, {self.rows} rows,"
        if self.changed:
            return f"{what} is live."
        return f"{what} was live already with the same predictions; nothing was changed."


def publish_batch(
    frame: DataFrame, table: PublishedTable, date: dt.date, source: Source, settings: Settings
) -> Published:
    """Publish `frame`, the gold predictions of one date by one model version, and make it live.

    The frame has at least the columns `table.stored`. Publishing what is live already changes
    nothing. Safe to run again after a kill at any moment.

    Raises:
        Refused: rows of another date, a missing or infinite score, a key that is there twice, or
            rows that are not the same in the warehouse as in gold. What was live still is.
        Unavailable: somebody else publishes the same date, a lock is held, or the warehouse or
            a connection was lost. What was live still is.
    """
    me = f"daybreak publish {socket.gethostname()[:20]}:{os.getpid()}"
    info = conninfo(settings, "publisher", me)
    with connect_to(info) as connection, publish_turn(connection, table.use_case, date):
        with translated(f"publishing {table.use_case} for {date}"):
            ensure_use_case(connection, table)
            clear_leftovers(connection, table, date)
        gold = fingerprint.of_gold(frame, table, date)
        with translated(f"publishing {table.use_case} for {date}"):
            same = _live_already(connection, table.use_case, date, source, gold)
            if same is not None:
                return same
            return _new_batch(connection, info, frame, table, date, source, gold)


def _new_batch(
    connection: Connection,
    info: str,
    frame: DataFrame,
    table: PublishedTable,
    date: dt.date,
    source: Source,
    gold: Fingerprint,
) -> Published:
    batch_id, attempt = _begin(connection, table, date, source, gold)
    try:
        load(frame, Load(info, table, batch_id))
        _index(connection, table, batch_id)
        _compare(connection, table, batch_id, gold)
        _attach(connection, table, date, batch_id)
        readers = transactions_reading(connection, table)
        go_live(connection, batch_id, by=source.by, reason="published", readers=readers)
    except Exception as error:
        _fail(connection, table, batch_id, error)
        raise
    return Published(
        table.use_case,
        date,
        batch_id,
        attempt,
        gold.rows,
        gold.checksum,
        source.model_version,
        True,
    )


def clear_leftovers(connection: Connection, table: PublishedTable, date: dt.date) -> None:
    """Close the attempts for a date that were killed; call it only while holding its turn."""
    left = connection.execute(
        "SELECT batch_id FROM daybreak.batches WHERE use_case = %s AND prediction_date = %s "
        "AND state IN ('loading', 'attached')",
        [table.use_case, date],
    ).fetchall()
    for (batch_id,) in left:
        _discard(connection, table, batch_id, "Its publisher was killed.")


def _live_already(
    connection: Connection, use_case: str, date: dt.date, source: Source, gold: Fingerprint
) -> Published | None:
    row = connection.execute(
        "SELECT batch_id, b.attempt FROM daybreak.live l JOIN daybreak.batches b USING (batch_id) "
        "WHERE l.use_case = %s AND l.prediction_date = %s AND b.model_name = %s "
        "AND b.model_version = %s AND b.rows = %s AND b.checksum = %s",
        [use_case, date, source.model_name, source.model_version, gold.rows, gold.checksum],
    ).fetchone()
    if row is None:
        return None
    return Published(
        use_case, date, row[0], row[1], gold.rows, gold.checksum, source.model_version, False
    )


def _begin(
    connection: Connection, table: PublishedTable, date: dt.date, source: Source, gold: Fingerprint
) -> tuple[int, int]:
    with connection.transaction():
        row = one(
            connection,
            "INSERT INTO daybreak.batches (use_case, prediction_date, attempt, model_name, "
            "model_version, rows, checksum) SELECT %(use_case)s, %(date)s, "
            "1 + coalesce(max(attempt), 0), %(name)s, %(version)s, %(rows)s, %(checksum)s "
            "FROM daybreak.batches WHERE use_case = %(use_case)s AND prediction_date = %(date)s "
            "RETURNING batch_id, attempt",
            {
                "use_case": table.use_case,
                "date": date,
                "name": source.model_name,
                "version": source.model_version,
                "rows": gold.rows,
                "checksum": gold.checksum,
            },
        )
        # The check lets Postgres attach the table without reading it.
        connection.execute(
            sql.SQL(
                "CREATE TABLE {table} (LIKE {parent}, "
                "CHECK (prediction_date = {date} AND batch_id = {id})); "
                "ALTER TABLE {table} ALTER COLUMN batch_id SET DEFAULT {id}, "
                "ALTER COLUMN prediction_date SET DEFAULT {date}"
            ).format(
                table=table.partition(row[0]),
                parent=table.parent,
                id=sql.Literal(int(row[0])),
                date=sql.Literal(date),
            )
        )
    return int(row[0]), int(row[1])


def _index(connection: Connection, table: PublishedTable, batch_id: int) -> None:
    key = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.key)
    partition = table.partition(batch_id)
    try:
        connection.execute(sql.SQL("CREATE UNIQUE INDEX ON {} ({})").format(partition, key))
    except errors.UniqueViolation as error:
        raise Refused(
            f"The predictions of {table.use_case} have a key twice: {error.diag.message_detail}",
            "Nothing was published. Mend the source's key, then run the night again.",
        ) from error
    connection.execute(sql.SQL("ANALYZE {}").format(partition))


def _compare(
    connection: Connection, table: PublishedTable, batch_id: int, gold: Fingerprint
) -> None:
    found = fingerprint.of_batch(connection, table, batch_id)
    if found != gold:
        where = table.partition(batch_id).as_string(connection)
        raise Refused(
            f"The warehouse holds {found.rows} rows with checksum {found.checksum} of "
            f"{table.use_case}, batch {batch_id}, and gold has {gold.rows} with {gold.checksum}.",
            f"Nothing was published; the rows are kept in {where}. Run the step again.",
        )


def _attach(connection: Connection, table: PublishedTable, date: dt.date, batch_id: int) -> None:
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '5s'")
        connection.execute(
            sql.SQL(
                "ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({d}, {}) TO ({d}, {})"
            ).format(
                table.parent,
                table.partition(batch_id),
                sql.Literal(batch_id),
                sql.Literal(batch_id + 1),
                d=sql.Literal(date),
            )
        )
        connection.execute(
            "UPDATE daybreak.batches SET state = 'attached' WHERE batch_id = %s", [batch_id]
        )


def _fail(connection: Connection, table: PublishedTable, batch_id: int, error: Exception) -> None:
    # If the warehouse is gone this fails too: the next try then finds it among the leftovers.
    with suppress(psycopg.Error):
        if isinstance(error, Refused):
            _close(connection, batch_id, "failed", error.sentence)
        else:
            what = error.sentence if isinstance(error, DaybreakError) else type(error).__name__
            _discard(connection, table, batch_id, what)


def _discard(connection: Connection, table: PublishedTable, batch_id: int, note: str) -> None:
    # A table that is attached, or to which a task that outlived its publisher still writes, is
    # dropped with what has expired.
    if _close(connection, batch_id, "dropped", note) == "loading":
        with suppress(errors.LockNotAvailable), connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '300ms'")
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table.partition(batch_id)))


def _close(connection: Connection, batch_id: int, state: str, note: str) -> str | None:
    row = connection.execute(
        "UPDATE daybreak.batches SET state = %s, note = %s WHERE batch_id = %s "
        "AND state IN ('loading', 'attached') RETURNING old.state",
        [state, note, batch_id],
    ).fetchone()
    return row[0] if row else None
