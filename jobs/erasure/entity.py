"""Whom an erasure is about: checked when it is written, and known again in rows and in raw text."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

from pyspark.sql import functions as f

from jobs.conform.rules import formatted, moment
from jobs.errors import WrongUsage
from jobs.lake.tables import TYPES
from jobs.lake.tombstones import BLANKS, canonical, said, value_of
from jobs.usecase import Column, Source

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql.types import DataType, StructType

# How a value of a type must be written by who asks for an erasure, and an example.
WRITTEN: Mapping[str, tuple[str, str]] = {
    "string": (r"(?s:.*)", ""),
    "integer": (r"[+-]?\d+", "42"),
    "number": (r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", "0.5"),
    "boolean": (r"(?i:true|false)", "true"),
    "date": (r"\d{4}-\d{2}-\d{2}", "2024-01-31"),
    "timestamp": (
        r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})",
        "2024-01-31T05:00:00Z, with its zone",
    ),
}


@dataclass(frozen=True)
class Entity:
    """The columns that name an entity, and their values as text."""

    values: Mapping[str, str]

    def require_known(self, sources: Iterable[Source]) -> None:
        """Refuse a value that no source could hold.

        Raises:
            WrongUsage: a value is of none of the types that its column has in the sources.
        """
        columns = [source.columns for source in sources]
        for name, value in self.values.items():
            kinds = list(dict.fromkeys(each[name].type for each in columns))
            if not any(_is_of(kind, value) for kind in kinds):
                raise WrongUsage(
                    f"{name} is {' or '.join(kinds)}, and {value!r} is not.",
                    f"Write it like {' or '.join(WRITTEN[kind][1] for kind in kinds)}.",
                )

    def is_told_by(self, columns: Set[str]) -> bool:
        """Whether rows with these columns say if they are the entity's."""
        return self.values.keys() <= columns

    def owns(self, columns: Mapping[str, Column]) -> Callable[[Mapping[str, str | None]], bool]:
        """Says of a record, given by declared column as text, whether it is the entity's."""
        wanted = {n: said(columns[n], value) for n, value in self.values.items()}
        return lambda record: all(
            canonical(columns[n], record[n]) == value for n, value in wanted.items()
        )

    def is_named_in(self, raw: str, columns: Mapping[str, Column]) -> bool:
        """Whether all of the values are somewhere in a text, each not as a part of another."""
        return all(re.search(each, raw, re.ASCII) for each in self._named(columns))

    def in_bronze(self, columns: Mapping[str, Column]) -> Expression:
        """As `owns`, of bronze's rows, and as `is_named_in`, of what could not be read; no null."""
        return self._in_text(columns, f.col)

    def in_quarantine(self, columns: Mapping[str, Column]) -> Expression:
        """As `in_bronze`, of quarantine, which keeps each row as JSON; never null."""
        return self._in_text(columns, lambda name: f.get_json_object("row", f"$.{name}"))

    def typed_in(self, schema: StructType) -> Expression:
        """Which rows of a table with typed columns are the entity's; none if it lacks one."""
        kinds = {each.name: each.dataType for each in schema.fields}
        if not self.is_told_by(kinds.keys()):
            return f.lit(False)
        same = (f.col(n) == _cast(f.lit(v), kinds[n]) for n, v in self.values.items())
        return reduce(and_, same)

    def _in_text(
        self, columns: Mapping[str, Column], text_of: Callable[[str], Expression]
    ) -> Expression:
        same = (_same(text_of(n), columns[n], value) for n, value in self.values.items())
        named = (f.rlike(text_of("_malformed"), f.lit(each)) for each in self._named(columns))
        return reduce(and_, same) | f.coalesce(reduce(and_, named), f.lit(False))

    def _named(self, columns: Mapping[str, Column]) -> list[str]:
        return [_whole(columns[name], value) for name, value in self.values.items()]


def _is_of(kind: str, value: str) -> bool:
    written = re.fullmatch(WRITTEN[kind][0], value, re.ASCII)
    return bool(written) and value_of(kind, value) is not None


def _whole(column: Column, value: str) -> str:
    """A pattern, for Python as for Java, of a value that is not a part of a longer one.

    It may be written as it is given, or in the format of its column.
    """
    ways = [re.escape(value)]
    known = value_of(column.type, value)
    if column.written and known is not None:
        is_day = column.type == "date"
        at = dt.datetime.fromisoformat(known)
        ways.append(column.written.naming(at if is_day else column.local(at), day_only=is_day))
    return rf"(?<![\w.-])(?:{'|'.join(ways)})(?![\w.-])"


def _same(text: Expression, column: Column, value: str) -> Expression:
    """Whether a text is a way of writing a value: what `canonical` says, in Spark's words."""
    kind = column.type
    if kind == "string":
        return f.coalesce(text == value, f.lit(False))
    wanted = _cast(f.lit(value), TYPES[kind])
    if column.written:
        ways = [formatted(f.btrim(text, f.lit(BLANKS)), column, column.written) == wanted]
    else:
        ways = [_cast(text, TYPES[kind]) == wanted]
    if kind == "integer":
        ways.append(text.try_cast("double") == wanted.cast("double"))
    return f.coalesce(*ways, text == said(column, value), f.lit(False))


def _cast(text: Expression, kind: DataType) -> Expression:
    return moment(text) if kind == TYPES["timestamp"] else text.try_cast(kind)
