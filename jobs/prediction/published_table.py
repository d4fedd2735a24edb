"""What a use case publishes, as a type; and the table and views that hold it in the warehouse.

Per use case there is one parent table `batches.<use_case>`, with a partition for each batch, and
two views in `predictions`. A row of the parent holds what differs from row to row; what a batch
has in common (model version, time of publication) is in its row of
`daybreak.live`, which the views see as `daybreak.seen`; the migration that makes it says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from psycopg import sql
from psycopg.types.json import Jsonb

from jobs.errors import Refused
from jobs.prediction.warehouse import Connection, translated

if TYPE_CHECKING:
    # Whoever looks a key up has no use case.
    from jobs.plan import Plan

Kind = Literal["string", "integer", "number", "boolean", "date", "timestamp"]
SQL_TYPES: dict[str, sql.SQL] = {
    "string": sql.SQL("text"),
    "integer": sql.SQL("bigint"),
    "number": sql.SQL("double precision"),
    "boolean": sql.SQL("boolean"),
    "date": sql.SQL("date"),
    "timestamp": sql.SQL("timestamptz"),
}
# Kinds of features that are not published as text.
PUBLISHED_AS: dict[str, Kind] = {"number": "number", "timestamp": "timestamp"}
LATEST = "_latest"
KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}


@dataclass(frozen=True)
class Column:
    """A published column: its name and the kind of its values."""

    name: str
    kind: Kind


OF_THE_BATCH = ("prediction_date", "model_version", "batch_id", "published_at")
RESERVED = {*OF_THE_BATCH, "score", "prediction"}


@dataclass(frozen=True)
class PublishedTable:
    """What is published for a use case.

    Attributes:
        use_case: names the views `predictions.<use_case>` and `predictions.<use_case>_latest`.
        key: columns that name one prediction of a date; unique in a batch.
        date_column: the key column that is the prediction date, if there is one.
        columns: further columns, which may be null.
        prediction: the kind of `prediction`, the column beside `score`.
    """

    use_case: str
    key: tuple[Column, ...]
    date_column: str | None = None
    columns: tuple[Column, ...] = ()
    prediction: Kind = "boolean"

    def __post_init__(self) -> None:
        names = [column.name for column in (*self.key, *self.columns)]
        problems = [f"{name!r} is a column of every batch" for name in RESERVED & set(names)]
        problems += [f"{n!r} is there twice" for n in sorted(set(names)) if names.count(n) > 1]
        long = [name for name in (*names, f"{self.use_case}{LATEST}") if len(name.encode()) > 63]
        problems += [f"{name!r} is longer than 63 bytes" for name in long]
        if self.use_case.endswith(LATEST) or self.use_case.startswith("_"):
            problems.append(f"a use case's name neither ends with {LATEST} nor begins with _")
        if not self.key:
            problems.append("there is no key column")
        if problems:
            raise Refused(
                f"Use case {self.use_case!r} cannot be published: {'; '.join(problems)}.",
                "Rename what it names in the use-case file.",
            )

    @classmethod
    def of(cls, plan: Plan) -> PublishedTable:
        """What a plan's use case publishes."""
        spec = plan.usecase
        source = spec.sources[spec.entity.source].columns
        kinds = spec.features.kinds
        return cls(
            use_case=spec.name,
            key=tuple(Column(name, source[name].type) for name in spec.entity.key),
            date_column=spec.entity.date if spec.entity.date in spec.entity.key else None,
            columns=(
                *(Column(name, "number") for name in spec.label.score_columns),
                *(Column(name, "number") for name in spec.predict.ends),
                *(
                    Column(name, PUBLISHED_AS.get(kinds[name], "string"))
                    for name in spec.predict.columns
                ),
            ),
            prediction=spec.label.kind.prediction,
        )

    @property
    def scores(self) -> tuple[Column, ...]:
        """What is said of each entity, never null."""
        return Column("score", "number"), Column("prediction", self.prediction)

    @property
    def stored(self) -> tuple[Column, ...]:
        """The columns that a row of a batch holds, in the order in which they are loaded."""
        return (*self.key, *self.scores, *self.columns)

    @property
    def parent(self) -> sql.Identifier:
        return sql.Identifier("batches", self.use_case)

    def partition(self, batch_id: int) -> sql.Identifier:
        return sql.Identifier("batches", partition_name(self.use_case, batch_id))


def partition_name(use_case: str, batch_id: int) -> str:
    """The name of a batch's partition; it begins unlike any use case's own table."""
    return f"_{batch_id}_{use_case}"


def ensure_use_case(connection: Connection, table: PublishedTable) -> None:
    """Make a use case's table and views, or add the columns that its file has gained.

    A column that the file has lost stays, and is null in new batches: what reads it goes on.

    Raises:
        Refused: the key is another one, or a column has another type, than what was published.
    """
    with translated(f"preparing predictions.{table.use_case}"), connection.transaction():
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"daybreak:use case:{table.use_case}"],
        )
        known = published_as(connection, table.use_case)
        if known is None:
            _create(connection, table)
            _record(connection, table)
        elif added := _added(known, table):
            wider = replace(known, columns=(*known.columns, *added))
            _add(connection, wider, added)
            _record(connection, wider)


def published_as(connection: Connection, use_case: str) -> PublishedTable | None:
    """What the warehouse holds for a use case, or None if it was never published.

    Works for every role: a reader sees the catalog of use cases through a view.
    """
    row = connection.execute(
        "SELECT key, date_column, columns, prediction FROM predictions._use_cases "
        "WHERE use_case = %s",
        [use_case],
    ).fetchone()
    if row is None:
        return None
    return PublishedTable(use_case, _columns(row[0]), row[1], _columns(row[2]), KINDS[row[3]])


def _columns(written: Sequence[Sequence[str]]) -> tuple[Column, ...]:
    return tuple(Column(name, KINDS[kind]) for name, kind in written)


def _added(known: PublishedTable, wanted: PublishedTable) -> tuple[Column, ...]:
    kinds = {column.name: column.kind for column in known.columns}
    problems = [
        f"column {column.name!r} is {column.kind} and was {kinds[column.name]}"
        for column in wanted.columns
        if kinds.get(column.name, column.kind) != column.kind
    ]
    if known.prediction != wanted.prediction:
        problems.append(f"column 'prediction' is {wanted.prediction} and was {known.prediction}")
    if known.key != wanted.key or known.date_column != wanted.date_column:
        was = ", ".join(f"{column.name} {column.kind}" for column in known.key)
        now = ", ".join(f"{column.name} {column.kind}" for column in wanted.key)
        problems.append(f"the key is ({now}) and was ({was})")
    if problems:
        raise Refused(
            f"predictions.{wanted.use_case} is published with other columns: "
            f"{'; '.join(problems)}.",
            "Publish the changed prediction under a new use-case name, so that what reads the "
            "old one goes on.",
        )
    return tuple(column for column in wanted.columns if column.name not in kinds)


def _record(connection: Connection, table: PublishedTable) -> None:
    connection.execute(
        "INSERT INTO daybreak.use_cases (use_case, key, date_column, columns, prediction) "
        "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (use_case) DO UPDATE SET "
        "columns = excluded.columns, updated_at = now()",
        [
            table.use_case,
            Jsonb([[column.name, column.kind] for column in table.key]),
            table.date_column,
            Jsonb([[column.name, column.kind] for column in table.columns]),
            table.prediction,
        ],
    )


def _create(connection: Connection, table: PublishedTable) -> None:
    required = sql.SQL(", ").join(
        sql.SQL("{} {} NOT NULL").format(sql.Identifier(c.name), SQL_TYPES[c.kind])
        for c in (*table.key, *table.scores)
    )
    optional = [
        sql.SQL(", {} {}").format(sql.Identifier(c.name), SQL_TYPES[c.kind]) for c in table.columns
    ]
    connection.execute(
        sql.SQL(
            "CREATE TABLE {} (prediction_date date NOT NULL, batch_id bigint NOT NULL, {}{}) "
            "PARTITION BY RANGE (prediction_date, batch_id)"
        ).format(table.parent, required, sql.Composed(optional))
    )
    _replace_views(connection, table)


def _add(connection: Connection, table: PublishedTable, added: tuple[Column, ...]) -> None:
    for column in added:
        connection.execute(
            sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
                table.parent, sql.Identifier(column.name), SQL_TYPES[column.kind]
            )
        )
    _replace_views(connection, table)


def _replace_views(connection: Connection, table: PublishedTable) -> None:
    # New columns come last, because a view can only be replaced by a longer one.
    of_the_row = [
        sql.SQL("p.{}").format(sql.Identifier(c.name)) for c in (*table.key, *table.scores)
    ]
    extra = [sql.SQL("p.{}").format(sql.Identifier(c.name)) for c in table.columns]
    of_the_batch = [sql.SQL("l.{}").format(sql.Identifier(name)) for name in OF_THE_BATCH]
    select = sql.SQL(
        "SELECT {columns} FROM daybreak.seen l JOIN {parent} p ON p.batch_id = l.batch_id "
        "AND p.prediction_date = l.prediction_date{same_date} WHERE l.use_case = {use_case}"
    ).format(
        same_date=_same_date(table),
        columns=sql.SQL(", ").join([*of_the_row, *of_the_batch, *extra]),
        parent=table.parent,
        use_case=sql.Literal(table.use_case),
    )
    # A scalar subquery rather than a join: it is known before partitions are opened.
    newest = sql.SQL(
        " AND p.prediction_date = (SELECT max(prediction_date) FROM daybreak.seen "
        "WHERE use_case = {})"
    ).format(sql.Literal(table.use_case))
    for suffix, query in (("", select), (LATEST, select + newest)):
        view = sql.Identifier("predictions", f"{table.use_case}{suffix}")
        connection.execute(sql.SQL("CREATE OR REPLACE VIEW {} AS {}").format(view, query))
        connection.execute(sql.SQL("GRANT SELECT ON {} TO daybreak_reader").format(view))


def _same_date(table: PublishedTable) -> sql.Composable:
    # Whoever asks for a date by the key's own column is also sent to that date's partitions.
    if table.date_column is None:
        return sql.SQL("")
    return sql.SQL(" AND p.{} = l.prediction_date").format(sql.Identifier(table.date_column))
