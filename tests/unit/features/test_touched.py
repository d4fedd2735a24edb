"""What each prediction date may see, found from what silver was made of."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from jobs.features.touched import Known
from jobs.lake.made import UNSOUND, WHOLE
from jobs.lake.moments import micros
from jobs.lake.tables import Tables
from jobs.plan import Dates, Plan
from jobs.settings import Settings
from jobs.usecase import UseCase

DAY = dt.date(2024, 3, 10)  # The clock skips an hour in New York.
YESTERDAY = DAY - dt.timedelta(days=1)
EVENING = dt.datetime(2024, 3, 10, 1, 0, tzinfo=dt.UTC)
CUTOFF = dt.datetime(2024, 3, 10, 8, 0, tzinfo=dt.UTC)  # 04:00, four hours behind UTC
SOURCE = {
    "landing": "x/{date}/*",
    "key": ["day", "who"],
    "date": "day",
    "columns": {"day": {"type": "date"}, "who": {"type": "string"}, "n": {"type": "number"}},
}
USE_CASE = {
    "name": "visits",
    "about": {"question": "Who comes again?", "owner": "shop"},
    "entity": {"key": ["day", "who"], "date": "day", "source": "list"},
    "timezone": "America/New_York",
    "schedule": {"cron": "0 4 * * *", "start": "2024-01-01"},
    "cutoff": "04:00",
    "sources": {
        "list": {**SOURCE, "arrives": {"as": "daily", "lag": "0 days"}},
        "done": {**SOURCE, "arrives": {"as": "daily", "lag": "1 day"}},
        "people": {
            "landing": "people/*",
            "arrives": {"as": "snapshot"},
            "key": ["who"],
            "columns": {"who": {"type": "string"}},
        },
    },
    "label": {"source": "done", "expression": "n > 1", "maturity": "1 day"},
    "features": {"module": "features", "history": "7 days", "numeric": ["n"]},
    "model": {"rule": {"by": ["n"]}},
}


def part(*arrivals: dt.datetime, unsound: int = 0) -> dict[str, Any]:
    files = [["f", micros(at)] for at in arrivals]
    return {"declared": "d", "files": files, UNSOUND: files[:unsound]}


@pytest.fixture
def tables(settings: Settings) -> Tables:
    return Tables(Plan(UseCase.model_validate(USE_CASE), settings))


def known(tables: Tables, **changed: dict[str, Any]) -> Known:
    silver = {
        "list": {str(DAY): part(EVENING)},
        "done": {str(YESTERDAY): part(EVENING)},
        "people": {WHOLE: part(EVENING)},
    }
    return Known(tables, {**silver, **changed})


LATER = CUTOFF + dt.timedelta(hours=5)
TOMORROW = CUTOFF + dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("changed", "cutoff"),
    [
        ({}, CUTOFF),
        # A file of yesterday came at nine: the night waited for it.
        ({"done": {str(YESTERDAY): part(LATER)}}, LATER),
        # The first was over its budget; it is what came instead of it that counts.
        ({"done": {str(YESTERDAY): part(EVENING, LATER, unsound=1)}}, LATER),
        # A sound file was only corrected, and the night had run.
        ({"done": {str(YESTERDAY): part(EVENING, LATER)}}, CUTOFF),
        # When the day was over its outcomes were known.
        ({"done": {str(YESTERDAY): part(TOMORROW)}}, CUTOFF),
    ],
)
def test_the_cutoff_is_declared_or_when_the_last_needed_file_came(
    tables: Tables, changed: dict[str, Any], cutoff: dt.datetime
) -> None:
    found = known(tables, **changed).cutoff(DAY)
    assert found == cutoff or found == cutoff + dt.timedelta(microseconds=1)
    late = known(tables, **changed).cutoffs([DAY])
    assert late == ({} if cutoff == CUTOFF else {DAY: found})


def test_another_transform_touches_no_date(tables: Tables) -> None:
    before = digest(tables)
    features = USE_CASE["features"]

    def declared(**changes: Any) -> Any:
        written = {**USE_CASE, "features": {**features, **changes}}
        return digest(Tables(Plan(UseCase.model_validate(written), tables.plan.settings)))

    assert declared(transforms=[{"do": "clip", "of": "n", "low": 0}], max_categories=9) == before
    assert declared(numeric=["n", "m"]) != before
    assert declared(module=None) != before
    window = {"name": "w", "source": "done", "do": "count", "days": [1]}
    for made in ({"expressions": {"m": "n + 1"}}, {"windows": [window]}):
        assert declared(module=None, **made) not in (before, declared(module=None))


def digest(tables: Tables, date: dt.date = DAY, **changed: dict[str, Any]) -> Any:
    return known(tables, **changed).inputs([date])[str(date)]


def test_only_what_had_arrived_by_then_touches_a_date(tables: Tables) -> None:
    before = digest(tables)
    week_ago = str(DAY - dt.timedelta(days=7))
    too_old = str(DAY - dt.timedelta(days=8))
    done = {str(YESTERDAY): part(EVENING)}
    for unseen in (
        {**done, week_ago: part(LATER)},
        {**done, too_old: part(EVENING)},
        {str(YESTERDAY): part(EVENING, LATER)},
    ):
        assert digest(tables, done=unseen) == before
    for seen in (
        {**done, week_ago: part(EVENING)},
        {str(YESTERDAY): {**part(EVENING), "declared": "another rule"}},
        {str(YESTERDAY): part(LATER)},
    ):
        assert digest(tables, done=seen) != before


def test_a_date_without_entities_is_told_apart(tables: Tables) -> None:
    assert known(tables).has_entities(DAY)
    assert not known(tables).has_entities(DAY + dt.timedelta(days=1))
    assert not known(tables, list={str(DAY): part(TOMORROW)}).has_entities(DAY)


def test_dates_of_a_range_are_told_apart(tables: Tables) -> None:
    dates = Dates(YESTERDAY, DAY)
    assert set(known(tables).inputs(dates)) == {str(YESTERDAY), str(DAY)}
