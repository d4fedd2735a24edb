"""Look up one prediction: a prepared statement, and a cache that is never stale for long.

An answer that was cached is given only while its batch was live at a check that began at most
`max_staleness` seconds ago (one second unless told otherwise). So for that long at most after a
publication or a rollback an answer of the batch before may be given, and never after.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import psycopg
from psycopg import sql

from jobs.errors import Refused, WrongUsage
from jobs.prediction.key import Key, completed, described, understood
from jobs.prediction.published_table import PublishedTable, published_as
from jobs.prediction.warehouse import Connection, connect, explained, translated
from jobs.settings import Settings

_Asked = tuple[dt.date | None, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a key; an unknown key is an answer too, with `found` False.

    `score` is the probability of yes and `prediction` whether it counts as yes; or both are the
    predicted number, with the ends of its interval among `columns` if there is one; or `prediction`
    is the class that is said and `score` its probability, with those of all classes among
    `columns`. That is what is published beside it. `batch_id`,
    `model_version` and `published_at` are of the batch that was asked, and None if no batch is
    live for the date; `age_seconds` is the time since it was published.
    """

    found: bool
    key: Mapping[str, Any]
    prediction_date: dt.date | None
    score: float | None = None
    prediction: bool | float | str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    model_version: int | None = None
    batch_id: int | None = None
    published_at: dt.datetime | None = None
    age_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class _Live:
    date: dt.date | None
    batch_id: int | None
    model_version: int | None
    published_at: dt.datetime | None
    checked_at: float


class Lookup:
    """A client for one use case, as daybreak_reader. Threads may share it; use `with` to close it.

    Args:
        max_staleness: seconds for which the live batch is not asked for again.
        cached: most answers kept, and most dates whose live batch is remembered.

    Raises:
        Refused: the use case was never published.
        Unavailable: the warehouse does not answer.
    """

    def __init__(
        self,
        settings: Settings,
        use_case: str,
        *,
        max_staleness: float = 1.0,
        cached: int = 100_000,
    ) -> None:
        self._settings = settings
        self._max_staleness = max_staleness
        self._cached = cached
        self._lock = threading.RLock()
        self._answers: OrderedDict[_Asked, Answer] = OrderedDict()
        self._live: OrderedDict[dt.date | None, _Live] = OrderedDict()
        self._statements: OrderedDict[int, bytes] = OrderedDict()
        self._connection = self._connect()
        with translated(f"opening a lookup of {use_case}"):
            table = published_as(self._connection, use_case)
        if table is None:
            self._connection.close()
            raise Refused(
                f"Use case {use_case!r} was never published.",
                "Publish it first: `daybreak run publish`.",
            )
        self._table = table
        self._names = tuple(column.name for column in table.key)
        self._columns = tuple(column.name for column in table.columns)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    @property
    def table(self) -> PublishedTable:
        """The key columns and what is published, as the catalog says."""
        return self._table

    def get(self, key: Key, date: dt.date | None = None) -> Answer:
        """The prediction for `key` on `date`, or on the newest live date.

        The key is a mapping by column, or the values in the key's order. Where a key column is
        the prediction date it may be left out of a mapping; where it is given, it is the date.

        Raises:
            WrongUsage: the key lacks a column, has another one, or a value of another type.
            Unavailable: the warehouse does not answer.
        """
        values, date = understood(self._table, key, date)
        with self._lock:
            live = self._live_batch(date)
            cached = self._answers.get((date, values))
            if cached is not None and cached.batch_id == live.batch_id:
                self._answers.move_to_end((date, values))
                return replace(cached, age_seconds=_age(live))
            return self._remember((date, values), self._asked(values, date, live))

    def _asked(self, values: tuple[Any, ...], date: dt.date | None, live: _Live) -> Answer:
        row = self._row(values, live)
        if row is None and live.batch_id is not None:
            # The key is unknown, or the batch is no longer live: the newest pointer tells.
            self._live.pop(date, None)
            newest = self._live_batch(date)
            if newest.batch_id != live.batch_id:
                live = newest
                row = self._row(values, live)
        score, prediction, *columns = row or (None, None)
        return Answer(
            found=row is not None,
            key=dict(zip(self._names, completed(self._table, values, live.date), strict=True)),
            prediction_date=live.date,
            score=score,
            prediction=prediction,
            columns=dict(zip(self._columns, columns, strict=False)),
            model_version=live.model_version,
            batch_id=live.batch_id,
            published_at=live.published_at,
            age_seconds=_age(live),
        )

    def _remember(self, asked: _Asked, answer: Answer) -> Answer:
        self._answers[asked] = answer
        self._answers.move_to_end(asked)
        while len(self._answers) > self._cached:
            self._answers.popitem(last=False)
        return answer

    def _live_batch(self, date: dt.date | None) -> _Live:
        known = self._live.get(date)
        now = time.monotonic()
        if known is not None and now - known.checked_at < self._max_staleness:
            return known
        rows = self._query(
            b"SELECT prediction_date, batch_id, model_version, published_at "
            b"FROM predictions._live WHERE use_case = %s "
            + (b"" if date is None else b"AND prediction_date = %s ")
            + b"ORDER BY prediction_date DESC LIMIT 1",
            [self._table.use_case] if date is None else [self._table.use_case, date],
        )
        # The moment before asking counts: the answer may have been on its way for a while.
        row = rows[0] if rows else (date, None, None, None)
        live = _Live(row[0], row[1], row[2], row[3], now)
        self._live[date] = live
        self._live.move_to_end(date)
        while len(self._live) > self._cached:
            self._live.popitem(last=False)
        return live

    def _row(self, values: tuple[Any, ...], live: _Live) -> tuple[Any, ...] | None:
        if live.batch_id is None:
            return None
        asked = completed(self._table, values, live.date)
        rows = self._query(self._statement(live, live.batch_id), asked)
        return rows[0] if rows else None

    def _statement(self, live: _Live, batch_id: int) -> bytes:
        # The batch is written into the statement, one prepared for each live batch: so Postgres
        # plans it on that partition alone, and not on those of all dates.
        if batch_id not in self._statements:
            columns = ["score", "prediction", *self._columns]
            found = (
                sql.SQL("SELECT {} FROM {} WHERE prediction_date = {} AND batch_id = {}")
                .format(
                    sql.SQL(", ").join(map(sql.Identifier, columns)),
                    sql.Identifier("predictions", self._table.use_case),
                    sql.Literal(live.date),
                    sql.Literal(batch_id),
                )
                .as_bytes(self._connection)
            )
            names = [sql.Identifier(name).as_bytes(self._connection) for name in self._names]
            # Percent signs in names are not places for values.
            self._statements[batch_id] = found.replace(b"%", b"%%") + b"".join(
                b" AND " + name.replace(b"%", b"%%") + b" = %s" for name in names
            )
            while len(self._statements) > 64:
                self._statements.popitem(last=False)
        return self._statements[batch_id]

    def _query(self, statement: bytes, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        for last in (False, True):
            try:
                return self._connection.execute(statement, values, prepare=True).fetchall()
            except psycopg.DataError as error:
                raise WrongUsage(
                    f"The key has a value that {self._table.use_case} does not take: {error}.",
                    f"The key is {described(self._table)}.",
                ) from error
            except psycopg.Error as error:
                if last or not self._connection.closed:
                    raise explained(error, f"looking up {self._table.use_case}") from error
                self._connection = self._connect()
        raise AssertionError("the loop returns or raises")

    def _connect(self) -> Connection:
        return connect(self._settings, "reader", application="daybreak lookup")


def _age(live: _Live) -> float | None:
    if live.published_at is None:
        return None
    return (dt.datetime.now(dt.UTC) - live.published_at).total_seconds()
