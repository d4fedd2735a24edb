"""What is said of a run that goes on only once a person has answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx
import pytest

from jobs import airflow_api, demo
from jobs.airflow_api import AirflowApi
from jobs.errors import Refused
from jobs.plan import Plan
from jobs.settings import Settings

DAG = "flight_delay__train"


def run_of(name: str, state: str) -> dict[str, object]:
    return {
        "dag_id": DAG,
        "dag_run_id": name,
        "partition_key": None,
        "state": state,
        "duration": None,
        "conf": {},
    }


def airflow(states: Mapping[str, tuple[str, str]]) -> AirflowApi:
    """An Airflow with some runs: the state of each, and that of its task `learning.approve`."""

    def answer(request: httpx.Request) -> httpx.Response:
        path, wanted = request.url.path, request.url.params
        runs = {name: run_of(name, state) for name, (state, _) in states.items()}
        if path.endswith("/dagRuns"):
            chosen = [run for run in runs.values() if run["state"] in wanted.get_list("state")]
            return httpx.Response(200, json={"dag_runs": chosen if wanted["offset"] == "0" else []})
        name = path.split("/dagRuns/")[1].partition("/")[0]
        if not path.endswith("/taskInstances"):
            return httpx.Response(200, json=runs[name])
        task = {"task_id": "learning.approve", "state": states[name][1], "try_number": 1}
        task |= {"duration": None, "start_date": None}
        return httpx.Response(200, json={"task_instances": [task]})

    http = httpx.Client(base_url="http://air:8080", transport=httpx.MockTransport(answer))
    return AirflowApi(http)


def test_a_run_that_asks_is_given_as_it_is() -> None:
    said: list[str] = []
    run = airflow({"one": ("running", "awaiting_input")}).wait(DAG, "one", said.append)
    assert run.state == "running"
    assert said == ["learning.approve: awaiting_input"]


def test_a_run_behind_one_that_asks_says_which_and_where() -> None:
    api = airflow({"two": ("queued", "none"), "one": ("running", "awaiting_input")})
    with pytest.raises(Refused) as refused:
        api.wait(DAG, "two", print)
    assert refused.value.sentence == (
        f"two of {DAG} has not begun: one comes first, and waits for a person's answer."
    )
    assert refused.value.remedy == (
        f"Answer on http://air:8080/dags/{DAG}/runs/one; the other then begins by itself."
    )


def test_a_run_behind_one_that_computes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"two": ("queued", "none"), "one": ("running", "running")}

    def later(_: float) -> None:
        states["two"] = ("success", "success")

    monkeypatch.setattr(airflow_api.time, "sleep", later)
    assert airflow(states).wait(DAG, "two", print).state == "success"


def test_a_demo_whose_training_asks_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def connect(_: Settings) -> Iterator[AirflowApi]:
        yield airflow({"one": ("running", "awaiting_input")})

    monkeypatch.setattr("jobs.airflow_api.connect", connect)
    monkeypatch.setattr("jobs.evaluation.cutoffs_decided", lambda _: set())
    monkeypatch.setattr(AirflowApi, "ready", lambda *_: None)
    monkeypatch.setattr(AirflowApi, "unpause", lambda *_: None)
    monkeypatch.setattr(AirflowApi, "unfinished", lambda *_: "one")
    with pytest.raises(Refused, match=f"one of {DAG} asks a person about the challenger"):
        demo._train(Plan.of(demo.USE_CASE, settings), print)
