"""What several people wrote of the same entities, by which their agreement is measured."""

from __future__ import annotations

import datetime as dt

from psycopg import sql

from jobs.plan import Plan
from jobs.prediction.feedback_table import FeedbackTable
from jobs.prediction.warehouse import connect, one, translated


def labelled_twice(plan: Plan, known_at: dt.datetime) -> dict[tuple[str, ...], int]:
    """The labels of each entity that two or more people labelled, and how many have the very same.

    Of each person what was said last counts, and who took it back has said nothing.

    Args:
        known_at: what was written later is not looked at.

    Raises:
        Unavailable: the warehouse does not answer.
    """
    table = FeedbackTable.of(plan)
    doing = f"reading feedback.{table.use_case}"
    with connect(plan.settings, "publisher") as connection, translated(doing):
        if one(connection, "SELECT to_regclass(%s)", [table.name.as_string(connection)])[0] is None:
            return {}
        found = connection.execute(_query(table), {"known_at": known_at}).fetchall()
    return {tuple(labels): rows for labels, rows in found}


def _query(table: FeedbackTable) -> sql.Composed:
    return sql.SQL(
        "WITH latest AS (SELECT DISTINCT ON ({key}, labelled_by) {key}, label FROM {table} "
        "WHERE labelled_at < %(known_at)s "
        "ORDER BY {key}, labelled_by, feedback_id DESC), "
        "entities AS (SELECT array_agg(label::text ORDER BY label::text) AS labels FROM latest "
        "WHERE label IS NOT NULL GROUP BY {key}) "
        "SELECT labels, count(*) FROM entities WHERE cardinality(labels) > 1 GROUP BY labels"
    ).format(key=table.key_columns, table=table.name)
