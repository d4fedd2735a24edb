"""A small use case with one daily source and one snapshot, in a landing folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.plan import Plan
from jobs.settings import Settings
from jobs.usecase import UseCase

USE_CASE = {
    "name": "visits",
    "about": {"question": "Who comes again?", "owner": "shop"},
    "entity": {"key": ["day", "who"], "date": "day", "source": "visits"},
    "timezone": "America/New_York",
    "schedule": {"cron": "0 2 * * *", "start": "2024-01-01"},
    "cutoff": "02:00",
    "sources": {
        "visits": {
            "landing": "visits/date={date}/*",
            "arrives": {"as": "daily", "lag": "1 day"},
            "key": ["day", "who"],
            "date": "day",
            "columns": {
                "day": {"type": "date", "required": True},
                "who": {"type": "string", "required": True},
                "spent": {"type": "number", "min": 0},
            },
            "budget": {"share": 0.5},
        },
        "people": {
            "landing": "people/*.csv",
            "arrives": {"as": "snapshot"},
            "key": ["who"],
            "columns": {"who": {"type": "string"}, "city": {"type": "string"}},
        },
    },
    "label": {"source": "visits", "expression": "spent > 10", "maturity": "1 day"},
    "features": {"history": "7 days", "numeric": ["spent"]},
    "model": {"rule": {"by": ["spent"]}},
}


@pytest.fixture
def plan(tmp_path: Path, settings: Settings) -> Plan:
    placed = settings.model_copy(
        update={"landing": str(tmp_path / "landing"), "lake": str(tmp_path / "lake")}
    )
    return Plan(UseCase.model_validate(USE_CASE), placed)
