"""A use case of one daily source, with lake and landing folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.lake.tables import Tables
from jobs.settings import Settings
from tests.unit.conform.visits import tables_in


@pytest.fixture
def tables(tmp_path: Path, settings: Settings) -> Tables:
    return tables_in(tmp_path, settings)
