"""A small use case of one daily source, and what arrives for it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from jobs.lake.local_rows import local_rows
from jobs.lake.tables import Tables
from jobs.plan import Plan
from jobs.settings import Settings
from jobs.usecase import UseCase
from tests.unit.places import placed

T0 = dt.datetime(2024, 1, 4, 1, 30, tzinfo=dt.UTC)

USE_CASE: dict[str, Any] = {
    "name": "visits",
    "about": {"question": "Who comes again?", "owner": "shop"},
    "entity": {"key": ["day", "who"], "date": "day", "source": "visits"},
    "timezone": "UTC",
    "schedule": {"cron": "0 2 * * *", "start": "2024-01-01"},
    "cutoff": "02:00",
    "sources": {
        "visits": {
            "landing": "visits/date={date}/*",
            "key": ["day", "who"],
            "date": "day",
            "columns": {
                "day": {"type": "date", "required": True},
                "who": {"type": "string", "required": True},
                "spent": {"type": "number", "min": 0},
            },
            "budget": {"share": 0.5},
        },
    },
    "label": {"source": "visits", "expression": "spent > 10", "maturity": "1 day"},
    "features": {"module": "features", "history": "7 days", "numeric": ["spent"]},
    "model": {"rule": {"by": ["spent"]}},
}


def tables_in(folder: Path, settings: Settings, use_case: dict[str, Any] = USE_CASE) -> Tables:
    """Its tables, with lake and landing folder in a folder of their own."""
    return Tables(Plan(UseCase.model_validate(use_case), placed(settings, folder)))


def arrive(
    spark: SparkSession,
    tables: Tables,
    day: dt.date,
    visits: list[tuple[str, str | None]],
    at: dt.datetime = T0,
) -> None:
    bronze, ledger, name, sha = tables.bronze("visits"), tables.ledger(), f"{day}.csv", f"{day}{at}"
    rows = [
        (str(day), who, spent, day, at, name, n, None, None, sha)
        for n, (who, spent) in enumerate(visits, 1)
    ]
    bronze.append(local_rows(spark, rows, bronze.schema).coalesce(1))
    entry = ("visits", name, sha, 1, len(visits), day, at, "taken", "", at)
    ledger.append(local_rows(spark, [entry], ledger.schema).coalesce(1))
