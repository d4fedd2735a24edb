"""Wrong files, each made of a night's good one and of that of the day before."""

from __future__ import annotations

import datetime as dt
import re
import string
from collections.abc import Callable

import numpy as np

from jobs.datetime_format import DatetimeFormat
from jobs.drill.paper import Paper

SEED = 20130101
IMPOSSIBLE = 999_999_999

Plant = Callable[[Paper, Paper], bytes]


def _changed(column: str, change: Callable[[int, str | None], str | None]) -> Plant:
    def plant(paper: Paper, _: Paper) -> bytes:
        return paper.written(
            [{**row, column: change(n, row[column])} for n, row in enumerate(paper.rows)]
        )

    return plant


def each(column: str, change: Callable[[str], str]) -> Plant:
    """Every value of a column changed, but for missing ones."""
    return _changed(column, lambda _, value: None if value is None else change(value))


def scaled(column: str, factor: float, shift: float) -> Plant:
    """A column in another unit; what is no number stays."""

    def another(value: str) -> str:
        try:
            number = float(value) * factor + shift
        except ValueError:
            return value
        return str(round(number)) if re.fullmatch(r"-?\d+", value) else f"{number:.2f}"

    return each(column, another)


def nulls(column: str, share: float) -> Plant:
    """A share of a column's values missing."""
    chance = np.random.default_rng(SEED)
    return _changed(column, lambda _, value: None if chance.random() < share else value)


def stuck(column: str) -> Plant:
    """A column that says the same in every row."""

    def plant(paper: Paper, before: Paper) -> bytes:
        values = (row[column] for row in paper.rows)
        first = next((value for value in values if value is not None), "0")
        return each(column, lambda _: first)(paper, before)

    return plant


def impossible(column: str) -> Plant:
    """A number in every twentieth row that no bound allows."""
    return _changed(column, lambda n, value: str(IMPOSSIBLE) if n % 20 == 0 else value)


def flood(column: str) -> Plant:
    """A column with as many values as rows."""
    chance = np.random.default_rng(SEED)
    kinds = (string.ascii_uppercase, string.ascii_lowercase, string.digits)

    def another(value: str) -> str:
        # Of the same shape, so that no pattern sees it.
        alphabets = (next((kind for kind in kinds if letter in kind), letter) for letter in value)
        return "".join(alphabet[chance.integers(len(alphabet))] for alphabet in alphabets)

    return each(column, another)


def cut_off(paper: Paper, _: Paper) -> bytes:
    """The file's beginning."""
    whole = paper.written()
    return whole[: int(len(whole) * 0.6) + 1]


def wrong_encoding(paper: Paper, _: Paper) -> bytes:
    """The text in UTF-16."""
    return b"\xff\xfe" + paper.written().decode(errors="replace").encode("utf-16-le")


def renamed(paper: Paper, _: Paper) -> bytes:
    """The last column under another name."""
    return paper.written(headers=[*paper.headers[:-1], f"{paper.headers[-1]}_v2"])


def dropped(paper: Paper, _: Paper) -> bytes:
    """Without the last column."""
    columns = list(paper.spec.columns)[:-1]
    less = {name: paper.spec.columns[name] for name in columns}
    spec = paper.spec.model_copy(update={"columns": less})
    rows = tuple({name: row[name] for name in columns} for row in paper.rows)
    return Paper(paper.name, spec, paper.headers[:-1], rows).written()


def leaked(extra: str) -> Plant:
    """With a column more."""
    return lambda paper, _: paper.written([{**row, extra: "1"} for row in paper.rows])


def stale(_: Paper, before: Paper) -> bytes:
    """The file of the day before."""
    return before.written()


def duplicates(paper: Paper, _: Paper) -> bytes:
    """Keys that come again, with other values."""
    key, date = paper.spec.key, paper.spec.date
    other = next((n for n in paper.spec.columns if n not in key and n != date), None)
    again = [dict(row) for row in paper.rows[::10]]
    for row, donor in zip(again, paper.rows[5::10], strict=False):
        if other:
            row[other] = donor[other]
    return paper.written([*paper.rows, *again])


def next_year(column: str) -> Plant:
    """A column of dates that are a year later."""

    def plant(paper: Paper, before: Paper) -> bytes:
        by = paper.spec.columns[column].written
        return each(column, _in_format(by) if by else later)(paper, before)

    def later(value: str) -> str:
        # Also of a moment, whose first ten characters are its day.
        try:
            return f"{dt.date.fromisoformat(value[:10]) + dt.timedelta(days=365)}{value[10:]}"
        except ValueError:
            return value

    return plant


def _in_format(by: DatetimeFormat) -> Callable[[str], str]:
    place = 1 + [sign.part for sign in by.signs].index("year")

    def later(value: str) -> str:
        if (found := re.fullmatch(by.shape, value)) is None:
            return value
        begin, end = found.span(place)
        return f"{value[:begin]}{int(found[place]) + 1:0{end - begin}}{value[end:]}"

    return later


def half(paper: Paper, _: Paper) -> bytes:
    """The first half of the rows."""
    return paper.written(paper.rows[: len(paper.rows) // 2])
