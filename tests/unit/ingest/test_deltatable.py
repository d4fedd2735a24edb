"""Delta tables as others land them: the newest version, in a folder and on S3."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from jobs.errors import Unavailable
from jobs.ingest.deltatable import Landed
from jobs.ingest.landing import landed, missing
from jobs.ingest.store import store
from jobs.ingest.text import Limits, Unreadable
from jobs.plan import Plan
from jobs.usecase import Format, Source, UseCase
from tests.unit.ingest.s3_server import Faults

DAY = dt.date(2024, 1, 2)


def of_tables(plan: Plan) -> Plan:
    """The use case with its people in a Delta table."""
    people = plan.usecase.sources["people"]
    delta = people.model_copy(update={"landing": "people", "format": Format(type="delta")})
    sources = {**plan.usecase.sources, "people": delta}
    usecase: UseCase = plan.usecase.model_copy(update={"sources": sources})
    return Plan(usecase, plan.settings)


def write(plan: Plan, who: list[str], mode: str = "overwrite") -> None:
    there = store(plan.settings.landing, plan.settings.s3_endpoint)
    address, options = there.table("people")
    if not options:
        Path(address).mkdir(parents=True, exist_ok=True)
    rows = pa.table({"who": who, "city": ["Rome"] * len(who)})
    write_deltalake(address, rows, mode=mode, storage_options=options)


def read(plan: Plan, spec: Source | None = None) -> list[tuple[str, int]]:
    there = store(plan.settings.landing, plan.settings.s3_endpoint)
    table = Landed.open(*there.table("people"))
    source = spec or plan.usecase.sources["people"]
    found = [row for batch in table.batches(source, DAY, Limits()) for row in batch.to_pylist()]
    return sorted((row["who"], row["_row"]) for row in found)


def test_the_newest_version_is_what_was_delivered(plan: Plan) -> None:
    tables = of_tables(plan)
    assert "people" in missing(tables, DAY)
    write(tables, ["ann"])
    (first,) = landed(tables, "people", None)
    assert (first.name, first.problem) == ("people", "")
    assert "people" not in missing(tables, DAY)
    before = Landed.open(*store(plan.settings.landing, None).table("people")).digest()
    write(tables, ["bob", "cid"], mode="append")
    (second,) = landed(tables, "people", None)
    assert (second.name, second.arrived_at > first.arrived_at) == ("people", True)
    assert [who for who, _ in read(tables)] == ["ann", "bob", "cid"]
    assert sorted(row for _, row in read(tables)) == [1, 2, 3]
    assert Landed.open(*store(plan.settings.landing, None).table("people")).digest() != before


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: [each.unlink() for each in folder.glob("*.parquet")], "cannot be read"),
        (lambda folder: next(folder.glob("_delta_log/*.json")).write_text("{"), "no Delta table"),
    ],
)
def test_a_damaged_table_is_refused_in_a_sentence(plan: Plan, spoil: object, why: str) -> None:
    tables = of_tables(plan)
    write(tables, ["ann"])
    spoil(Path(plan.settings.landing) / "people")  # type: ignore[operator]
    with pytest.raises(Unreadable, match=why):
        read(tables)


def test_columns_are_compared_as_of_any_file(plan: Plan) -> None:
    tables = of_tables(plan)
    write(tables, ["ann"])
    people = tables.usecase.sources["people"]
    columns = {name: column for name, column in people.columns.items() if name != "city"}
    with pytest.raises(Unreadable, match="has unexpected 'city'"):
        read(tables, people.model_copy(update={"columns": columns}))


def test_an_empty_table_is_refused(plan: Plan) -> None:
    tables = of_tables(plan)
    write(tables, ["ann"])
    DeltaTable(str(Path(plan.settings.landing) / "people")).delete()
    with pytest.raises(Unreadable, match="has columns but no rows"):
        read(tables)


def test_a_table_in_a_bucket(in_s3: Plan, s3: object) -> None:
    tables = of_tables(in_s3)
    write(tables, ["ann", "bob"])
    (found,) = landed(tables, "people", None)
    assert found.name == "people"
    assert read(tables) == [("ann", 1), ("bob", 2)]


@pytest.mark.parametrize("fault", [(503, "SlowDown"), (400, "ExpiredToken")])
def test_a_fault_of_the_store_is_not_held_against_a_table(
    in_s3: Plan, s3: Any, faults: Faults, fault: tuple[int, str]
) -> None:
    tables = of_tables(in_s3)
    write(tables, ["ann"])
    there = store(in_s3.settings.landing, in_s3.settings.s3_endpoint)
    opened = Landed.open(*there.table("people"))
    faults.planted = fault
    with pytest.raises(Unavailable, match="does not give a Delta table"):
        list(opened.batches(tables.usecase.sources["people"], DAY, Limits()))
    with pytest.raises(Unavailable, match="does not give a Delta table"):
        read(tables)
    faults.planted = None
    assert read(tables) == [("ann", 1)]


def test_a_table_in_a_bucket_that_lacks_a_file_is_refused(in_s3: Plan, s3: Any) -> None:
    tables = of_tables(in_s3)
    write(tables, ["ann"])
    (file,) = (
        each["Key"]
        for each in s3.list_objects_v2(Bucket="landing")["Contents"]
        if each["Key"].endswith(".parquet")
    )
    s3.delete_object(Bucket="landing", Key=file)
    with pytest.raises(Unreadable, match="cannot be read"):
        read(tables)
