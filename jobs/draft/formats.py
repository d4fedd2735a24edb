"""How a column of text writes dates or moments, told by its values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from jobs.datetime_format import datetime_format
from jobs.draft.texts import reads
from jobs.usecase import Column

# Ways of writing a day, those that bear with less before those that read the same and more.
DAYS = (
    *("yyyy-MM-dd", "M/d/yyyy", "d/M/yyyy", "yyyy/M/d", "d.M.yyyy", "M-d-yyyy", "d-M-yyyy"),
    *("d-MMM-yyyy", "d MMM yyyy", "d MMMM yyyy", "MMM d, yyyy", "MMMM d, yyyy"),
    *("M/d/yy", "d/M/yy", "d.M.yy", "d-MMM-yy", "yyyyMMdd", "yyyy-M-d"),
)
TIMES = (
    *("", " HH:mm:ss", " H:mm:ss", " H:mm", " HH:mm:ss[.SSSSSSSSS]", " h:mm:ss a", " h:mm a"),
    *("'T'HH:mm:ss", "'T'HH:mm", "'T'HH:mm:ss[.SSSSSSSSS]"),
)
WITH_ZONE = ("dd/MMM/yyyy:HH:mm:ss Z", "yyyy/M/d H:mm:ssXXX")
# So many values are looked at first, and most of them read by a format that comes into question.
GLANCE = 100
MOST = 0.5
# Whole numbers such as 20130131 are dates if all of them are, and of these years.
YEARS = ("1900", "2100")


@dataclass(frozen=True)
class Other:
    """Another format that a column may be written in.

    Attributes:
        format: it reads as many values.
        example: a text that is another day by it.
    """

    format: str
    example: str


@dataclass(frozen=True)
class Found:
    """How a column writes its dates.

    Attributes:
        column: its type and format; a format without a zone is taken for one in UTC.
        also: how it may be written as well, as far as its values tell.
    """

    column: Column
    also: Other | None = None


def column_of(written: str) -> Column:
    """A column with a format: of moments if that says a time, else of dates."""
    parts = {sign.part for sign in datetime_format(written).signs}
    if parts == {"year", "month", "day"}:
        return Column(type="date", format=written)
    return Column(type="timestamp", format=written, zone=None if "zone" in parts else "UTC")


def of_numbers(texts: pd.Series) -> Found | None:
    """How whole numbers write dates, if all of them do."""
    column = column_of("yyyyMMdd")
    is_near = texts.str.strip().between(*YEARS).all()
    return Found(column) if is_near and reads(texts, column).all() else None


def of_texts(texts: pd.Series, mistakes: float) -> Found | None:
    """The format that reads most of some texts, if no more of them are mistakes than are borne."""
    counts = texts.value_counts()
    values = pd.Series(counts.index)
    glance = values.head(GLANCE)
    ways = [*(f"{day}{time}" for day in DAYS for time in TIMES), *WITH_ZONE]
    likely = [way for way in ways if _share(glance, way) > MOST]
    good = {way: reads(values, column_of(way)) for way in likely}
    rows = {way: int(counts[which].sum()) for way, which in good.items()}
    most = max(rows.values(), default=0)
    if most < (1 - mistakes) * len(texts) or not most:
        return None
    best, *others = (way for way in likely if rows[way] == most)
    also = (Other(each, text) for each in others if (text := _doubtful(values, best, each)))
    return Found(column_of(best), next(also, None))


def _share(values: pd.Series, way: str) -> float:
    by = datetime_format(way)
    return float(np.mean([by.read(text) is not None for text in values]))


def _doubtful(values: pd.Series, one: str, other: str) -> str | None:
    """A text that two formats read otherwise, rather than only one of them."""
    by = datetime_format(one), datetime_format(other)
    read = ((text, *(each.read(text) for each in by)) for text in values)
    return next((text for text, a, b in read if a and b and a != b), None)
