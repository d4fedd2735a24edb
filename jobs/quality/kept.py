"""What gates said, kept beside the tables: as JSON for programs, as a page for people.

Plain files, without Spark or Great Expectations: whoever only shows them reads them here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.lake import files

FOLDER = "_gates"


@dataclass(frozen=True)
class GateAnswer:
    """What a gate said of one table's rows of some dates.

    Attributes:
        table: such as `silver.actuals`.
        batch: the dates of the run.
        passed: whether the rows were let through.
        rows: how many there were.
        checked_at: when, in UTC.
        page: where the whole of it is written for people.
    """

    table: str
    batch: str
    passed: bool
    rows: int
    checked_at: str
    page: str


def last_answers(root: str) -> list[GateAnswer]:
    """The newest answer for each table of the use case whose lake is at `root`, oldest first."""
    newest: dict[str, GateAnswer] = {}
    for answer in _answers(root, ".json"):
        newest[answer.table] = answer
    return sorted(newest.values(), key=lambda answer: answer.checked_at)


def answers_of(root: str, batch: str) -> list[GateAnswer]:
    """The answers for the tables of one batch, in the order in which they were given."""
    # Found among the names that are there: it may come from outside, and makes no path.
    return _answers(root, f"/{batch}.json")


def _answers(root: str, ending: str) -> list[GateAnswer]:
    """The answers in all files whose paths end so, oldest first."""
    folders = files.list_folder(f"{root}/{FOLDER}")
    paths = (path for folder in folders for path in files.list_folder(folder))
    found = [_answer(path) for path in paths if path.endswith(ending)]
    return sorted((each for each in found if each), key=lambda answer: answer.checked_at)


def _answer(path: str) -> GateAnswer | None:
    found = files.read_json(path)
    if found is None:
        return None
    batch = path.rsplit("/", 1)[1].removesuffix(".json")
    return GateAnswer(
        found["table"], batch, found["passed"], found["rows"], found["checked_at"], found["page"]
    )


def keep(root: str, batch: str, answer: Mapping[str, Any], page: str) -> str:
    """Write an answer and its page; gives the page's path."""
    path = page_of(root, answer["table"], batch)
    checked_at = dt.datetime.now(dt.UTC)
    files.write_text(path, page)
    files.write_json(
        path.removesuffix(".html") + ".json", {**answer, "checked_at": checked_at, "page": path}
    )
    return path


def page_of(root: str, table: str, batch: str) -> str:
    """Where the page of a table's validation for some dates is, or will be."""
    return f"{root}/{FOLDER}/{table}/{batch}.html"
