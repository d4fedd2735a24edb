"""Every fault changes the file, in each format, and says who should see it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from jobs.drill import damage
from jobs.drill.faults import faults
from jobs.drill.paper import Paper, Row
from jobs.settings import PROJECT
from jobs.spec.read import load
from jobs.usecase import Column, UseCase
from tests.unit.learning.parcels import SPEC

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
    listed, left_out = faults(usecase, dict.fromkeys(usecase.sources, profile))
    assert len({fault.name for fault in listed}) == 20
    assert not left_out
    for fault in listed:
        spec = usecase.sources[fault.source]
        papers = [
            Paper("x.csv", spec, tuple(spec.columns), tuple(rows(fault.source, day)))
            for day in (DAY, BEFORE)
        ]
        assert fault.plant(*papers) != papers[0].written(), fault.name
        assert fault.caught_by


def bare(**of_plan: Any) -> UseCase:
    """A use case with nothing but keys and a label of yes and no; `of_plan` changes one source."""
    sources = {**SPEC["sources"], "plan": {**SPEC["sources"]["plan"], **of_plan}}
    return UseCase.model_validate({**SPEC, "sources": sources})


def planned(usecase: UseCase) -> tuple[set[str], list[str]]:
    planted, left_out = faults(usecase, {name: {} for name in usecase.sources})
    return {fault.name for fault in planted}, left_out


def test_faults_that_a_use_case_cannot_have_are_left_out_with_a_reason() -> None:
    columns = {"sent_on": {"type": "date"}, "parcel": {"type": "date"}}
    planted, left_out = planned(bare(columns=columns))
    assert len(planted) + len(left_out) == 20
    assert left_out == [
        "impossible values: actuals has no numeric column with a largest value",
        "shifted units: times 60: actuals has no numeric column in its label",
        "shifted units: plus 273: actuals has no numeric column",
        "a drifted column: plan has no numeric column",
        "a stuck sensor: actuals has no numeric column",
        "a flood of categories: plan has no free text column",
    ]


def test_a_key_counts_as_required() -> None:
    key = {"sent_on": {"type": "date"}, "parcel": {"type": "integer"}}
    usecase = bare(columns=key)
    planted, _ = faults(usecase, {name: {} for name in usecase.sources})
    assert [each.named for each in planted if each.name == "a burst of nulls in a key"] == [
        "parcel"
    ]
    assert any(
        "no required column" in why for why in planned(bare(key=["sent_on"], columns=key))[1]
    )


def test_delta_tables_are_left_alone() -> None:
    planted, left_out = planned(bare(format={"type": "delta"}))
    assert "the file is empty: plan is delivered as a Delta table" in left_out
    assert "the file is cut off" in planted


def test_columns_that_a_source_keeps_leak_nothing() -> None:
    assert (
        "an added column: the label leaks: plan keeps columns that nobody declared"
        in planned(bare(drift="keep_extra"))[1]
    )


def test_every_planted_fault_of_a_bare_use_case_changes_the_file() -> None:
    usecase = bare()
    row: Row = {"sent_on": str(DAY), "parcel": "{n}", "late": "true"}
    for fault in faults(usecase, {name: {} for name in usecase.sources})[0]:
        spec = usecase.sources[fault.source]
        papers = [
            Paper(
                "x.csv",
                spec,
                tuple(spec.columns),
                tuple(
                    {name: str(row[name]).format(n=n + first) for name in spec.columns}
                    for n in range(60)
                ),
            )
            for first in (0, 60)
        ]
        assert fault.plant(*papers) != papers[0].written(), fault.name


def test_dates_of_next_year_are_written_as_their_column_is() -> None:
    usecase = bare()
    source = next(iter(usecase.sources.values()))
    day = Column(type="date", format="M/d/yyyy")
    spec = source.model_copy(update={"columns": {**source.columns, "sent_on": day}})
    row: Row = {**dict.fromkeys(spec.columns, "1"), "sent_on": "1/31/2024"}
    paper = Paper("x.csv", spec, tuple(spec.columns), (row,))
    assert b"1/31/2025" in damage.next_year("sent_on")(paper, paper)


def test_a_refusal_must_be_about_the_fault() -> None:
    found, _ = faults(flights(), {name: {} for name in flights().sources})
    planted = {each.name: each for each in found}
    nulls, empty = planted["a burst of nulls in a key"], planted["the file is empty"]
    said = "Quarantine would take 9 of 9 rows of flight_delay's schedule; most frequent: required "
    assert nulls.is_told_by("conform", said + "of carrier (9 rows).", "x.csv")
    assert not nulls.is_told_by("conform", said + "of carrier_name (9 rows).", "x.csv")
    assert not nulls.is_told_by("gate silver", said + "of carrier (9 rows).", "x.csv")
    assert empty.is_told_by("ingest", "1 file(s) were refused: a/x.csv is empty.", "a/x.csv")
    assert not empty.is_told_by("ingest", "1 file(s) were refused: a/y.csv is empty.", "a/x.csv")
