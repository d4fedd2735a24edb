"""A run of the train DAG that asks a person, who says no."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from jobs.airflow_api import ASKING, FINISHED, AirflowApi, connect
from jobs.settings import PROJECT
from tests.stack import Stack
from tests.unit.draft.files import planes

NAME = "asked"
TRAIN = f"{NAME}__train"
NO = {"chosen_options": ["Reject"], "params_input": {"reason": "not before Monday"}}
OUTCOMES = ("needs_person", "keep")
WRITTEN = 1_577_880_000  # 2020-01-01, noon
ANSWER = "/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/-1/hitlDetails"


@pytest.fixture
def use_case(stack: Stack, tmp_path: Path) -> Iterator[str]:
    """One that Airflow reads with the others; taken away again."""
    # Without tail numbers: nothing of it is among what the flights have, where others look for
    # traces of an aircraft.
    file = tmp_path / "planes.csv"
    pd.read_csv(planes()).drop(columns="tailnum").to_csv(file, index=False)
    os.utime(file, (WRITTEN, WRITTEN))
    folder = PROJECT / "jobs" / "usecases" / NAME
    assert not folder.exists()
    told = stack.daybreak("new", NAME, "--from", str(file), "--target", "engine", "--yes")
    assert told.returncode == 0, told.stderr
    with (folder / "usecase.yaml").open("a", encoding="utf-8") as file_of:
        file_of.write("\npromote: {approval: required}\n")
    yield NAME
    for place in (folder, *(stack.home / each / NAME for each in ("landing", "lake"))):
        shutil.rmtree(place, ignore_errors=True)


def refuse_all(airflow: AirflowApi) -> list[str]:
    """Say no to every run that asks, that of the clock among them, until none is left."""
    answered: list[str] = []
    while some := [run for run in airflow.runs(TRAIN) if run.state not in FINISHED]:
        for run_id in (run.run_id for run in some if run.run_id not in answered):
            for task in (one.name for one in airflow.tasks(TRAIN, run_id) if one.state == ASKING):
                address = ANSWER.format(dag=TRAIN, run=run_id, task=task)
                airflow.http.patch(address, json=NO).raise_for_status()
                answered.append(run_id)
        time.sleep(1)
    assert {run.state for run in airflow.runs(TRAIN)} == {"success"}
    return answered


def test_a_challenger_that_a_person_refuses_scores_nothing(stack: Stack, use_case: str) -> None:
    with connect(stack.settings) as airflow:
        airflow.ready(TRAIN)
        airflow.unpause(TRAIN)
        run_id = airflow.trigger(TRAIN)
        asked = refuse_all(airflow)
    assert run_id in asked
    decided = json.loads(stack.daybreak("decisions", use_case, "--json").stdout)
    rules, people = ([each for each in decided if each["outcome"] == one] for one in OUTCOMES)
    assert len(rules) == len(people) == len(asked) == len(decided) / 2
    assert {each["by"] for each in rules} == {"daybreak"}
    for each in people:
        assert (each["by"], each["reason"]) == (stack.settings.airflow_user, "not before Monday")
        assert each["champion_version"] is None
        assert "A person must approve it." in each["ruled"]
    refused = stack.daybreak("run", "predict", use_case, "--date", "2020-01-02")
    assert refused.returncode == 1
    assert f"{use_case} has no model with the alias champion" in refused.stderr
