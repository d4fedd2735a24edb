"""The labels that people wrote into the warehouse, as they are taken into the lake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from jobs.lake.made import WHOLE, Inputs, Made
from jobs.lake.tables import Tables
from jobs.lake.tombstones import Tombstones
from jobs.plan import Plan
from jobs.prediction.feedback_table import FeedbackTable, ensure_feedback
from jobs.prediction.warehouse import Connection, connect, one, translated

NO_CLASS = "whose label is none of label.classes any more"
ERASED = "of what was erased"


@dataclass(frozen=True)
class Given:
    """Rows that people wrote.

    Attributes:
        rows: in the order in which they were written: what it is of, `label` as it is in
            `gold.labels`, `_arrived_at`, `_given` (the row's number).
        left_out: how many more there are that are not taken in, by what is to be said of them.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    left_out: Mapping[str, int] = field(default_factory=dict)


def by_part(plan: Plan) -> dict[str, Inputs]:
    """What people wrote for each part of `gold.labels`: something else as soon as there is more.

    The table is made if it is not there yet. A part of which they wrote something that is gone, as
    it is after an erasure, is there too.

    Raises:
        Refused: the table has another key, or labels of another type.
        Unavailable: the warehouse does not answer.
    """
    table = FeedbackTable.of(plan)
    with connect(plan.settings, "publisher") as connection:
        ensure_feedback(connection, table)
        counted = _counted(connection, plan, table)
    if not plan.usecase.sources[plan.usecase.label.source].is_daily:
        return {WHOLE: counted}
    taken = Made(Tables(plan).labels()).inputs()
    gone: dict[str, Inputs] = {part: {} for part, each in taken.items() if each.get("feedback")}
    return {**gone, **counted}


def given(plan: Plan, parts: Mapping[str, Inputs]) -> Given:
    """The rows that people wrote for some parts of `gold.labels`.

    Args:
        parts: what they are made of, as `jobs.learning.labels.made_of` says it.

    Raises:
        Unavailable: the warehouse does not answer.
    """
    days = sorted(part for part, inputs in parts.items() if inputs.get("feedback"))
    if not days:
        return Given()
    table = FeedbackTable.of(plan)
    query = sql.SQL(
        "SELECT {}, label, labelled_at AS _arrived_at, feedback_id AS _given FROM {} "
        "WHERE %(whole)s::boolean OR {} = ANY(%(days)s::text[]) ORDER BY feedback_id"
    ).format(table.key_columns, table.name, _day(plan))
    doing = f"reading feedback.{table.use_case}"
    with connect(plan.settings, "publisher") as connection, translated(doing):
        cursor = connection.cursor(row_factory=dict_row)
        found = cursor.execute(query, {"whole": WHOLE in days, "days": days}).fetchall()
    return sorted_out(plan, found)


def sorted_out(plan: Plan, found: Iterable[dict[str, Any]]) -> Given:
    """What of some rows is taken in: not those of what was erased, nor of classes that are gone."""
    entity, classes = plan.usecase.entity, plan.usecase.label.classes
    gathered = plan.usecase.label.gathered
    # By the names that an erasure may know them by.
    named = {name: name for name in entity.key}
    if entity.date is not None:
        named.setdefault(entity.date, "prediction_date")
    columns = plan.usecase.sources[entity.source].columns
    key = {name: columns[name] for name in named}
    erased = Tombstones.read(Tables(plan).root).of(key)
    rows: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for row in found:
        # It may have been a class of its own when it was written.
        label = gathered.get(row["label"], row["label"])
        if erased.has({name: str(row[ours]) for name, ours in named.items()}, key):
            left_out[ERASED] += 1
        elif classes and label is not None and label not in classes:
            left_out[NO_CLASS] += 1
        else:
            # Yes and no are numbers in gold.
            rows.append({**row, "label": float(label) if isinstance(label, bool) else label})
    return Given(rows, left_out)


def waiting(plan: Plan) -> int | None:
    """How many rows the next night takes in; None if people write no labels for the use case.

    Raises:
        Unavailable: the warehouse does not answer.
    """
    if not plan.usecase.label.feedback:
        return None
    table = FeedbackTable.of(plan)
    with connect(plan.settings, "reader") as connection:
        there = one(connection, "SELECT to_regclass(%s)", [table.name.as_string(connection)])[0]
        counted = _counted(connection, plan, table) if there else {}
    taken = {
        date: rows
        for part, inputs in Made(Tables(plan).labels()).inputs().items()
        for date, rows in _by_date(part, inputs.get("feedback", {})).items()
    }
    new = (int(each["rows"]) - taken.get(date, 0) for date, each in counted.items())
    return sum(max(rows, 0) for rows in new)


def _by_date(part: str, noted: Inputs) -> dict[str, int]:
    """How many rows a part of `gold.labels` was made of, by their dates."""
    by_date = noted if part == WHOLE else {part: noted}
    return {date: each["rows"] for date, each in by_date.items() if each}


def _day(plan: Plan) -> sql.Composed:
    """The prediction date of a row as text; the same of all where entities have none."""
    entity = plan.usecase.entity
    if entity.date is None:
        return sql.SQL("{}::text").format(sql.Literal(WHOLE))
    day = entity.date if entity.date in entity.key else "prediction_date"
    return sql.SQL("{}::text").format(sql.Identifier(day))


def _counted(connection: Connection, plan: Plan, table: FeedbackTable) -> dict[str, Inputs]:
    """By date as `_day` has it, how many rows there are, and a digest of which they are."""
    query = sql.SQL(
        "SELECT {}, count(*), md5(string_agg(feedback_id::text, ',' ORDER BY feedback_id)) "
        "FROM {} GROUP BY 1"
    ).format(_day(plan), table.name)
    with translated(f"counting feedback.{table.use_case}"):
        found = connection.execute(query).fetchall()
    return {date: {"rows": rows, "digest": digest} for date, rows, digest in found}
