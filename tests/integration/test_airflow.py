"""The DAGs on a running Airflow, driven through its REST API as the command line does.

The stack is as the demo left it: a training, and the nights of 1 to 7 October 2013.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

import httpx
import pytest

from jobs.airflow_api import AirflowApi, connect
from jobs.errors import Refused, Unavailable
from tests.stack import Stack

NIGHTLY, TRAIN = "flight_delay__nightly", "flight_delay__train"


@pytest.fixture
def airflow(stack: Stack) -> Iterator[AirflowApi]:
    with connect(stack.settings) as api:
        for dag in (NIGHTLY, TRAIN):
            api.ready(dag)
            api.unpause(dag)
        yield api


def test_every_dag_file_is_read_and_nothing_runs_by_itself(airflow: AirflowApi) -> None:
    assert airflow.import_errors() == []
    assert [run for run in airflow.runs(TRAIN) if run.run_id.startswith("scheduled")] == []


def test_a_night_whose_files_did_not_land_says_which(airflow: AirflowApi) -> None:
    run_id = airflow.trigger(NIGHTLY, date=dt.date(2013, 11, 5))

    run = airflow.wait(NIGHTLY, run_id, print)

    assert (run.state, run.date) == ("failed", "2013-11-05")
    sentence = airflow.failures(NIGHTLY, run_id)[0]
    assert "flight_delay/schedule/date=2013-11-05" in sentence
    states = {task.name: (task.state, task.attempt) for task in airflow.tasks(NIGHTLY, run_id)}
    assert states["bronze.ingest"] == ("failed", 1)
    assert states["warehouse.publish"] == ("upstream_failed", 0)


def test_the_demo_trained_and_ran_seven_nights(airflow: AirflowApi) -> None:
    assert [run.state for run in airflow.runs(TRAIN)][-1] == "success"
    nights = sorted(
        run.date
        for run in airflow.runs(NIGHTLY)
        if run.run_id.startswith("backfill") and run.state == "success" and run.date
    )
    assert nights == [f"2013-10-0{day}" for day in range(1, 8)]
    assert airflow.closed(NIGHTLY)


def test_a_night_again_by_its_form_changes_nothing(airflow: AirflowApi) -> None:
    run_id = airflow.trigger(NIGHTLY, {"date": "2013-10-07"})

    assert airflow.unfinished(NIGHTLY, {"date": "2013-10-07"}) == run_id
    assert airflow.unfinished(NIGHTLY, {"date": "2013-10-06"}) is None
    run = airflow.wait(NIGHTLY, run_id, print)

    assert airflow.unfinished(NIGHTLY, {"date": "2013-10-07"}) is None
    assert airflow.failures(NIGHTLY, run_id) == []
    assert run.state == "success"
    tasks = {task.name: task for task in airflow.tasks(NIGHTLY, run_id)}
    assert tasks["monitoring.monitor"].state == "success"
    ingested = airflow.task_log(NIGHTLY, run_id, tasks["bronze.ingest"])
    assert any("2013-10-07: took in 0 files with 0 rows" in line for line in ingested)


def test_a_gate_s_task_links_to_its_data_docs(airflow: AirflowApi, stack: Stack) -> None:
    (run_id,) = [run.run_id for run in airflow.runs(NIGHTLY) if run.date == "2013-10-03"]
    for task in ("silver.gate", "gold.labels", "gold.gate_features", "gold.gate_predictions"):
        path = f"/api/v2/dags/{NIGHTLY}/dagRuns/{run_id}/taskInstances/{task}/links"
        links = airflow.http.get(path).json()["extra_links"]
        assert links == {"Data Docs": f"/daybreak/gates/{NIGHTLY}/2013-10-03"}
    page = f"/daybreak/gates/{NIGHTLY}/2013-10-03"
    answered = airflow.http.get(page)
    assert answered.status_code == 200, answered.text
    shown = answered.text
    for table in ("silver.actuals", "gold.labels", "gold.features", "gold.predictions"):
        link = rf'<a href="2013-10-03/({table}/[^"]+)">{table}</a></td><td>let through</td>'
        links = re.findall(link, shown)
        assert len(links) == 1, (table, shown)
        (found,) = links
        document = airflow.http.get(f"{page}/{found}")
        assert "Expectation" in document.text
        # What is in the data may be in the page, and must not run there.
        safe = document.headers["Content-Security-Policy"]
        assert safe.startswith("sandbox; default-src 'none'")
        assert "script-src" not in safe

    for nowhere in (
        f"{page}/silver.nobody/x",
        f"{page}/gold.features/x",
        page.replace("03", "99"),
        page.replace("fl", "x"),
    ):
        assert airflow.http.get(nowhere).status_code == 404
    for visitor in (page, f"{page}/{found}"):
        assert httpx.get(f"{stack.settings.airflow_url}{visitor}").status_code == 401


def test_an_unknown_dag_is_refused(airflow: AirflowApi) -> None:
    with pytest.raises(Refused, match="Airflow has no DAG nobody__nightly"):
        airflow.ready("nobody__nightly", within=0)
    with pytest.raises(Refused, match="404"):
        airflow.trigger("nobody__nightly")


def test_a_wrong_password_is_refused(stack: Stack) -> None:
    wrong = stack.settings.model_copy(update={"airflow_user": "nobody"})
    with pytest.raises(Refused, match="401"), connect(wrong):
        pass


def test_no_airflow_is_said_at_once(stack: Stack) -> None:
    nowhere = stack.settings.model_copy(update={"airflow_url": "http://127.0.0.1:9"})
    with pytest.raises(Unavailable, match="does not answer"), connect(nowhere):
        pass
