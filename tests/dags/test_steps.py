"""How a step behaves as a task: its date, its waiting, and what is tried again."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from jobs.context import StepResult
from jobs.errors import DaybreakError, NotLanded, Refused, Unavailable, WrongUsage
from jobs.plan import Dates
from jobs.settings import PROJECT, Settings
from jobs.spec.read import names

if TYPE_CHECKING:
    from airflow.sdk import DAG


def context(partition: str | None, **params: Any) -> dict[str, Any]:
    return {"dag_run": SimpleNamespace(partition_key=partition), "params": params}


@pytest.fixture
def endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A copy of the flights whose schedule has no end; its landing is empty."""
    folder = tmp_path / "usecases" / "endless"
    shutil.copytree(PROJECT / "jobs" / "usecases" / "flight_delay", folder)
    written = yaml.safe_load((folder / "usecase.yaml").read_text())
    written["name"] = "endless"
    del written["schedule"]["end"]
    # Up to 12 hours after the cutoff, at whatever hour this test runs.
    written["schedule"]["patience_hours"] = 12
    written["cutoff"] = "23:00"
    (folder / "usecase.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
    monkeypatch.setenv("DAYBREAK_USECASES", str(folder.parent))
    return "endless"


def test_refused_fails_at_once(airflow_database: Path, dags: dict[str, DAG]) -> None:
    run = dags["flight_delay__nightly"].test(run_conf={"date": "2014-05-01"}, logical_date=None)

    tasks = {task.task_id: task for task in run.get_task_instances()}
    ingest = tasks["bronze.ingest"]
    assert (ingest.state, ingest.try_number, ingest.max_tries) == ("failed", 1, 2)
    assert tasks["warehouse.publish"].state == "upstream_failed"
    assert tasks["monitoring.retrain"].state == "skipped"
    assert run.state == "failed"


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (Refused("a", "b"), "fail"),
        (WrongUsage("a", "b"), "fail"),
        (NotLanded("a", "b"), "fail"),
        (DaybreakError("a", "b"), "fail"),
        (Unavailable("a", "b"), "retry"),
        (OSError("killed"), "default"),
    ],
)
def test_only_what_may_come_back_is_tried_again(
    airflow_env: dict[str, str], error: Exception, action: str
) -> None:
    from daybreak_airflow.steps import RETRY_POLICY

    assert RETRY_POLICY.evaluate(error, try_number=1, max_tries=3).action.value == action


def test_every_step_has_the_policy(dags: dict[str, DAG]) -> None:
    from daybreak_airflow.steps import RETRY_POLICY, StepOperator

    steps = [task for dag in dags.values() for task in dag.tasks if isinstance(task, StepOperator)]
    usecases = names(PROJECT / "jobs" / "usecases")
    assert {task.dag_id.partition("__")[0] for task in steps} == set(usecases)
    assert len(steps) == 20 * len(usecases)
    assert {id(task.retry_policy) for task in steps} == {id(RETRY_POLICY)}
    assert {task.retries for task in steps} == {2}


def test_a_past_night_without_files_names_them_and_gives_up(dags: dict[str, DAG]) -> None:
    ingest = dags["flight_delay__nightly"].get_task("bronze.ingest")

    with pytest.raises(NotLanded) as caught:
        ingest.execute(context("2013-05-02"))

    assert "flight_delay/schedule/date=2013-05-02" in str(caught.value)
    assert "flight_delay/actuals/date=2013-05-01" in str(caught.value)
    assert "Waited until 2013-05-02 09:00 UTC." in str(caught.value)


def test_wrong_sql_is_said_by_the_first_step(airflow_env: dict[str, str], endless: str) -> None:
    from daybreak_airflow.dates import night
    from daybreak_airflow.steps import WaitingStepOperator
    from daybreak_airflow.wiring import declared

    folder = Settings().usecases / endless
    written = (folder / "usecase.yaml").read_text()
    (folder / "usecase.yaml").write_text(written.replace("arr_delay >= 30", "arr_delai >= 30"))

    # The DAGs are there all the same: their files do not look at SQL.
    assert [plan.name for plan in declared().plans] == [endless]
    ingest = WaitingStepOperator(task_id="ingest", step="ingest", use_case=endless, when=night)
    with pytest.raises(Refused, match=r"label\.expression: 'arr_delai' is not a column"):
        ingest.execute(context(None))


def test_tonight_without_files_waits(airflow_env: dict[str, str], endless: str) -> None:
    from airflow.sdk.exceptions import AirflowRescheduleException

    from daybreak_airflow.dates import night
    from daybreak_airflow.steps import WaitingStepOperator

    ingest = WaitingStepOperator(
        task_id="ingest",
        step="ingest",
        use_case=endless,
        when=night,
        every=dt.timedelta(minutes=2),
    )
    before = dt.datetime.now(dt.UTC)

    with pytest.raises(AirflowRescheduleException) as caught:
        ingest.execute(context(None))

    wait = caught.value.reschedule_date - before
    assert dt.timedelta(minutes=2) <= wait < dt.timedelta(minutes=3)


def test_the_scheduler_knows_that_ingest_comes_back(dags: dict[str, DAG]) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    stored = DagSerialization.from_dict(DagSerialization.to_dict(dags["flight_delay__nightly"]))
    assert stored.get_task("bronze.ingest").reschedule is True
    assert stored.get_task("monitoring.monitor").is_teardown is True


def test_the_last_line_counts_rows_and_xcom_is_plain(airflow_env: dict[str, str]) -> None:
    from daybreak_airflow.steps import line, summary

    date = dt.date(2013, 10, 1)
    result = StepResult(
        step="ingest",
        use_case="flight_delay",
        dates=Dates.one(date),
        sentence="Took in 3 files.",
        rows={"bronze.actuals": 842, "quarantine.actuals": 0},
        facts={"until": date},
    )
    assert line(result) == "Took in 3 files. Rows: bronze.actuals 842."
    assert summary(result) == {
        "dates": "2013-10-01",
        "sentence": "Took in 3 files.",
        "rows": {"bronze.actuals": 842, "quarantine.actuals": 0},
        "facts": {"until": "2013-10-01"},
    }


def test_what_is_judged_and_promoted_is_what_this_run_trained(dags: dict[str, DAG]) -> None:
    dag = dags["flight_delay__train"]
    trained = {"facts": {"run_id": "abc"}}
    ti = SimpleNamespace(xcom_pull=lambda task_ids: {"learning.train": trained}[task_ids])
    for step in ("evaluate", "promote"):
        task = dag.get_task(f"learning.{step}")
        assert task.render_template(task.options, {"ti": ti}) == {"run_id": "abc"}
    assert dag.get_task("learning.train").options == {}


@pytest.mark.parametrize("found", [None, {"dates": "2013-10-01", "facts": {}}])
def test_no_training_unless_the_monitor_asks(
    dags: dict[str, DAG], found: dict[str, Any] | None
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    retrain = dags["flight_delay__nightly"].get_task("monitoring.retrain")
    with pytest.raises(AirflowSkipException):
        retrain.execute({"ti": SimpleNamespace(xcom_pull=lambda task_ids: found)})


def test_a_training_starts_once_if_the_monitor_asks(airflow_database: Path, tmp_path: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG, task

    from daybreak_airflow.steps import RetrainOperator

    with DAG("asks_for_training", schedule=None) as dag:

        @task
        def monitor() -> dict[str, Any]:
            return {"dates": "2013-10-01", "facts": {"retrain": "2 of 5 nights drifted"}}

        train = "flight_delay__train"
        monitor() >> RetrainOperator(task_id="retrain", monitor="monitor", train=train)
    bag = DagBag(dag_folder=str(tmp_path))
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)

    ended = [
        {task.task_id: task.state for task in dag.test(logical_date=None).get_task_instances()}
        for _ in range(2)
    ]

    assert [tasks["retrain"] for tasks in ended] == ["success", "skipped"]
    (run,) = DagRun.find(dag_id=train)
    assert (run.run_id, run.conf) == ("retrain__2013-10-01", {"cutoff": "2013-10-01"})
