"""Data that are no part of the project, and lie beside the checkout where there are any."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.settings import PROJECT

SHARED = PROJECT.parent / "shared" / "data"
BIKES = "bike_demand/hour.csv"
TAGS = "content_tags/dataset.csv"


def shared(name: str) -> Path:
    """A file of them; the test is skipped where it is not there."""
    if not (path := SHARED / name).is_file():
        pytest.skip(f"{path} is not there")
    return path
