"""A use case of one daily source, with lake and landing folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.lake.tables import Tables
from jobs.plan import Plan
from jobs.settings import Settings
from jobs.usecase import UseCase

USE_CASE = {
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
    "features": {"history": "7 days", "numeric": ["spent"]},
    "model": {"rule": {"by": ["spent"]}},
}


@pytest.fixture
def tables(tmp_path: Path, settings: Settings) -> Tables:
    placed = settings.model_copy(
        update={"landing": str(tmp_path / "landing"), "lake": str(tmp_path / "lake")}
    )
    return Tables(Plan(UseCase.model_validate(USE_CASE), placed))
