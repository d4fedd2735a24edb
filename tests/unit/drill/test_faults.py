"""Every fault changes the file, in each format, and says who should see it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from jobs.drill.faults import faults
from jobs.drill.paper import Paper, Row
from jobs.settings import PROJECT
from jobs.usecase import UseCase, load

DAY, BEFORE = dt.date(2013, 10, 6), dt.date(2013, 10, 5)


def flights() -> UseCase:
    return load(PROJECT / "jobs" / "usecases" / "flight_delay")


def rows(source: str, day: dt.date) -> list[Row]:
    columns = flights().sources[source].columns
    text: dict[str, Any] = {
        "date": str(day),
        "integer": "{n}",
        "number": "{n}.5",
        "string": "AB",
        "timestamp": "2013-10-06T05:00:00Z",
    }
    return [
        {name: text[column.type].format(n=n) for name, column in columns.items()} for n in range(60)
    ]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_file_comes_back_as_it_was_read(kind: str) -> None:
    spec = flights().sources["weather"]
    spec = spec.model_copy(update={"format": spec.format.model_copy(update={"type": kind})})
    name = "x.parquet" if kind == "parquet" else "x.csv.gz"
    written = Paper(name, spec, tuple(spec.columns), tuple(rows("weather", DAY))).written()
    again = Paper.read(name, written, spec, DAY)
    assert list(again.rows) == rows("weather", DAY)
    assert Paper.read(name, again.written(), spec, DAY) == again


def test_twenty_faults_that_all_change_the_file() -> None:
    usecase = flights()
    profile = {
        f"{statistic} {name}": 2.0
        for source in usecase.sources.values()
        for name in source.columns
        for statistic in ("mean", "spread", "distinct")
    }
    listed = faults(usecase, dict.fromkeys(usecase.sources, profile))
    assert len({fault.name for fault in listed}) == 20
    for fault in listed:
        spec = usecase.sources[fault.source]
        papers = [
            Paper("x.csv", spec, tuple(spec.columns), tuple(rows(fault.source, day)))
            for day in (DAY, BEFORE)
        ]
        assert fault.plant(*papers) != papers[0].written(), fault.name
        assert fault.caught_by
