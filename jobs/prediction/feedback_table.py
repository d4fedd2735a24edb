"""The table `feedback.USE_CASE` of the warehouse, in which people write labels.

They add rows and change none. Its columns: the entity's key, and `prediction_date` where the entity
has its date beside the key; `label`, in the type that a prediction
is published in, null where a label is taken back; `labelled_by`, the Postgres role unless the
writer says who it is; `labelled_at`, which only the warehouse's clock sets; `feedback_id`.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql
from psycopg.types.json import Jsonb

from jobs.errors import Refused
from jobs.plan import Plan
from jobs.prediction.published_table import KINDS, SQL_TYPES, Column, Kind
from jobs.prediction.warehouse import Connection, translated


@dataclass(frozen=True)
class FeedbackTable:
    """What people may write for a use case.

    Attributes:
        use_case: names the table.
        key: columns that name what a label is of: the entity's key, and its date if it has one.
        label: the kind of its values.
        classes: the only labels that there are; none where the kind says it all.
    """

    use_case: str
    key: tuple[Column, ...]
    label: Kind
    classes: tuple[str, ...] = ()

    @classmethod
    def of(cls, plan: Plan) -> FeedbackTable:
        """What people may write for a plan's use case."""
        spec = plan.usecase
        source = spec.sources[spec.entity.source].columns
        key = tuple(
            Column(name, source[name].type if name in spec.entity.key else "date")
            for name in spec.entity.labelled
        )
        return cls(spec.name, key, spec.label.kind.prediction, spec.label.classes)

    @property
    def name(self) -> sql.Identifier:
        return sql.Identifier("feedback", self.use_case)

    @property
    def key_columns(self) -> sql.Composed:
        """The key's columns, with commas between them."""
        return sql.SQL(", ").join(sql.Identifier(column.name) for column in self.key)


def ensure_feedback(connection: Connection, table: FeedbackTable) -> None:
    """Make a use case's table, or let it take the classes that its file has now.

    Labels of a class that is gone stay in it.

    Raises:
        Refused: the table has another key, or labels of another type.
    """
    with translated(f"preparing feedback.{table.use_case}"), connection.transaction():
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"daybreak:feedback:{table.use_case}"],
        )
        known = feedback_as(connection, table.use_case)
        if known == table:
            return
        if known is None:
            for statement in created(table):
                connection.execute(statement)
        else:
            require_same(known, table)
            for statement in reclassed(table):
                connection.execute(statement)
        _record(connection, table)


def feedback_as(connection: Connection, use_case: str) -> FeedbackTable | None:
    """What the warehouse's table of a use case takes, or None if there is none; for publishers."""
    row = connection.execute(
        "SELECT key, label, classes FROM daybreak.feedback WHERE use_case = %s", [use_case]
    ).fetchone()
    if row is None:
        return None
    key = tuple(Column(name, KINDS[kind]) for name, kind in row[0])
    return FeedbackTable(use_case, key, KINDS[row[1]], tuple(row[2]))


def require_same(known: FeedbackTable, wanted: FeedbackTable) -> None:
    """Raise `Refused` unless a table can take what is declared now."""
    problems = []
    if known.key != wanted.key:
        was, now = _described(known), _described(wanted)
        problems.append(f"the key is ({now}) and was ({was})")
    if known.label != wanted.label:
        problems.append(f"a label is {wanted.label} and was {known.label}")
    if problems:
        raise Refused(
            f"feedback.{wanted.use_case} holds labels of another kind: {'; '.join(problems)}.",
            "Take the change back, or declare it under a new use-case name, which gets a table of "
            "its own.",
        )


def created(table: FeedbackTable) -> list[sql.Composed]:
    """The statements that make a table, and say who may write what into it."""
    key = [
        sql.SQL("{} {} NOT NULL{}").format(sql.Identifier(c.name), SQL_TYPES[c.kind], _sound(c))
        for c in table.key
    ]
    make = sql.SQL(
        "CREATE TABLE {} (feedback_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {}, "
        "label {}, labelled_by text NOT NULL DEFAULT current_user, "
        "labelled_at timestamptz NOT NULL DEFAULT clock_timestamp())"
    ).format(table.name, sql.SQL(", ").join(key), SQL_TYPES[table.label])
    # No other columns: a row's moment and number are the warehouse's own.
    write = sql.SQL("GRANT INSERT ({}, label, labelled_by) ON {} TO daybreak_labeller").format(
        table.key_columns, table.name
    )
    read = sql.SQL("GRANT SELECT ON {} TO daybreak_labeller, daybreak_reader").format(table.name)
    return [make, *_possible(table), write, read]


def _sound(column: Column) -> sql.Composable:
    """That a day is one that Spark and Python know, too: not `infinity`, nor before the year 1."""
    if column.kind not in ("date", "timestamp"):
        return sql.SQL("")
    return sql.SQL(" CHECK ({} BETWEEN '0001-01-02' AND '9999-12-30')").format(
        sql.Identifier(column.name)
    )


def reclassed(table: FeedbackTable) -> list[sql.Composed]:
    """The statements that let a table take other classes from now on."""
    drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT label_is_possible").format(table.name)
    return [drop, *_possible(table)]


def _possible(table: FeedbackTable) -> list[sql.Composed]:
    """That a label is one: a class, or a finite number. Null, which takes one back, is let by."""
    if table.label == "number":
        check = sql.SQL("label NOT IN ('NaN', 'Infinity', '-Infinity')").format()
    elif table.classes:
        listed = sql.SQL(", ").join(map(sql.Literal, table.classes))
        check = sql.SQL("label IN ({})").format(listed)
    else:
        return []
    # Not valid: of rows that are there already nothing is said.
    statement = "ALTER TABLE {} ADD CONSTRAINT label_is_possible CHECK ({}) NOT VALID"
    return [sql.SQL(statement).format(table.name, check)]


def _record(connection: Connection, table: FeedbackTable) -> None:
    connection.execute(
        "INSERT INTO daybreak.feedback (use_case, key, label, classes) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (use_case) DO UPDATE SET classes = excluded.classes, updated_at = now()",
        [
            table.use_case,
            Jsonb([[column.name, column.kind] for column in table.key]),
            table.label,
            Jsonb(list(table.classes)),
        ],
    )


def _described(table: FeedbackTable) -> str:
    return ", ".join(f"{column.name} {column.kind}" for column in table.key)
