"""A use case drafted from a file without a key runs from its landing to a lookup."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd

from tests.stack import Stack
from tests.unit.draft.files import planes

# The file is as old as this, so a night after it knows its rows.
WRITTEN = 1_577_880_000  # 2020-01-01, noon
DATE = "2020-01-03"
TRAINING = (("ingest",), ("conform",), ("gate", "--layer", "silver"), ("features",))
NIGHT = (("gate", "--layer", "features"), ("labels",), ("train",), ("evaluate",), ("promote",))
SCORES = (("predict",), ("gate", "--layer", "predictions"), ("publish",))
SECONDS = 900


def test_from_one_file_to_a_prediction(stack: Stack, tmp_path: Path) -> None:
    # Without the tail numbers nothing names an aircraft, so that the rows are numbered.
    file = tmp_path / "planes.csv"
    pd.read_csv(planes()).drop(columns="tailnum").to_csv(file, index=False)
    os.utime(file, (WRITTEN, WRITTEN))
    # Nothing of it is among what the flights have, in which others look for traces.
    places = ("usecases", "lake", "landing")
    own = {f"DAYBREAK_{place.upper()}": str(tmp_path / place) for place in places}
    here = replace(stack, environment={**stack.environment, **own})

    def daybreak(*words: str) -> str:
        done = here.daybreak(*words, seconds=SECONDS)
        assert done.returncode == 0, done.stderr
        return done.stdout

    daybreak("new", "engines", "--from", str(file), "--target", "engine", "--yes")
    assert json.loads(daybreak("check", "engines", "--json"))["problems"] == []
    for step, *layer in (*TRAINING, *NIGHT, *SCORES):
        daybreak("run", step, "engines", "--date", DATE, *layer)
    answer = json.loads(daybreak("lookup", "engines", "1", "--json"))
    assert answer["found"]
    assert answer["prediction"] in ("Turbo-fan", "Turbo-jet", "Reciprocating")
