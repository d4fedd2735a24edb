"""A change of wiring is seen in review: the whole graph is kept beside this test.

To accept a wanted change: `DAYBREAK_ACCEPT=1 pytest tests/dags/test_graph.py`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.settings import PROJECT
from jobs.spec.read import names

if TYPE_CHECKING:
    from airflow.sdk import DAG

KINDS = ("maintain", "nightly", "train")
GOLDEN = Path(__file__).with_name("graph.txt")
# Read before the fixtures clear the environment of what begins with DAYBREAK.
ACCEPT = "DAYBREAK_ACCEPT" in os.environ


def drawn(dag: DAG) -> str:
    """A DAG as text: its schedule and form, then each task with what it waits for."""
    timetable = dag.timetable
    lines = [
        dag.dag_id,
        f"  schedule {timetable.expression} {timetable.timezone} key {timetable.key_format}",
        f"  from {dag.start_date} until {dag.end_date}, {dag.max_active_runs} run at a time",
        f"  form {', '.join(sorted(dag.params)) or 'none'}",
    ]
    for task in sorted(dag.tasks, key=lambda task: task.task_id):
        ends = " (teardown)" if task.is_teardown else ""
        after = ", ".join(sorted(task.upstream_task_ids)) or "nothing"
        lines.append(f"  {task.task_id}{ends} when {task.trigger_rule.value} of {after}")
    return "\n".join(lines)


def test_graph_is_as_reviewed(dags: dict[str, DAG]) -> None:
    found = "\n\n".join(drawn(dags[f"flight_delay__{kind}"]) for kind in KINDS) + "\n"
    if ACCEPT:
        GOLDEN.write_text(found)
    assert found == GOLDEN.read_text()


def test_every_use_case_has_the_same_graph(dags: dict[str, DAG]) -> None:
    tasks = {
        name: {kind: drawn(dags[f"{name}__{kind}"]).splitlines()[3:] for kind in KINDS}
        for name in names(PROJECT / "jobs" / "usecases")
    }
    assert len(dags) == len(tasks) * len(KINDS)
    assert all(each == tasks["flight_delay"] for each in tasks.values())


@pytest.mark.parametrize("kind", KINDS)
def test_every_dag_has_an_owner_and_a_runbook(dags: dict[str, DAG], kind: str) -> None:
    dag = dags[f"flight_delay__{kind}"]
    assert {task.owner for task in dag.tasks} == {"ops-data"}
    assert "flight_delay" in dag.doc_md
    assert "NAME" not in dag.doc_md
    assert "fails" in dag.doc_md
