"""Whether a file has the columns that are declared, and where each of them is."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.ingest.text import Unreadable
from jobs.usecase import Source


@dataclass(frozen=True)
class Layout:
    """Where the declared columns are in a file.

    Attributes:
        columns: the header of each declared column, in their order; None if the file need not
            have it and has not.
        extra: headers that nobody declared and that the source keeps.
    """

    columns: Mapping[str, str | None]
    extra: tuple[str, ...]


def headers(spec: Source) -> list[str]:
    """Every header under which a declared column may come."""
    return [header for name, column in spec.columns.items() for header in column.headers(name)]


def layout(found: Sequence[str], spec: Source, day: dt.date) -> Layout:
    """Where the columns of a file with the headers `found` are.

    Raises:
        Unreadable: a column comes twice, or is lacking, or nobody declared it and the source
            refuses such; the sentence names each, with a guess at renames.
    """
    columns = {
        name: next((each for each in column.headers(name) if each in found), None)
        for name, column in spec.columns.items()
    }
    others = tuple(each for each in found if each not in columns.values())
    problems = [f"has {each!r} twice" for each in found if list(found).count(each) > 1][:1]
    for name, header in columns.items():
        column = spec.columns[name]
        if header is None and (spec.drift != "declared" or column.expected_on(day)):
            wanted = column.headers(name)[0]
            near = difflib.get_close_matches(wanted, others, n=1)
            problems.append(f"lacks {wanted!r}" + (f" (renamed to {near[0]!r}?)" if near else ""))
    if spec.drift != "keep_extra":
        problems += [f"has unexpected {each!r}" for each in others]
    if problems:
        raise Unreadable("has other columns than declared: it " + ", ".join(problems))
    return Layout(columns, others)
