from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import WrongUsage
from jobs.prediction.key import completed, understood
from jobs.prediction.published_table import Column, PublishedTable

DAY = dt.date(2013, 10, 7)
FLIGHTS = PublishedTable(
    "flights", (Column("day", "date"), Column("carrier", "string"), Column("no", "integer")), "day"
)
NAMES = PublishedTable("names", (Column("name", "string"),))


@given(day=st.dates(), carrier=st.text(), number=st.integers())
def test_a_key_reads_the_same_by_name_by_place_and_as_text(
    day: dt.date, carrier: str, number: int
) -> None:
    wanted = ((day, carrier, number), day)
    assert understood(FLIGHTS, {"no": number, "day": day, "carrier": carrier}, None) == wanted
    assert understood(FLIGHTS, [day, carrier, number], day) == wanted
    assert understood(FLIGHTS, (day.isoformat(), carrier, str(number)), None) == wanted
    assert understood(FLIGHTS, {"carrier": carrier, "no": number}, day) == wanted


def test_a_date_left_out_is_filled_in_by_the_live_one() -> None:
    values, date = understood(FLIGHTS, {"carrier": "UA", "no": 1}, None)
    assert (values, date) == ((None, "UA", 1), None)
    assert completed(FLIGHTS, values, DAY) == (DAY, "UA", 1)
    assert understood(NAMES, "Ada", DAY) == (("Ada",), DAY)


@pytest.mark.parametrize(
    ("key", "date", "what"),
    [
        ({"carrier": "UA"}, None, r"lacks \['no'\]"),
        ({"carrier": "UA", "no": 1, "x": 1}, None, r"unknown \['x'\]"),
        (["UA", 1], None, "has 2 values"),
        ([DAY, "UA", "one"], None, "no 'one'"),
        ([DAY, "UA", True], None, "no True"),
        ([DAY, "UA", None], None, "no None"),
        ([DAY, 5, 1], None, "carrier 5"),
        (["7 October", "UA", 1], None, "day '7 October'"),
        ([dt.datetime(2013, 10, 7, tzinfo=dt.UTC), "UA", 1], None, "day"),
        ([DAY, "UA", 1], DAY + dt.timedelta(days=1), "is for 2013-10-07 and the date asked for"),
    ],
)
def test_a_wrong_key_says_what_is_wrong_and_what_the_key_is(
    key: Any, date: dt.date | None, what: str
) -> None:
    with pytest.raises(WrongUsage, match=what) as raised:
        understood(FLIGHTS, key, date)
    assert "day (date), carrier (string), no (integer)" in raised.value.remedy
