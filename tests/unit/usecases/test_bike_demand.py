"""The reference use case of the bicycles, on the real file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jobs.draft.examine import Examined, examine
from jobs.ingest.sample import write_sample
from jobs.plan import Plan
from jobs.settings import PROJECT, Settings
from jobs.spec.document import parse
from tests.shared_data import BIKES, shared

NAME = "bike_demand"
FOLDER = PROJECT / "jobs" / "usecases" / NAME
PARTS = ("casual", "registered")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    shutil.copytree(FOLDER, tmp_path / "usecases" / NAME)
    return Settings(home=tmp_path, usecases=tmp_path / "usecases")


def checked(settings: Settings) -> Examined:
    plan = Plan.of(NAME, settings)
    write_sample(plan, None, lambda _: None, copy=shared(BIKES))
    return examine(plan, parse(settings.usecases / NAME / "usecase.yaml"))


def test_nothing_in_the_file_is_against_it(settings: Settings) -> None:
    found = checked(settings)
    assert found.problems == ()
    assert found.sources == dict.fromkeys(("hours", "counts"), "17,379 rows of 1 file")


def test_the_two_that_add_up_to_the_count_are_named_as_leaks(settings: Settings) -> None:
    file = settings.usecases / NAME / "usecase.yaml"
    columns = "".join(f"      {name}: {{type: integer}}\n" for name in PARTS)
    written = file.read_text()
    written = written.replace("  counts:\n", f"{columns}  counts:\n")
    written = written.replace("windspeed, day_number", f"windspeed, {', '.join(PARTS)}, day_number")
    file.write_text(written)
    found = checked(settings)
    assert found.fails
    (leak,) = found.problems
    assert leak.said.startswith("casual + registered is 977 times cnt / 977 in every row")
    assert "casual and registered would give the answer away" in leak.said
