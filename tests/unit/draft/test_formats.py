"""In which format a column writes its dates, told by its values."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from jobs.draft.profile import profile


@pytest.mark.parametrize(
    ("texts", "kind", "written", "also"),
    [
        (["1/31/2011", "2/1/2011"], "date", "M/d/yyyy", None),
        (["31/1/2011", "1/2/2011"], "date", "d/M/yyyy", None),
        (["1/1/2011", "1/3/2011"], "date", "M/d/yyyy", "d/M/yyyy"),
        # Both mean the same days.
        (["1/1/2011", "2/2/2011"], "date", "M/d/yyyy", None),
        (["13/1/2011", *["1/2/2011"] * 200], "date", "d/M/yyyy", None),
        (["31.01.2011", "1.2.2011"], "date", "d.M.yyyy", None),
        (["12/1/10 8:26", "12/31/10 17:01"], "timestamp", "M/d/yy H:mm", None),
        (["05-Oct-18", "7-jan-19"], "date", "d-MMM-yy", None),
        (["20110131", "20111231"], "date", "yyyyMMdd", None),
        (["20110131", "20111331"], "integer", None, None),
        (["45110131", "45111231"], "integer", None, None),
        (["2011-01-31", "2011-02-01"], "date", None, None),
        (["2020-02-20 06:43:18"] * 2, "timestamp", "yyyy-MM-dd HH:mm:ss", None),
        (
            ["2020-02-20T06:43:18.5", "2020-02-20T06:43:18"],
            "timestamp",
            "yyyy-MM-dd'T'HH:mm:ss[.SSSSSSSSS]",
            None,
        ),
        (["20/Feb/2020:06:43:18 +0100"], "timestamp", "dd/MMM/yyyy:HH:mm:ss Z", None),
        (["2020-02-20T06:43Z", "2020-02-20T06:43:18+01:00"], "timestamp", None, None),
        (["1/31/2011", "soon"], "string", None, None),
        (["some 1/31/2011", "text"], "string", None, None),
    ],
)
def test_the_format_is_the_one_that_reads_most(
    texts: list[str], kind: str, written: str | None, also: str | None
) -> None:
    found = profile(pd.Series(texts, name="at"), "at")
    assert (found.type, found.format) == (kind, written)
    assert (found.also and found.also.format) == also


def test_the_first_and_the_last_day_are_those_of_the_calendar() -> None:
    found = profile(pd.Series(["10/1/2011", "9/2/2011", "12/31/2010", "?"] * 2, name="at"), "at")
    assert (found.first, found.last) == (dt.date(2010, 12, 31), dt.date(2011, 10, 1))
    assert found.nothing == ("?",)
