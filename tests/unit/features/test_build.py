"""What becomes of a feature module's columns."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.features.build import build
from jobs.lake.local_rows import local_rows
from jobs.lake.tables import Tables
from jobs.plan import Dates, Plan
from jobs.prediction.published_table import PublishedTable
from jobs.settings import Settings
from jobs.usecase import UseCase
from tests.unit.features.test_touched import USE_CASE

DAY = dt.date(2024, 7, 10)
MODULE = '''
def build(inputs, rows):
    return inputs.silver["list"].sparkSession.sql("""
        select date'2024-07-10' as day, 'ann' as who, date'2024-07-10' as prediction_date,
            3 as n, timestamp'2024-07-10 01:30:00' as seen_at, date'2024-07-10' as born_on,
            'hello' as note, 5 as size
    """)
'''
FEATURES = {
    "module": "features",
    "history": "0 days",
    "numeric": ["n"],
    "categorical": ["size"],
    "timestamp": ["seen_at", "born_on"],
    "text": ["note"],
    "transforms": [
        {"do": "calendar", "of": ["seen_at", "born_on"], "parts": ["hour"]},
        {"do": "length", "of": "note"},
    ],
}


def test_every_kind_has_its_type(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "visits").mkdir()
    (tmp_path / "visits" / "features.py").write_text(MODULE, encoding="utf-8")
    predict = {"columns": ["seen_at", "note", "n"]}
    usecase = UseCase.model_validate({**USE_CASE, "features": FEATURES, "predict": predict})
    plan = Plan(usecase, settings.model_copy(update={"usecases": tmp_path}))
    tables = Tables(plan)
    silver = {name: local_rows(spark, [], tables.silver(name).schema) for name in usecase.sources}

    found = tables.features().conforming(build(plan, silver, Dates.one(DAY)))

    (row,) = found.toArrow().to_pylist()
    assert (row["n"], row["size"], row["note"]) == (3.0, "5", "hello")
    assert row["seen_at"] == dt.datetime(2024, 7, 10, 1, 30, tzinfo=dt.UTC)
    # Midnight in New York.
    assert row["born_on"] == dt.datetime(2024, 7, 10, 4, tzinfo=dt.UTC)
    published = {column.name: column.kind for column in PublishedTable.of(plan).columns}
    assert published == {"seen_at": "timestamp", "note": "string", "n": "number"}
    types = {field.name: field.dataType.simpleString() for field in tables.predictions().schema}
    assert [types[name] for name in predict["columns"]] == ["timestamp", "string", "double"]


def test_a_module_adds_to_what_is_declared(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "visits").mkdir()
    adds = "def build(inputs, rows):\n    return rows.selectExpr('*', 'half * 4 as twice')\n"
    (tmp_path / "visits" / "more.py").write_text(adds, encoding="utf-8")
    features = {
        "module": "more",
        "history": 0,
        "expressions": {"half": "n / 2"},
        "numeric": ["n", "half", "twice"],
    }
    usecase = UseCase.model_validate({**USE_CASE, "features": features})
    plan = Plan(usecase, settings.model_copy(update={"usecases": tmp_path}))
    tables = Tables(plan)
    silver = {name: local_rows(spark, [], tables.silver(name).schema) for name in usecase.sources}
    evening = dt.datetime(2024, 7, 9, 20, tzinfo=dt.UTC)
    row = (DAY, "ann", 3.0, DAY, evening, "f", 1, None)
    silver["list"] = local_rows(spark, [row], tables.silver("list").schema)

    (found,) = build(plan, silver, Dates.one(DAY)).toArrow().to_pylist()

    assert [found[name] for name in ("who", "n", "half", "twice")] == ["ann", 3.0, 1.5, 6.0]
