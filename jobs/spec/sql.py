"""The SQL expressions of a use case, looked at before any Spark is there.

What is refused here is certain to fail or to be wrong. What the parser is unsure of, such as a
function that it does not know, is left to Spark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp, parse_one
from sqlglot.errors import ParseError, TokenError

from jobs.declared import grouped_by, joined
from jobs.guess import guess
from jobs.label_types import NEITHER
from jobs.spec.document import Document, Problem
from jobs.usecase import Source, UseCase

STATEMENTS = {
    *("alter", "create", "delete", "describe", "drop", "from", "insert", "merge", "replace"),
    *("select", "set", "show", "truncate", "update", "use", "values", "with"),
}
# Aggregates and ranks that the parser has no class for.
OF_MANY_ROWS = {"every", "mean", "row_number", "some", "std", "try_avg", "try_sum"}
# What gives something else at another time, at another place, or for another person.
UNSTEADY = {
    *("curdate", "current_date", "current_time", "current_timestamp", "localtimestamp", "now"),
    *("rand", "randn", "random", "randstr", "shuffle", "uniform", "uuid"),
    *("input_file_block_length", "input_file_block_start", "input_file_name"),
    *("monotonically_increasing_id", "spark_partition_id", "current_user", "session_user", "user"),
    *("java_method", "reflect", "try_reflect"),
}
NUMBERS = ("integer", "number", "boolean")
NO_NUMBER = "and a measure is a number or a condition"
ONE_ROW = "and an expression sees one row at a time"
NO_MOMENT = "and when a row could be known is a date or a timestamp"
SAME = "and a step that runs again must give the same"

Steps = tuple[str | int, ...]


@dataclass(frozen=True)
class Expression:
    """An SQL expression over one row.

    Attributes:
        at: the steps that lead to it in the file.
        text: the SQL.
        over: what a name in it should be, for people.
        columns: the row's columns by name, with their types.
        alone: the types that a column may have which is all of the expression; empty: any.
        other: what is to be said of a column of another type.
        own: whether it may name the platform's columns, such as `_arrived_at`, too.
    """

    at: Steps
    text: str
    over: str
    columns: Mapping[str, str]
    alone: tuple[str, ...] = ()
    other: str = NEITHER
    own: bool = True


@dataclass(frozen=True)
class Wrong:
    """What is wrong with an expression, from which character on."""

    offset: int
    said: str


def problems(document: Document, usecase: UseCase) -> Iterator[Problem]:
    """What is wrong with the expressions of a use case, by line."""
    for each in expressions(usecase):
        place = document.place(each.at)
        for wrong in mistakes(each):
            yield Problem(document.line_of(place, wrong.offset), f"{place}: {wrong.said}")


def expressions(usecase: UseCase) -> Iterator[Expression]:
    """Every SQL expression of a use case."""
    for name, source in usecase.sources.items():
        of_row, over = _types(source), f"a column of source {name}"
        if source.known is not None:
            at: Steps = ("sources", name, "known")
            yield Expression(at, source.known, over, of_row, ("date", "timestamp"), NO_MOMENT)
        for index, rule in enumerate(source.rules):
            at = ("sources", name, "rules", index, "expression")
            yield Expression(at, rule.expression, over, of_row, ("boolean",))
    label = usecase.label
    of_row, within = _types(usecase.sources[label.source]), label.within
    at = ("label", "expression")
    over, kind = f"a column of source {label.source}", label.kind
    columns, of_another = kind.from_columns, kind.of_another
    if within is not None and within.do in ("any", "count"):
        columns, of_another = ("boolean",), NEITHER
    elif within is None and usecase.entity.date:
        of_row |= {"prediction_date": "date"}
    yield Expression(at, label.expression, over, of_row, columns, of_another)
    yield from _of_features(usecase)
    of_row = dict.fromkeys((*usecase.features.names, *usecase.entity.key, "prediction_date"), "")
    for index, one in enumerate(usecase.slices):
        at = ("slices", index, "expression")
        yield Expression(at, one.expression, "a feature or part of the key", of_row)


def _of_features(usecase: UseCase) -> Iterator[Expression]:
    # Of the platform's columns none may be seen: until when a row was the newest is the future.
    features = usecase.features
    of_row = joined(features, usecase.sources, usecase.entity.source)
    for name, text in features.expressions.items():
        at: Steps = ("features", "expressions", name)
        over = "a column of the rows at this point"
        yield Expression(at, text, over, dict(of_row), own=False)
        of_row[name] = ""
    for place, window in enumerate(features.windows):
        of_fact, over = _types(usecase.sources[window.source]), f"a column of {window.source}"
        at = ("features", "windows", place)
        if window.measure is not None:
            measure = (*at, "measure")
            yield Expression(measure, window.measure, over, of_fact, NUMBERS, NO_NUMBER, own=False)
        if window.where is not None:
            yield Expression((*at, "where"), window.where, over, of_fact, ("boolean",), own=False)
        for name in grouped_by(window, usecase.sources):
            text, of_both = features.expressions[name], f"{over}, whose facts {name!r} groups"
            yield Expression((*at, "by"), text, of_both, of_fact, own=False)


def mistakes(expression: Expression) -> list[Wrong]:
    """What is wrong with an expression; nothing if Spark may judge."""
    text = expression.text
    try:
        tree = parse_one(text, read="spark", into=exp.Condition)
    except ParseError as error:
        return [_unread(text, error)]
    except TokenError:
        return [Wrong(0, "a quotation mark or a comment in this SQL has no end")]
    except Exception:
        # The parser's own mistake, as with a call that lacks arguments.
        return []
    if isinstance(tree, exp.Block):
        return [Wrong(0, "there are several statements, and one expression belongs here")]
    if tree.find(exp.Query):
        return [Wrong(0, f"there is a query in it, {ONE_ROW}")]
    return [*_functions(tree, expression), *_columns(tree, expression), *_alone(tree, expression)]


def _types(source: Source) -> dict[str, str]:
    return {name: column.type for name, column in source.columns.items()}


def _unread(text: str, error: ParseError) -> Wrong:
    words = text.split(maxsplit=1)
    if words and words[0].lower() in STATEMENTS:
        return Wrong(0, "this is a statement, and an expression over one row belongs here")
    if not error.errors:
        return Wrong(0, "there is no SQL here")
    first = error.errors[0]
    offset = sum(map(len, text.splitlines(keepends=True)[: first["line"] - 1])) + first["col"] - 1
    told, near = str(first["description"]), first["highlight"]
    if told.startswith("Invalid expression"):
        return Wrong(offset, f"{near!r} is unexpected in this SQL")
    _, expects, token = told.partition("Expecting ")
    missing = repr(token) if expects else "something"
    return Wrong(offset, f"{missing} is missing after {near!r} in this SQL")


def _functions(tree: exp.Expr, expression: Expression) -> Iterator[Wrong]:
    for function in tree.find_all(exp.Func):
        start, end = function.meta.get("start", 0), function.meta.get("end", -1)
        written = expression.text[start : end + 1].lower()
        names = {written, function.sql_name().lower()}
        name = written or function.sql_name().lower()
        if isinstance(function.parent, exp.Window):
            yield Wrong(start, f"{name} looks over a window, {ONE_ROW}")
        elif isinstance(function, exp.AggFunc | exp.Explode) or names & OF_MANY_ROWS:
            yield Wrong(start, f"{name} is of many rows, {ONE_ROW}")
        elif names & UNSTEADY:
            yield Wrong(start, f"{name} gives something else each time, {SAME}")


def _columns(tree: exp.Expr, expression: Expression) -> Iterator[Wrong]:
    known = {name.lower() for name in expression.columns}
    for column in tree.find_all(exp.Column):
        name = ".".join(part.name for part in column.parts)
        # The platform's own, such as _arrived_at, are Spark's to know.
        if name.lower() not in known and not (expression.own and name.startswith("_")):
            near = guess(name, expression.columns)
            start = column.parts[0].meta.get("start", 0)
            yield Wrong(start, f"{name!r} is not {expression.over}{near}")


def _alone(tree: exp.Expr, expression: Expression) -> Iterator[Wrong]:
    column = tree.unnest()
    kind = expression.columns.get(column.name.lower()) if isinstance(column, exp.Column) else None
    if kind and expression.alone and kind not in expression.alone:
        yield Wrong(0, f"{column.name!r} is a {kind}, {expression.other}")
