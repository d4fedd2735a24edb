"""The rules a bronze row must pass, as Spark columns made from a source's declaration.

They read a frame in which every declared column is typed and its text is in `_text_COLUMN`, and
in which `_found_COLUMN` is true where a column with a reference has a value that is known there.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from pyspark.sql import Column as Expression
from pyspark.sql import functions as f

from jobs.datetime_format import DatetimeFormat
from jobs.lake.conditions import any_of
from jobs.lake.tables import TYPES
from jobs.usecase import Column, Source

FOUND = "_found_"

# ISO 8601 with a zone: a time without one would mean another moment in another session. A column
# whose files have none says so, in `format` and `zone`.
MOMENT = r"\A\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})\z"
# Spark wants the seconds where there is a zone.
WITHOUT_SECONDS = r"([T ]\d{2}:\d{2})(Z|[+-]\d{2}:?\d{2})\z"


@dataclass(frozen=True)
class Check:
    """A way to fail.

    Attributes:
        rule: its name.
        column: the column it looks at, or empty if it looks at the whole row.
        fails: true for a row that fails; null counts as passed.
        value: what to show of the row, as text.
    """

    rule: str
    column: str
    fails: Expression
    value: Expression


def typed(name: str, column: Column) -> Expression:
    """A text column cast to its type; null where that cannot be done."""
    text = f.col(name)
    if column.written:
        return formatted(text, column, column.written)
    if column.type == "timestamp":
        return f.when(text.rlike(MOMENT), moment(text))
    cast = text.try_cast(TYPES[column.type])
    if column.type == "date":
        dashes = (f.substring(text, 5, 1) == "-") & (f.substring(text, 8, 1) == "-")
        return f.when((f.length(text) == 10) & dashes, cast)
    return text if column.type == "string" else cast


def moment(text: Expression) -> Expression:
    """A text cast to a timestamp, of which the seconds may be absent."""
    return f.regexp_replace(text, WITHOUT_SECONDS, "$1:00$2").try_cast("timestamp")


def formatted(text: Expression, column: Column, by: DatetimeFormat) -> Expression:
    """A text read by a column's format, as `Column.read` does; null where it does not read so."""
    shaped = text.rlike(rf"\A(?:{by.shape})\z")
    found = f.when(shaped, f.try_to_timestamp(text, f.lit(by.written)))
    if column.type == "date":
        return found.cast("date")
    return f.to_utc_timestamp(found, column.zone) if column.zone else found


def checks(spec: Source) -> list[Check]:
    """Every way in which a single row can fail, but for a record that could not be split."""
    found = [
        check
        for name, column in spec.columns.items()
        for check in _of_column(name, column, required=spec.is_required(name))
    ]
    if spec.date and spec.is_daily:
        other_day = f.col(spec.date) != f.col("_batch_date")
        found.append(Check("wrong_date", spec.date, other_day, _text(spec.date)))
    nothing = f.lit(None).cast("string")
    found += [Check(rule.name, "", ~f.expr(rule.expression), nothing) for rule in spec.rules]
    return found


def fails(spec: Source) -> Expression:
    """True for a row that fails anything, false for all others."""
    ways = [f.col("_malformed").isNotNull(), *[check.fails for check in checks(spec)]]
    return f.coalesce(any_of(ways), f.lit(False))


def _of_column(name: str, column: Column, *, required: bool) -> list[Check]:
    value, text = f.col(name), _text(name)
    ways: list[tuple[str, Expression]] = []
    if required:
        ways.append(("required", text.isNull() & _there(column)))
    if column.type != "string":
        ways.append(("type", text.isNotNull() & _mistyped(value, text, column)))
    # A number that is not finite is of the wrong type, and that is enough to say of it.
    if column.min is not None:
        ways.append(("range", (value < column.min) & (value > float("-inf"))))
    if column.max is not None:
        ways.append(("range", (value > column.max) & (value < float("inf"))))
    if column.values is not None:
        ways.append(("set", ~text.isin(*column.values)))
    if column.pattern is not None:
        ways.append(("pattern", ~text.rlike(rf"\A(?:{column.pattern})\z")))
    if column.references is not None:
        ways.append(("reference", value.isNotNull() & f.col(FOUND + name).isNull()))
    return [Check(rule, name, condition, text) for rule, condition in ways]


def _there(column: Column) -> Expression:
    """Whether the files of a row's day have the column at all."""
    if not column.is_partly_there:
        return f.lit(True)
    first, last = column.since or dt.date.min, column.until or dt.date.max
    return f.col("_batch_date").between(f.lit(first), f.lit(last))


def _mistyped(value: Expression, text: Expression, column: Column) -> Expression:
    if column.type != "number":
        return value.isNull()
    # Java also reads NaN, Infinity, and 1d or 1f; none of them is a number in a file.
    finite = f.abs(value) < float("inf")
    return value.isNull() | ~finite | f.substring(text, -1, 1).isin("d", "D", "f", "F")


def _text(name: str) -> Expression:
    return f.col(f"_text_{name}")
