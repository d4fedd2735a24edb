"""Features that a use case declares instead of writing them: joins, expressions and windows.

Belongs here: what each says, and which columns the rows have after it. How they are worked out is
in `jobs.features.declared`. Rows are those of an entity's source, one for each entity and
prediction date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Literal, Protocol, Self

from pydantic import Field, model_validator

from jobs.fields import Days, Name, Pairs, Spec
from jobs.guess import guess
from jobs.misfit import Misfit

# The type of each column of the rows by its name; empty if only Spark can say.
Types = dict[str, str]

MOMENTS = ("date", "timestamp")
DATE = "prediction_date"


class ColumnType(Protocol):
    """A column, as far as it matters here."""

    @property
    def type(self) -> str: ...


class Feed(Protocol):
    """A source, as far as it matters here."""

    @property
    def key(self) -> tuple[str, ...]: ...
    @property
    def date(self) -> str | None: ...
    @property
    def columns(self) -> Mapping[str, ColumnType]: ...
    @property
    def is_daily(self) -> bool: ...


Feeds = Mapping[str, Feed]


class AsOf(Spec):
    """Of all rows that match, the newest that was known and is not after a moment."""

    newest: Name = Field(
        description="Column of the source, a date or a timestamp, by which one row is newer than "
        "another; a date is its local midnight."
    )
    not_after: Name | None = Field(
        default=None,
        description="Column of the rows, a date or a timestamp, that it must not be after; "
        "without it, the prediction date's cutoff.",
    )
    within: Days = Field(description="How many days before that moment it may be at most.")


class Join(Spec):
    """Columns of another source, as each row's prediction date sees it; missing without a match."""

    source: Name = Field(description="The source that has the columns.")
    by: Annotated[Pairs, Field(min_length=1)] = Field(
        description="What must be equal, which names one row of the source unless `as_of` chooses: "
        "columns that both have, or `COLUMN_OF_ROWS: COLUMN_OF_SOURCE`. Rows have the columns of "
        "the entity's source and those of the joins before."
    )
    columns: Annotated[Pairs, Field(min_length=1)] = Field(
        description="What is taken over: columns of the source, or `NEW_NAME: COLUMN_OF_SOURCE`."
    )
    as_of: AsOf | None = Field(
        default=None, description="Which row is taken where several match: the newest."
    )

    def after(self, rows: Types, sources: Feeds, history: int) -> Types:
        """The columns of the rows after it; raises `Misfit`."""
        source = found(self.source, sources)
        for mine, theirs in self.by.items():
            _there("by", mine, rows)
            _of_source("by", theirs, self.source, source)
            _alike("by", mine, rows[mine], self.source, theirs, source)
        if self.as_of is None and set(self.by.values()) != set(source.key):
            raise Misfit(
                "by",
                f"a row of {self.source} is named by {', '.join(source.key)}: match all of its "
                "key and nothing else, or say by `as_of` which of several rows is taken",
            )
        if self.as_of is None and source.is_daily and source.date not in source.key:
            raise Misfit(
                "by",
                f"{self.source} has rows of the same key on several days, because its key lacks "
                f"{source.date}: say by `as_of` which of them is taken",
            )
        if self.as_of is not None:
            self._in_time(self.as_of, rows, source, history)
        made = {}
        for name, theirs in self.columns.items():
            _of_source("columns", theirs, self.source, source)
            _new("columns", name, rows)
            made[name] = source.columns[theirs].type
        return {**rows, **made}

    def _in_time(self, as_of: AsOf, rows: Types, source: Feed, history: int) -> None:
        _of_source("as_of.newest", as_of.newest, self.source, source)
        if (kind := source.columns[as_of.newest].type) not in MOMENTS:
            raise Misfit("as_of.newest", f"{as_of.newest!r} is of type {kind}, which has no newest")
        if as_of.not_after is not None:
            _there("as_of.not_after", as_of.not_after, rows)
            if (kind := rows[as_of.not_after]) not in MOMENTS:
                raise Misfit(
                    "as_of.not_after", f"{as_of.not_after!r} is of type {kind}, which is no moment"
                )
        if source.is_daily:
            _within("as_of.within", as_of.within, history)


class Shrink(Spec):
    """Pulls the mean of a few facts towards that of a broader group.

    (sum of the measure + rows * to) / (number of facts + rows).
    """

    rows: float = Field(gt=0, description="How many facts of the broader group are added.")
    to: str = Field(description="The mean of the broader group: a column of a window before.")


class Window(Spec):
    """A number of what happened in the days before a prediction date, as `NAME_DAYS`.

    Facts are rows of a source with a date, and those of the N days before the prediction date
    count that had arrived before its cutoff. They are added up in whole thousandths, so that the
    order never matters: a night gives exactly what a range of dates gives. Expressions come before
    windows; what two windows differ by is the transform `difference`, and how they compare `ratio`.
    """

    name: Name = Field(description="What the names of its columns begin with.")
    source: Name = Field(description="The source of the facts.")
    do: Literal["mean", "sum", "min", "max", "count", "lag"] = Field(
        description="`mean`: of the measure, and so the share of facts for which a condition is "
        "true; `sum`; `min` and `max`: its smallest and largest value; `count`: number of facts "
        "that have a measure; `lag`: the mean of the one day that was so many days before. Sum and "
        "count of no facts are 0, the others are missing."
    )
    measure: str | None = Field(
        default=None,
        min_length=1,
        description="SQL over the fact's columns: a number, which counts to the nearest "
        "thousandth and is smaller than a trillion, or a condition, 1 if true and 0 if not. A fact "
        "for which it is null does not count. Only `count` goes without.",
    )
    where: str | None = Field(
        default=None, min_length=1, description="SQL over the fact's columns: which facts count."
    )
    by: Pairs = Field(
        default_factory=dict,
        description="What a fact and a row must have in common: columns of both, or "
        "`COLUMN_OF_ROWS: COLUMN_OF_SOURCE`. The name of one of `expressions` over columns that "
        "the source has, too, means the same of a fact. Without it all facts count.",
    )
    days: tuple[Annotated[Days, Field(ge=1)], ...] = Field(
        min_length=1, description="How many days back; each number makes a column `NAME_DAYS`."
    )
    shrink: Shrink | None = Field(
        default=None, description="Of a mean: how it is pulled towards that of a broader group."
    )

    @property
    def columns(self) -> dict[str, int]:
        """The columns that it makes, with their days."""
        return {f"{self.name}_{days}": days for days in self.days}

    def after(
        self, rows: Types, sources: Feeds, expressions: Mapping[str, str], history: int
    ) -> Types:
        """The columns of the rows after it; raises `Misfit`."""
        source = found(self.source, sources)
        if source.date is None:
            said = f"{self.source} has no `date`, and a window is over the days of facts"
            raise Misfit("source", said)
        for mine, theirs in self.by.items():
            _there("by", mine, rows)
            if theirs in source.columns:
                _alike("by", mine, rows[mine], self.source, theirs, source)
            elif theirs not in expressions or mine != theirs:
                _of_source("by", theirs, self.source, source)
        if source.is_daily:
            _within("days", max(self.days), history)
        for column in self.columns:
            _new("name", column, rows)
        return {**rows, **dict.fromkeys(self.columns, "number")}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.measure is None and self.do != "count":
            raise Misfit("do", f"`{self.do}` needs a `measure`")
        if self.shrink and self.do != "mean":
            raise Misfit("shrink", f"it is of a mean, and this is a {self.do}")
        if len(set(self.days)) < len(self.days):
            raise Misfit("days", "a number is named twice")
        return self


class Declared(Protocol):
    """The part of a use case that declares features."""

    @property
    def history(self) -> int: ...
    @property
    def joins(self) -> tuple[Join, ...]: ...
    @property
    def expressions(self) -> Mapping[str, str]: ...
    @property
    def windows(self) -> tuple[Window, ...]: ...


def joined(features: Declared, sources: Feeds, entity: str) -> Types:
    """The columns of the rows after the joins, with their types.

    Args:
        entity: the source that lists the entities.

    Raises:
        Misfit: a join names what is not there at its turn.
    """
    rows: Types = {name: column.type for name, column in sources[entity].columns.items()}
    rows[DATE] = "date"
    for place, join in enumerate(features.joins):
        with below(f"joins[{place}]"):
            rows = join.after(rows, sources, features.history)
    return rows


def columns(features: Declared, sources: Feeds, entity: str) -> Types:
    """The columns of the rows after everything declared; as `joined`."""
    rows = joined(features, sources, entity)
    for name in features.expressions:
        with below("expressions"):
            _new(name, name, rows)
        rows[name] = ""
    means: list[str] = []
    for place, window in enumerate(features.windows):
        with below(f"windows[{place}]"):
            rows = window.after(rows, sources, features.expressions, features.history)
            if window.shrink and (to := window.shrink.to) not in means:
                raise Misfit("shrink.to", f"{to!r} is no mean of a window before{guess(to, means)}")
        means += window.columns if window.do == "mean" else ()
    return rows


def grouped_by(window: Window, sources: Feeds) -> list[str]:
    """The expressions, by name, that a window's facts are grouped by."""
    return [each for each in window.by.values() if each not in sources[window.source].columns]


def found(name: str, sources: Feeds) -> Feed:
    """A source by its name; raises `Misfit`."""
    if name not in sources:
        raise Misfit("source", f"{name!r} is not one of sources{guess(name, sources)}")
    return sources[name]


@contextmanager
def below(part: str) -> Iterator[None]:
    """Says of a `Misfit` which part it is in."""
    try:
        yield
    except Misfit as misfit:
        raise Misfit(f"{part}.{misfit.at}", str(misfit)) from misfit


def _there(at: str, name: str, rows: Types) -> None:
    if name not in rows:
        raise Misfit(at, f"there is no column {name!r} at this point{guess(name, rows)}")


def _new(at: str, name: str, rows: Types) -> None:
    if name in rows:
        raise Misfit(at, f"it makes {name!r}, and there is a column of that name already")


def _of_source(at: str, name: str, of: str, source: Feed) -> None:
    if name not in source.columns:
        raise Misfit(at, f"{name!r} is not a column of {of}{guess(name, source.columns)}")


def _alike(at: str, mine: str, kind: str, of: str, theirs: str, source: Feed) -> None:
    other = source.columns[theirs].type
    if kind and kind != other:
        raise Misfit(at, f"{mine!r} is of type {kind}, and {theirs!r} of {of} of type {other}")


def _within(at: str, days: int, history: int) -> None:
    if days > history:
        said = f"it looks {days} days back, and features.history is {history} days"
        raise Misfit(at, f"{said}: make that longer")
