"""Columns that are called like words of SQL, from bronze to gold."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.conform.conform import conform
from jobs.features.build import build
from jobs.lake.local_rows import local_rows
from jobs.lake.tables import Tables
from jobs.learning.labels import labels_of
from jobs.plan import Dates, Plan
from jobs.quality import gate, suite
from jobs.settings import Settings
from jobs.usecase import UseCase
from tests.unit.places import placed

BEFORE, DATE = dt.date(2024, 1, 2), dt.date(2024, 1, 3)
YES, NO = "it's", '"no"'
COLUMNS = {
    "list": {"order": "string", "date": "date", "select": "string", "true": "integer"},
    "done": {"order": "string", "date": "date", "null": "number", "true": "integer"},
    "from": {"order": "string", "case": "string"},
}
USE_CASE: dict[str, Any] = {
    "name": "table",
    "about": {"question": "Which orders grow?", "owner": "shop"},
    "entity": {"key": ["order", "date"], "date": "date", "source": "list"},
    "timezone": "UTC",
    "schedule": {"cron": "0 4 * * *", "start": "2024-01-01"},
    "cutoff": "04:00",
    "sources": {
        name: {
            "landing": f"{name}/*" if name == "from" else f"{name}/{{date}}/*",
            "arrives": {"as": "snapshot" if name == "from" else "daily"},
            "key": ["order"] if name == "from" else ["order", "date"],
            "date": None if name == "from" else "date",
            "columns": {column: {"type": kind} for column, kind in columns.items()},
            "rules": [{"name": "order", "expression": "length(order) > 0"}],
        }
        for name, columns in COLUMNS.items()
    },
    "label": {
        "source": "done",
        "expression": "if(`null` > 2, 'it''s', '\"no\"')",
        "type": "multiclass",
        "classes": [YES, NO, "null"],
        "maturity": "1 day",
    },
    "features": {
        "history": "2 days",
        "joins": [{"source": "from", "by": "order", "columns": ["case"]}],
        "expressions": {"group": "length(`select`)", "end": "group + `true`"},
        "windows": [
            {
                "name": "null",
                "source": "done",
                "do": "mean",
                "measure": "`null`",
                "by": ["true"],
                "days": [2],
            },
            {
                "name": "where",
                "source": "done",
                "do": "count",
                "where": "`null` > 0",
                "by": ["order"],
                "days": [2],
            },
        ],
        "numeric": ["true", "group", "end", "null_2", "where_2"],
        "categorical": ["select", "case"],
    },
    "gates": {
        "features": [
            {"expect": "expect_column_values_to_not_be_null", "arguments": {"column": "select"}}
        ]
    },
    "split": {"by": "time", "validation": "2 days", "holdout": "2 days"},
    "model": {"rule": {"by": ["select"]}},
}
ROWS: dict[str, list[tuple[dt.date, tuple[str, ...]]]] = {
    "list": [(DATE, ("a", str(DATE), YES, "7"))],
    "done": [
        (BEFORE, ("a", str(BEFORE), "2.5", "7")),
        (BEFORE, ("b", str(BEFORE), "1.0", "8")),
    ],
    "from": [(BEFORE, ("a", NO))],
}


@pytest.fixture
def plan(tmp_path: Path, settings: Settings) -> Plan:
    return Plan(UseCase.model_validate(USE_CASE), placed(settings, tmp_path))


def silver(spark: SparkSession, plan: Plan, source: str) -> DataFrame:
    bronze, rows = Tables(plan).bronze(source), []
    for number, (day, texts) in enumerate(ROWS[source], 1):
        values = dict(zip(COLUMNS[source], texts, strict=True))
        at = dt.datetime.combine(day, dt.time(1), dt.UTC)
        values |= {"_batch_date": day, "_arrived_at": at, "_file": "x", "_row": number}
        rows.append(tuple(values.get(name) for name in bronze.schema.names))
    found = conform(local_rows(spark, rows, bronze.schema), plan.usecase.sources[source])
    assert found.quarantine.count() == 0
    return found.silver


def test_words_of_sql_are_columns_like_others(spark: SparkSession, plan: Plan) -> None:
    rows = {name: silver(spark, plan, name) for name in COLUMNS}
    made = build(plan, rows, Dates.one(DATE))
    (row,) = made.drop("_cutoff_at").collect()
    assert row.asDict() == {
        "order": "a",
        "date": DATE,
        "prediction_date": DATE,
        "true": 7.0,
        "group": 4.0,
        "end": 11.0,
        "null_2": 2.5,
        "where_2": 1.0,
        "select": YES,
        "case": NO,
    }
    for found, expected in (
        (rows["list"], suite.silver(plan, "list")),
        (made, suite.features(plan, Dates.one(DATE))),
    ):
        assert gate.validate(found, expected, 1).passed

    labels = labels_of(plan, rows["done"]).orderBy("order")
    assert [(each["order"], each["label"]) for each in labels.collect()] == [("a", YES), ("b", NO)]
