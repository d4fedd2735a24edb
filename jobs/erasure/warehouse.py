"""One entity's rows taken out of the warehouse: of every batch it keeps, and of feedback."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from psycopg import sql

from jobs.errors import Refused
from jobs.lake.tombstones import value_of
from jobs.plan import Plan
from jobs.prediction.feedback_table import feedback_as
from jobs.prediction.fingerprint import of_batch
from jobs.prediction.published_table import SQL_TYPES, Kind, PublishedTable, published_as
from jobs.prediction.warehouse import Connection, connect, translated


def erase_batches(plan: Plan, entity: Mapping[str, str], keys: pa.Table) -> dict[str, int]:
    """Delete an entity's predictions, and the pages of the files that held them.

    Args:
        entity: the columns that name it, and their values as text; predictions that do not have
            them all, or have them with types that the values are not of, are not its.
        keys: of predictions that are its, too.

    Gives the rows deleted by batch. Numbers of rows and checksums of the batches are those of what
    is left.

    Raises:
        Refused: what was published has another key than the use case has now.
        Unavailable: the warehouse does not answer, or a lock was not given.
    """
    with (
        connect(plan.settings, "publisher") as connection,
        translated(f"erasing from predictions.{plan.name}"),
    ):
        table = published_as(connection, plan.name)
        if table is None:
            return {}
        kinds: dict[str, Kind] = {"prediction_date": "date"}
        kinds |= {column.name: column.kind for column in (*table.key, *table.columns)}
        if other := sorted(set(keys.column_names) - kinds.keys()):
            raise Refused(
                f"predictions.{plan.name} was published without {', '.join(other)}, which is in "
                "the key now: what is there cannot be told by it.",
                "Name the entity by the key as it was, or take back the change of entity.key.",
            )
        listed = keys.to_pylist()
        known = {n: value_of(kinds[n], v) if n in kinds else None for n, v in entity.items()}
        same = [] if None in known.values() else [_Gone.of([*known], kinds, [known])]
        return {
            f"batch {batch_id}": _erase(
                connection,
                table,
                batch_id,
                [*same, _Gone.of(keys.column_names, kinds, _of_date(table, listed, date))],
            )
            for batch_id, date in _batches(connection, table)
        }


def _of_date(
    table: PublishedTable, keys: list[dict[str, Any]], date: dt.date
) -> list[dict[str, Any]]:
    """The keys that a batch of a date may have: of entities without a date, all."""
    day = table.date_column or "prediction_date"
    return [key for key in keys if key.get(day, date) == date]


@dataclass(frozen=True)
class Feedback:
    """What people wrote of an entity: the rows' numbers, and what they are as versions of labels.

    Attributes:
        place: the table, for people.
        rows: the rows' numbers in it.
        versions: their keys, and when they were written as `_arrived_at`.
    """

    place: str
    rows: list[int]
    versions: list[dict[str, Any]]


def feedback_of(plan: Plan, entity: Mapping[str, str], keys: pa.Table) -> Feedback | None:
    """What people wrote of an entity; None if nobody ever could write for the use case.

    Args:
        entity: as for `erase_batches`.
        keys: of what is its, too.

    Raises:
        Refused: the table has another key than the use case has now.
        Unavailable: the warehouse does not answer.
    """
    place = f"feedback.{plan.name}"
    with (
        connect(plan.settings, "publisher") as connection,
        translated(f"looking for an entity in {place}"),
    ):
        table = feedback_as(connection, plan.name)
        if table is None:
            return None
        kinds = {column.name: column.kind for column in table.key}
        if {*keys.column_names} != {*kinds}:
            raise Refused(
                f"{place} was made for the key {', '.join(kinds)}, and the key is "
                f"{', '.join(keys.column_names)} now: what is there cannot be told by it.",
                "Take back the change of entity.key, or name the use case anew with it.",
            )
        known = {n: value_of(kinds[n], v) if n in kinds else None for n, v in entity.items()}
        gone = None if None in known.values() else _Gone.of([*known], kinds, [known])
        query = sql.SQL(
            "SELECT feedback_id, labelled_at, {}, {} FROM {} ORDER BY feedback_id"
        ).format(gone.same if gone else sql.SQL("false"), table.key_columns, table.name)
        found = connection.execute(query, known if gone else None).fetchall()
    of_keys = {tuple(key[name] for name in kinds) for key in keys.to_pylist()}
    rows, versions = [], []
    for number, written_at, named, *key in found:
        if named or tuple(key) in of_keys:
            rows.append(number)
            versions.append({**dict(zip(kinds, key, strict=True)), "_arrived_at": written_at})
    return Feedback(place, rows, versions)


def erase_feedback(plan: Plan, feedback: Feedback) -> None:
    """Delete what people wrote of an entity, and the pages of the files that held it.

    Raises:
        Unavailable: the warehouse does not answer, or a lock was not given.
    """
    table = sql.Identifier("feedback", plan.name)
    with (
        connect(plan.settings, "publisher") as connection,
        translated(f"erasing from {feedback.place}"),
    ):
        delete = sql.SQL("DELETE FROM {} WHERE feedback_id = ANY(%s)").format(table)
        connection.execute(delete, [feedback.rows])
        connection.execute(sql.SQL("VACUUM (FULL, ANALYZE) {}").format(table))


@dataclass(frozen=True)
class _Gone:
    """Values of some columns, and the condition that a row has one of them."""

    same: sql.Composed
    values: list[dict[str, Any]]

    @classmethod
    def of(
        cls, columns: list[str], kinds: Mapping[str, Kind], values: list[dict[str, Any]]
    ) -> _Gone:
        each = (
            sql.SQL("{} = {}::{}").format(
                sql.Identifier(name), sql.Placeholder(name), SQL_TYPES[kinds[name]]
            )
            for name in columns
        )
        return cls(sql.SQL(" AND ").join(each), values)


def _batches(connection: Connection, table: PublishedTable) -> list[tuple[int, dt.date]]:
    """The batches that are kept, and what date each is of."""
    there = connection.execute(
        "SELECT b.batch_id, b.prediction_date FROM daybreak.batches b "
        "JOIN pg_class c ON c.relname = '_' || b.batch_id || '_' || b.use_case "
        "AND c.relnamespace = 'batches'::regnamespace "
        "WHERE b.use_case = %s ORDER BY b.batch_id",
        [table.use_case],
    )
    return [(row[0], row[1]) for row in there]


def _erase(connection: Connection, table: PublishedTable, batch_id: int, gone: list[_Gone]) -> int:
    partition, deleted = table.partition(batch_id), 0
    with connection.transaction(), connection.cursor() as cursor:
        for each in gone:
            where = sql.SQL("DELETE FROM {} WHERE {}").format(partition, each.same)
            cursor.executemany(where, each.values)
            deleted += max(cursor.rowcount, 0)
        left = of_batch(connection, table, batch_id)
        connection.execute(
            "UPDATE daybreak.batches SET rows = %s, checksum = %s WHERE batch_id = %s",
            [left.rows, left.checksum, batch_id],
        )
    # A deleted row stays in its page until the table is written anew; also one that a run deleted
    # which was killed before this.
    connection.execute(sql.SQL("VACUUM (FULL, ANALYZE) {}").format(partition))
    return deleted
