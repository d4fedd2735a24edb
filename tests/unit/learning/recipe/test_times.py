"""Steps over timestamps, checked by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any, get_args

import pytest

from jobs.learning.recipe.times import PARTS
from jobs.transforms.times import Part
from tests.unit.learning.recipe import rows

NAN = float("nan")


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc, arg-type]


def done(step: dict[str, Any], *moments: dt.datetime | None, **more: list[Any]) -> dict[str, Any]:
    """The columns after a step, by name, for moments in the column `t`."""
    table = rows.of({"t": list(moments), **more})
    recipe = rows.learned(table, step, timestamp=["t", *more])
    matrix = recipe.matrix(table)
    return {
        name: pytest.approx(matrix[:, place].tolist(), nan_ok=True)
        for place, name in enumerate(recipe.columns)
    }


def test_calendar_is_that_of_the_time_zone() -> None:
    # Half past seven on Saturday evening in New York; a leap day's noon in winter; nothing.
    step = {"do": "calendar", "of": "t", "parts": list(get_args(Part))}
    found = done(step, utc(2023, 7, 1, 23, 30), utc(2024, 2, 29, 17, 0), None)
    assert found == {
        "t_minute": [30, 0, NAN],
        "t_hour": [19, 12, NAN],
        "t_day_of_week": [5, 3, NAN],
        "t_day_of_month": [1, 29, NAN],
        "t_day_of_year": [182, 60, NAN],
        "t_week": [26, 9, NAN],
        "t_month": [7, 2, NAN],
        "t_quarter": [3, 1, NAN],
        "t_year": [2023, 2024, NAN],
        "t_weekend": [1, 0, NAN],
    }


def test_a_day_begins_at_local_midnight_whatever_the_clock_does() -> None:
    step = {"do": "calendar", "of": "t", "parts": ["hour", "day_of_month"]}
    # The last minute before the clocks go forward, the first after it, and midnight before it.
    found = done(step, utc(2024, 3, 10, 6, 59), utc(2024, 3, 10, 7, 0), utc(2024, 3, 10, 4, 59))
    assert found == {"t_hour": [1, 3, 23], "t_day_of_month": [10, 10, 9]}


def test_every_part_that_may_be_written_is_known() -> None:
    assert set(PARTS) == set(get_args(Part))


def test_holidays() -> None:
    step = {"do": "holidays", "of": "t", "country": "US"}
    # The eve of Independence Day, late in the evening in New York; the day; two days after; none.
    found = done(step, utc(2023, 7, 4, 3, 0), utc(2023, 7, 4, 16), utc(2023, 7, 6, 12), None)
    assert found == {
        "t_holiday": [0, 1, 0, NAN],
        # Labor Day of 2023 is the 4th of September.
        "t_days_to_holiday": [1, 0, 60, NAN],
        # Juneteenth was on the 19th of June.
        "t_days_since_holiday": [14, 0, 2, NAN],
    }


def test_holidays_of_years_that_were_not_learned_are_missing() -> None:
    train = rows.of({"t": [utc(2020, 6, 1)]})
    step = {"do": "holidays", "of": "t", "country": "DE", "subdivision": "BY"}
    recipe = rows.learned(train, step, timestamp=["t"])
    moments = [utc(2019, 12, 31, 12), utc(2020, 12, 25, 12), utc(2040, 12, 31, 12), utc(2041, 2, 1)]
    found = rows.column(recipe, rows.of({"t": moments}), "t_holiday")
    assert found == pytest.approx([NAN, 1, 0, NAN], nan_ok=True)
    since = rows.column(recipe, rows.of({"t": [utc(2020, 1, 1, 12)]}), "t_days_since_holiday")
    assert since == [0]


def test_between() -> None:
    first, second = utc(2024, 3, 10, 0), utc(2024, 3, 11, 12)
    for unit, expected in (("days", 1.5), ("hours", 36), ("minutes", 2160), ("seconds", 129600)):
        step = {"do": "between", "of": ["t", "u"], "unit": unit, "as": "passed"}
        found = done(step, first, second, None, u=[second, first, first])
        assert found == {"passed": [expected, -expected, NAN]}
