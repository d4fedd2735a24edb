"""What the columns of a file hold."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from jobs.datetime_format import datetime_format
from jobs.draft.formats import Found, Other, column_of, of_numbers, of_texts
from jobs.draft.rows import Rows
from jobs.draft.texts import numbers, reads, typed
from jobs.usecase import Column

Type = Literal["string", "integer", "number", "boolean", "date", "timestamp"]

# What people write where there is nothing, beside what a source takes for it anyway.
NOTHING = {"", "na", "n/a", "nan", "none", "null", "nil", "?", "-", ".", "#n/a", "(null)", "\\n"}
# So small a share of texts that do not read as a type may be mistakes.
MISTAKES = 0.01
EXAMPLES = 3
# Codes such as 00501 are no numbers.
ZERO_FIRST = re.compile(r"0\d+")
TRUTHS = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"})
# What an identifier is called.
ID = re.compile(
    r"(^|_)(id|ids|key|code|no|nr|num|number|uuid|guid|instant|index|idx|row|record|ticket|email)"
    r"(_|$)"
)
# Running text has this many words, and mostly its own ones.
WORDS = 3
OF_ITS_OWN = 0.5


@dataclass(frozen=True)
class Profile:
    """What a column holds.

    Attributes:
        name: as it may be called in a use case.
        header: as the file calls it.
        type: what its texts read as.
        rows: how many were looked at.
        missing: how many of them have no value.
        distinct: how many different values there are.
        examples: some values, the most frequent first.
        least: the smallest number; None of other types, and where there is none.
        most: the largest.
        first: the earliest day of dates or moments.
        last: the latest.
        words: how many words a text has in the mean.
        mistakes: values that do not read as the type.
        nothing: texts that mean that there is no value.
        format: how dates or moments are written, if otherwise than silver reads by itself.
        also: how they may be written as well, as far as the values tell.
    """

    name: str
    header: str
    type: Type
    rows: int
    missing: int
    distinct: int
    examples: tuple[str, ...]
    least: float | None = None
    most: float | None = None
    first: dt.date | None = None
    last: dt.date | None = None
    words: float = 0.0
    mistakes: tuple[str, ...] = ()
    nothing: tuple[str, ...] = ()
    format: str | None = None
    also: Other | None = None

    @property
    def share_missing(self) -> float:
        return self.missing / self.rows if self.rows else 0.0

    @property
    def is_unique(self) -> bool:
        """Whether each row has a value of its own."""
        return self.missing == 0 and self.distinct == self.rows > 1

    @property
    def is_id_like(self) -> bool:
        return bool(ID.search(self.name))

    @property
    def is_number(self) -> bool:
        return self.type in ("integer", "number")

    @property
    def has_no_zone(self) -> bool:
        """Whether it has moments of which nobody says the time zone."""
        if self.type != "timestamp" or self.format is None:
            return False
        return not datetime_format(self.format).has_zone

    @property
    def is_text(self) -> bool:
        """Whether it is running text, rather than the name of something."""
        own = self.distinct > OF_ITS_OWN * (self.rows - self.missing)
        return self.type == "string" and self.words >= WORDS and own


def profiles(rows: Rows, headers: dict[str, str]) -> dict[str, Profile]:
    """Each column's profile, by its name; `headers` says what files call it."""
    return {name: profile(rows.frame[name], header) for name, header in headers.items()}


def profile(texts: pd.Series, header: str) -> Profile:
    """What a column of text holds."""
    there = texts.dropna()
    found, nothing = _found(there)
    kind = found.column.type
    there = there[~there.isin(nothing)]
    good = reads(there, found.column)
    mistakes = tuple(there[~good].drop_duplicates().head(EXAMPLES))
    there = there[good]
    counts = there.value_counts()
    values = numbers(there) if kind in ("integer", "number") and len(there) else None
    first, last = _ends(there, found.column)
    words = float(there.str.count(r"\S+").mean()) if kind == "string" and len(there) else 0.0
    return Profile(
        name=str(texts.name),
        header=header,
        type=kind,
        rows=len(texts),
        missing=len(texts) - len(there) - int((~good).sum()),
        distinct=len(counts),
        examples=tuple(map(str, counts.index[:EXAMPLES])),
        least=None if values is None else float(values.min()),
        most=None if values is None else float(values.max()),
        first=first,
        last=last,
        words=words,
        mistakes=mistakes,
        nothing=nothing,
        format=found.column.format,
        also=found.also,
    )


def as_written(column: Profile, texts: pd.Series, written: str) -> Profile:
    """A column by the one of its two formats that is meant."""
    first, last = _ends(texts.dropna(), column_of(written))
    return replace(column, format=written, also=None, first=first, last=last)


def _ends(there: pd.Series, column: Column) -> tuple[dt.date | None, dt.date | None]:
    """The first and the last day of dates or moments."""
    if column.type not in ("date", "timestamp") or not len(there):
        return None, None
    values = typed(there.drop_duplicates(), column).dropna()
    ends = (values.min(), values.max())
    first, last = (end.date() if isinstance(end, dt.datetime) else end for end in ends)
    return first, last


def _found(there: pd.Series) -> tuple[Found, tuple[str, ...]]:
    """The type that most texts read as but for some mistakes, and what means nothing.

    Of types that read as many, the narrowest: a decimal is no mistake of a whole number.
    """
    values = list(there.unique())
    nothing = tuple(sorted(each for each in values if each.strip().lower() in NOTHING))
    if not len(left := there[~there.isin(nothing)]):
        return Found(Column(type="string")), ()
    if {each.strip().lower() for each in left.unique()} in TRUTHS:
        return Found(Column(type="boolean")), nothing
    if dates := of_numbers(left):
        return dates, nothing
    is_code = left.str.strip().str.fullmatch(ZERO_FIRST).any()
    kinds: tuple[Type, ...] = ("date", "timestamp")
    kinds = kinds if is_code else ("integer", "number", *kinds)
    mistakes = {kind: np.mean(~reads(left, Column(type=kind))) for kind in kinds}
    best = min(kinds, key=mistakes.__getitem__)
    if mistakes[best] <= MISTAKES:
        return Found(Column(type=best)), nothing
    if dates := of_texts(left, MISTAKES):
        return dates, nothing
    # Of words, "none" is one like others; a blank is not.
    return Found(Column(type="string")), tuple(each for each in nothing if not each.strip())


def names_of(headers: Iterable[str], taken: Collection[str] = ()) -> dict[str, str]:
    """A name that a use case may have for each header that is one, in order.

    Args:
        taken: names that it may not have.
    """
    found: dict[str, str] = {}
    for header in headers:
        if not header.strip():
            continue
        plain = re.sub(r"[^a-z0-9]+", "_", _split_words(header).lower()).strip("_") or "column"
        plain = (plain if plain[0].isalpha() else f"c_{plain}")[:44]
        if plain in taken:
            plain = f"{plain}_in_file"
        ends = ("", *(f"_{number}" for number in range(2, 1000)))
        name = next(plain + end for end in ends if plain + end not in found)
        found[name] = header
    return found


def _split_words(header: str) -> str:
    """`PassengerId` as `Passenger_Id`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", header)
