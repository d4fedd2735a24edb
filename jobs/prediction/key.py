"""The key of a lookup as a person or a program gives it, made into the key as it is published."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobs.errors import WrongUsage
from jobs.prediction.published_table import Column, PublishedTable

Key = Mapping[str, Any] | Sequence[Any]


def understood(
    table: PublishedTable, key: Key, date: dt.date | None
) -> tuple[tuple[Any, ...], dt.date | None]:
    """The key's values in the table's order, and the prediction date asked for.

    A key column that is the prediction date is None among the values if neither `key` nor `date`
    gives it. Texts are taken for every kind of column, dates and times in ISO 8601.

    Raises:
        WrongUsage: a column is missing, unknown or of another type, or two dates are given.
    """
    given = _by_name(table, key)
    values = tuple(
        _value(table, column, given[column.name]) if column.name in given else None
        for column in table.key
    )
    if table.date_column is None:
        return values, date
    place = position(table)
    if values[place] is not None and date is not None and values[place] != date:
        raise _wrong(table, f"is for {values[place]} and the date asked for is {date}")
    return completed(table, values, date), values[place] or date


def completed(
    table: PublishedTable, values: tuple[Any, ...], date: dt.date | None
) -> tuple[Any, ...]:
    """The key's values with the prediction date in its place, where the key has one."""
    if table.date_column is None or date is None:
        return values
    place = position(table)
    return (*values[:place], values[place] or date, *values[place + 1 :])


def position(table: PublishedTable) -> int:
    """Where in the key the prediction date stands."""
    return [column.name for column in table.key].index(str(table.date_column))


def described(table: PublishedTable) -> str:
    """The key's columns and kinds, for a person."""
    return ", ".join(f"{column.name} ({column.kind})" for column in table.key)


def _by_name(table: PublishedTable, key: Key) -> dict[str, Any]:
    names = [column.name for column in table.key]
    if isinstance(key, str):
        key = [key]
    if isinstance(key, Mapping):
        given = dict(key)
    elif len(key) == len(names):
        given = dict(zip(names, key, strict=True))
    else:
        raise _wrong(table, f"has {len(key)} values")
    missing = [name for name in names if name not in given and name != table.date_column]
    unknown = [str(name) for name in given if name not in names]
    if missing or unknown:
        raise _wrong(table, f"lacks {missing or 'nothing'} and has unknown {unknown or 'nothing'}")
    return given


def _value(table: PublishedTable, column: Column, given: Any) -> Any:
    convert, types = KINDS[column.kind]
    if isinstance(given, str) and column.kind != "string":
        try:
            return convert(given)
        except ValueError as error:
            raise _wrong(table, f"has {column.name} {given!r}") from error
    if type(given) not in types:
        raise _wrong(table, f"has {column.name} {given!r}")
    return given


def _moment(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("neither true nor false")
    return text.lower() == "true"


KINDS: dict[str, tuple[Callable[[str], Any], tuple[type, ...]]] = {
    "string": (str, (str,)),
    "integer": (int, (int,)),
    "number": (float, (float, int)),
    "boolean": (_truth, (bool,)),
    "date": (dt.date.fromisoformat, (dt.date,)),
    "timestamp": (_moment, (dt.datetime,)),
}


def _wrong(table: PublishedTable, what: str) -> WrongUsage:
    return WrongUsage(
        f"The key of {table.use_case} {what}.",
        f"The key is {described(table)}.",
    )
