"""An entity is checked when it is written, and is the same in records, bronze and silver."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import StructField, StructType

from jobs.erasure.entity import Entity
from jobs.errors import WrongUsage
from jobs.lake.tables import TYPES
from jobs.usecase import Column, Source


def source(**types: str) -> Source:
    columns = {name: {"type": kind} for name, kind in types.items()}
    return Source.model_validate(
        {"landing": "x/*", "arrives": {"as": "snapshot"}, "key": [*types], "columns": columns}
    )


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *[("integer", value) for value in ("42.0", "1e3", "nan", "1_000", "٤٢", "9" * 19)],
        *[("number", value) for value in ("nan", "Infinity", "1e999", "1_0.5", "ten")],
        *[("date", value) for value in ("2024-1-2", "2024-02-30", "20240102", "today")],
        *[("timestamp", value) for value in ("2024-01-02T05:00:00", "2024-01-02", "now")],
        ("boolean", "maybe"),
    ],
)
def test_a_value_must_be_of_its_columns_type(kind: str, value: str) -> None:
    with pytest.raises(WrongUsage, match=f"who is {kind}") as refused:
        Entity({"who": value}).require_known([source(who=kind)])
    assert refused.value.remedy.startswith("Write it like ")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", "Ann\nLee"),
        ("integer", "-042"),
        ("number", "1e3"),
        ("date", "2024-02-29"),
        ("timestamp", "2024-01-02 05:00-05:00"),
        ("boolean", "True"),
    ],
)
def test_a_sound_value_is_accepted(kind: str, value: str) -> None:
    Entity({"who": value}).require_known([source(who=kind)])


def test_a_value_that_one_source_can_hold_is_accepted() -> None:
    Entity({"who": "A-17"}).require_known([source(who="integer"), source(who="string")])


WAYS: dict[str, Any] = {
    "integer": ("42", ["42", "042", " 42", "42.0", "4.2e1", "42.5", "x", "", None]),
    "number": ("0.5", ["0.5", ".50", "5e-1", "0.50001", "half", "NaN", None]),
    "date": ("2024-01-02", ["2024-01-02", "2024-1-2", "2024-01-02T09:00", "2024-01-03", "x", None]),
    "timestamp": (
        "2024-01-02T05:00:00Z",
        [
            *("2024-01-02T00:00:00-05:00", "2024-01-02 05:00:00", "2024-01-02T05:00Z"),
            *("2024-01-02T05:00:01Z", "x", None),
        ],
    ),
    "boolean": ("true", ["true", "TRUE", "1", "false", "0", "x", None]),
    "string": ("042", ["042", "42", "0042", " 042", None]),
}


# By the format of a column, and its zone.
WRITTEN: dict[tuple[str, str | None], Any] = {
    ("d/M/yyyy", None): (
        "2024-02-01",
        ["1/2/2024", "01/02/2024", " 1/2/2024\t", "2/1/2024", "2024-02-01", "x", None],
    ),
    ("yyyy-MM-dd H:mm", "Europe/Vienna"): (
        "2024-07-01T05:00Z",
        ["2024-07-01 7:00", "2024-07-01 07:00", "2024-07-01 5:00", "2024-07-01T05:00Z", None],
    ),
}
BRONZE = "who string, _malformed string"
CASES = [
    *((Column.model_validate({"type": kind}), *ways) for kind, ways in WAYS.items()),
    *(
        (Column(type="timestamp" if zone else "date", format=written, zone=zone), *ways)
        for (written, zone), ways in WRITTEN.items()
    ),
]


@pytest.mark.parametrize(("column", "value", "texts"), CASES)
def test_spark_knows_the_entity_as_python_does(
    spark: SparkSession, column: Column, value: str, texts: list[str | None]
) -> None:
    entity, columns = Entity({"who": value}), {"who": column}
    owns = entity.owns(columns)
    rows = spark.createDataFrame([(text, None) for text in texts], BRONZE)
    found = rows.select(entity.in_bronze(columns)).collect()
    assert [row[0] for row in found] == [owns({"who": text}) for text in texts]
    assert any(row[0] for row in found)
    assert not all(row[0] for row in found)


def test_neighbours_of_a_large_number_are_others(spark: SparkSession) -> None:
    columns = {"who": Column(type="integer")}
    texts = [("9007199254740993", None), ("9007199254740992", None)]
    mine = Entity({"who": "9007199254740993"}).in_bronze(columns)
    rows = spark.createDataFrame(texts, BRONZE)
    assert [row[0] for row in rows.select(mine).collect()] == [True, False]


def test_a_value_of_another_type_is_nobodys_in_a_typed_table(spark: SparkSession) -> None:
    schema = StructType([StructField("who", TYPES["integer"])])
    rows = spark.createDataFrame([(42,), (17,)], schema)
    assert rows.where(Entity({"who": "042"}).typed_in(schema)).count() == 1
    assert rows.where(Entity({"who": "A-17"}).typed_in(schema)).count() == 0
    assert rows.where(Entity({"else": "42"}).typed_in(schema)).count() == 0


def test_a_moment_may_be_said_without_its_seconds(spark: SparkSession) -> None:
    schema = StructType([StructField("at", TYPES["timestamp"])])
    rows = spark.createDataFrame([(dt.datetime(2024, 7, 1, 5, tzinfo=dt.UTC),)], schema)
    assert rows.where(Entity({"at": "2024-07-01T05:00Z"}).typed_in(schema)).count() == 1


def test_raw_text_names_a_day_in_the_format_of_its_column() -> None:
    entity = Entity({"day": "2024-02-01", "who": "42"})
    columns = {"day": Column(type="date", format="d/M/yyyy"), "who": Column(type="integer")}
    for text in ("42,1/2/2024,x,y", "01/02/2024;42", "2024-02-01 42"):
        assert entity.is_named_in(text, columns), text
    for text in ("42,2/1/2024", "42,11/2/2024", "42,1/2/20240", "43,1/2/2024"):
        assert not entity.is_named_in(text, columns), text
