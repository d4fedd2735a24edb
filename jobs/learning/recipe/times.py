"""What the steps over timestamps learn and do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from jobs.learning.recipe.rows import Columns, Numbers, Rows, Sample
from jobs.transforms.times import Between, Calendar, Holidays

State = Mapping[str, Any]
# For how long after its training a model knows the holidays.
YEARS_AHEAD = 20
MICROSECONDS = {
    "seconds": 1_000_000,
    "minutes": 60_000_000,
    "hours": 3_600_000_000,
    "days": 86_400_000_000,
}


def _day_of_week(moments: pa.Array) -> pa.Array:
    return pc.day_of_week(moments, count_from_zero=True, week_start=1)


PARTS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "minute": pc.minute,
    "hour": pc.hour,
    "day_of_week": _day_of_week,
    "day_of_month": pc.day,
    "day_of_year": pc.day_of_year,
    "week": pc.iso_week,
    "month": pc.month,
    "quarter": pc.quarter,
    "year": pc.year,
    "weekend": lambda moments: pc.greater_equal(_day_of_week(moments), 5),
}


def calendar(step: Calendar, _: Mapping[str, State], rows: Rows) -> Columns:
    """The parts of each moment as its local clock and calendar show them."""
    return {
        f"{name}_{part}": _numbers(PARTS[part](rows.columns[name]))
        for name in step.of
        for part in step.parts
    }


def learn_holidays(step: Holidays, name: str, sample: Sample) -> State:
    """The holidays of the years in training and after; no years if there was no date."""
    from holidays import country_holidays

    dates = _dates(sample.rows.columns[name])
    there = dates[~np.isnat(dates)]
    if not len(there):
        return {"first": "1970-01-01", "last": "1969-12-31", "days": []}
    first, last = (date.item().year for date in (there.min(), there.max()))
    last += YEARS_AHEAD
    # A year more on either side, so that each day has a holiday before it and one after it.
    days = country_holidays(step.country, subdiv=step.subdivision, years=range(first - 1, last + 2))
    return {
        "first": f"{first:04}-01-01",
        "last": f"{last:04}-12-31",
        "days": [day.isoformat() for day in sorted(days)],
    }


def holidays(step: Holidays, state: Mapping[str, State], rows: Rows) -> Columns:
    """Whether it is a holiday, days to the next one and days since the last one."""
    found: Columns = {}
    for name in step.of:
        dates, known = _dates(rows.columns[name]), state[name]
        days = np.array(known["days"], dtype="datetime64[D]")
        first, last = (np.datetime64(known[end], "D") for end in ("first", "last"))
        # NaT is in no order with anything, so a missing date is not within either.
        within = (dates >= first) & (dates <= last)
        ahead = np.append(days, np.datetime64("NaT"))[np.searchsorted(days, dates)]
        behind = np.append(np.datetime64("NaT"), days)[np.searchsorted(days, dates, side="right")]
        to = _days(ahead - dates, within)
        found |= {
            f"{name}_holiday": np.where(within, to == 0, np.nan),
            f"{name}_days_to_holiday": to,
            f"{name}_days_since_holiday": _days(dates - behind, within),
        }
    return found


def between(step: Between, _: Mapping[str, State], rows: Rows) -> Columns:
    """The time from the first to the second."""
    first, second = (rows.columns[name] for name in step.of)
    passed = pc.subtract(second, first).cast(pa.int64())
    return {step.as_: _numbers(passed) / MICROSECONDS[step.unit]}


def _dates(moments: pa.Array) -> NDArray[np.datetime64]:
    """The local dates of some moments."""
    local = pc.local_timestamp(moments).cast(pa.date32())
    found: NDArray[np.datetime64] = local.to_numpy(zero_copy_only=False).astype("datetime64[D]")
    return found


def _days(passed: NDArray[np.timedelta64], within: NDArray[np.bool_]) -> Numbers:
    there = within & ~np.isnat(passed)
    return np.where(there, passed.astype("timedelta64[D]").astype(np.float64), np.nan)


def _numbers(column: pa.Array) -> Numbers:
    found: Numbers = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return found
