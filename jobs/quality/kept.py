"""What gates said, kept beside the tables: as JSON for programs, as a page for people.

Each validation has its own: that of a night that was refused stays when the night passes later.
Plain files, without Spark or Great Expectations: whoever only shows them reads them here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.lake import files

FOLDER = "_gates"
# In a name, between the dates and the moment of the validation.
BETWEEN = "_at_"


@dataclass(frozen=True)
class GateAnswer:
    """What a gate said of one table's rows of some dates.

    Attributes:
        table: such as `silver.actuals`.
        batch: the dates of the run.
        passed: whether the rows were let through.
        rows: how many there were.
        checked_at: when, in UTC.
        name: of this validation among those of the table.
        page: where the whole of it is written for people.
    """

    table: str
    batch: str
    passed: bool
    rows: int
    checked_at: str
    name: str
    page: str


def last_answers(root: str) -> list[GateAnswer]:
    """The newest answer for each table of the use case whose lake is at `root`, oldest first."""
    return _in_order(max(paths, key=_moment) for paths in _by_table(root) if paths)


def answers_of(root: str, batch: str) -> list[GateAnswer]:
    """The answers for the tables of one batch, in the order in which they were given."""
    # Found among the names that are there: it may come from outside, and makes no path.
    return _in_order(path for paths in _by_table(root) for path in paths if _batch(path) == batch)


def _by_table(root: str) -> Iterator[list[str]]:
    """The paths of all answers, table by table."""
    for folder in files.list_folder(f"{root}/{FOLDER}"):
        yield [path for path in files.list_folder(folder) if path.endswith(".json")]


def _in_order(paths: Iterable[str]) -> list[GateAnswer]:
    """The answers in some files, oldest first."""
    found = [answer for path in paths if (answer := _answer(path))]
    return sorted(found, key=lambda answer: answer.checked_at)


def _answer(path: str) -> GateAnswer | None:
    found = files.read_json(path)
    if found is None:
        return None
    stem = path.removesuffix(".json")
    return GateAnswer(
        found["table"],
        _batch(path),
        found["passed"],
        found["rows"],
        found["checked_at"],
        stem.rsplit("/", 1)[1],
        f"{stem}.html",
    )


def _batch(path: str) -> str:
    return path.rsplit("/", 1)[1].partition(BETWEEN)[0]


def _moment(path: str) -> str:
    return path.rpartition(BETWEEN)[2]


def keep(root: str, batch: str, answer: Mapping[str, Any], page: str) -> str:
    """Write an answer and its page; gives the page's path."""
    checked_at = dt.datetime.now(dt.UTC)
    path = f"{root}/{FOLDER}/{answer['table']}/{batch}{BETWEEN}{checked_at:%Y%m%dT%H%M%S%fZ}"
    files.write_text(f"{path}.html", page)
    files.write_json(f"{path}.json", {**answer, "checked_at": checked_at})
    return f"{path}.html"
