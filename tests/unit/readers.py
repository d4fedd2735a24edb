"""A use case whose entities have no date: which readers will give up?"""

from __future__ import annotations

import datetime as dt
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from jobs.lake.local_rows import local_rows
from jobs.lake.table import Table
from jobs.plan import Plan
from jobs.settings import Settings
from jobs.usecase import Entity, RandomSplit, UseCase

START = dt.date(2024, 1, 1)
SOURCE: dict[str, Any] = {
    "arrives": {"as": "snapshot"},
    "key": ["reader"],
    "columns": {
        "reader": {"type": "integer"},
        "joined": {"type": "date"},
        "loans": {"type": "number"},
        "gave_up": {"type": "boolean"},
    },
}
DATED = UseCase.model_validate(
    {
        "name": "readers",
        "about": {"question": "Who will give up reading?", "owner": "library"},
        "entity": {"key": ["reader"], "date": "joined", "source": "people"},
        "timezone": "Europe/Vienna",
        "schedule": {"cron": "0 3 * * *", "start": START},
        "cutoff": "03:00",
        "sources": {
            "people": {**SOURCE, "landing": "people/*"},
            "ended": {**SOURCE, "landing": "ended/*"},
        },
        "label": {"source": "ended", "expression": "gave_up", "maturity": "3 days"},
        "features": {"history": "0 days", "numeric": ["loans"]},
        "model": {"rule": {"by": ["loans"]}},
    }
)
UNDATED = DATED.model_copy(
    update={
        "entity": Entity(key=("reader",), source="people"),
        "split": RandomSplit(by="random"),
        "label": DATED.label.model_copy(update={"maturity": None}),
    }
)


def plan(settings: Settings, usecase: UseCase = UNDATED) -> Plan:
    return Plan(usecase, settings)


def rows(spark: SparkSession, table: Table, *given: dict[str, Any]) -> DataFrame:
    """Rows of a table, null where nothing is given."""
    names = table.schema.names
    return local_rows(spark, [tuple(row.get(n) for n in names) for row in given], table.schema)
