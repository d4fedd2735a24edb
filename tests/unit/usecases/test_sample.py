"""The sample as an airline would have delivered it: what, when, and nothing too early."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jobs.errors import Refused
from jobs.ingest.landing import landed, missing
from jobs.ingest.sample import write_sample
from jobs.plan import Dates, Plan
from jobs.settings import Settings

LOCAL = ZoneInfo("America/New_York")
SPRING, AUTUMN = dt.date(2013, 3, 10), dt.date(2013, 11, 3)


def rows(root: Path, name: str) -> list[dict[str, str]]:
    with (root / "flight_delay" / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}


@pytest.fixture(scope="module")
def plan(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    landing = str(tmp_path_factory.mktemp("landing"))
    placed = Plan.of("flight_delay", settings.model_copy(update={"landing": landing}))
    for day in (SPRING, AUTUMN):
        said: list[str] = []
        write_sample(placed, Dates(day, day + dt.timedelta(days=2)), said.append)
        assert len(said) == 1
    return placed


@pytest.fixture(scope="module")
def root(plan: Plan) -> Path:
    return Path(plan.settings.landing)


def test_each_file_arrives_when_an_airline_would_deliver_it(plan: Plan) -> None:
    dates = Dates(SPRING, SPRING + dt.timedelta(days=2))
    arrived = {
        each.name: each.arrived_at.astimezone(LOCAL).isoformat()
        for source in plan.usecase.sources
        for each in landed(plan, source, dates)
    }
    assert arrived == {
        "flight_delay/schedule/date=2013-03-10/schedule.csv": "2013-03-09T20:00:00-05:00",
        "flight_delay/schedule/date=2013-03-11/schedule.csv": "2013-03-10T20:00:00-04:00",
        "flight_delay/schedule/date=2013-03-12/schedule.csv": "2013-03-11T20:00:00-04:00",
        "flight_delay/actuals/date=2013-03-10/actuals.csv": "2013-03-11T01:30:00-04:00",
        "flight_delay/actuals/date=2013-03-10/stragglers.csv": "2013-03-12T01:30:00-04:00",
        "flight_delay/actuals/date=2013-03-11/actuals.csv": "2013-03-12T01:30:00-04:00",
        "flight_delay/weather/date=2013-03-10/weather.csv": "2013-03-11T01:30:00-04:00",
        "flight_delay/weather/date=2013-03-11/weather.csv": "2013-03-12T01:30:00-04:00",
        "flight_delay/planes/planes.csv": "2012-12-31T12:00:00-05:00",
        "flight_delay/airports/airports.csv": "2012-12-31T12:00:00-05:00",
        "flight_delay/airlines/airlines.csv": "2012-12-31T12:00:00-05:00",
    }
    assert missing(plan, dates.last) == []


def test_files_have_the_declared_columns_and_a_schedule_tells_no_outcome(
    plan: Plan, root: Path
) -> None:
    for source in ("schedule", "actuals", "weather"):
        first = rows(root, f"{source}/date=2013-03-10/{source}.csv")[0]
        assert list(first) == list(plan.usecase.sources[source].columns)
    outcomes = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"}
    assert not outcomes & set(rows(root, "schedule/date=2013-03-10/schedule.csv")[0])


def test_every_scheduled_flight_has_one_outcome(root: Path) -> None:
    def key(row: dict[str, str]) -> tuple[str, ...]:
        return (row["carrier"], row["flight"], row["origin"], row["sched_dep_time"])

    scheduled = [key(row) for row in rows(root, "schedule/date=2013-03-10/schedule.csv")]
    final = [key(row) for row in rows(root, "actuals/date=2013-03-10/actuals.csv")]
    late = rows(root, "actuals/date=2013-03-10/stragglers.csv")
    assert sorted(final + [key(row) for row in late]) == sorted(scheduled)
    assert len(scheduled) > 900
    assert 0 < len(late) < 60
    assert all(row["dep_time"] != "NA" for row in late)


@pytest.mark.parametrize(("day", "at_most", "seen"), [(SPRING, 23, 23), (AUTUMN, 25, 24)])
def test_a_day_of_23_or_25_hours_is_one_file(
    root: Path, day: dt.date, at_most: int, seen: int
) -> None:
    # The data lack the first hour of 3 November.
    found = [
        dt.datetime.fromisoformat(row["time_hour"]).astimezone(LOCAL)
        for row in rows(root, f"weather/date={day}/weather.csv")
        if row["origin"] == "JFK"
    ]
    assert {moment.date() for moment in found} == {day}
    assert len({moment.astimezone(dt.UTC) for moment in found}) == len(found) == seen <= at_most


def test_a_later_night_only_adds_files(plan: Plan, root: Path) -> None:
    before = snapshot(root)
    write_sample(plan, Dates(SPRING, SPRING + dt.timedelta(days=3)), lambda said: None)
    after = snapshot(root)
    assert {name: after[name] for name in before} == before
    assert sorted(name.rsplit("/", 1)[1] for name in after.keys() - before.keys()) == [
        "actuals.csv",
        "schedule.csv",
        "stragglers.csv",
        "weather.csv",
    ]


def test_there_is_no_sample_of_other_years(plan: Plan) -> None:
    with pytest.raises(Refused, match="no flights from 2014-01-02 to 2014-01-03"):
        write_sample(plan, Dates(dt.date(2014, 1, 2), dt.date(2014, 1, 3)))
