"""A person is asked about a challenger where the rules say so, and what they answer is done."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from jobs import champion
from jobs.plan import Plan

if TYPE_CHECKING:
    from airflow.sdk import DAG

PROMOTE, APPROVE = "learning.promote", "learning.approve"
SENTENCE = "The challenger (xgboost) may lose more than 0.02 where origin is LGA."


def decided(status: str = "needs_person", leaks: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "sentence": SENTENCE,
        "facts": {
            "status": status,
            "model_version": 4,
            "champion_before": 3,
            "page": "http://mlflow/run",
            "evaluation": {"leaks": list(leaks)},
        },
    }


def answered(option: str, by: str | None = "ann", **given: str) -> dict[str, Any]:
    return {
        "chosen_options": [option],
        "params_input": given,
        "responded_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "responded_by_user": {"id": "7", "name": by} if by else None,
    }


def context(**found: Any) -> dict[str, Any]:
    """What a task is given after others, by their ids' last parts."""
    ti = SimpleNamespace(
        id="ti", xcom_pull=lambda task_ids: found[task_ids.removeprefix("learning.")]
    )
    return {"ti": ti, "task_instance": ti}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What Airflow is told to ask."""
    found: list[dict[str, Any]] = []
    where = "airflow.providers.standard.operators.hitl.upsert_hitl_detail"
    monkeypatch.setattr(where, lambda **given: found.append(given))
    return found


@pytest.mark.parametrize("status", ["promote", "keep"])
def test_nobody_is_asked_where_the_rules_decide(
    dags: dict[str, DAG], asked: list[dict[str, Any]], status: str
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    approve = dags["flight_delay__train"].get_task(APPROVE)
    with pytest.raises(AirflowSkipException):
        approve.execute(context(promote=decided(status)))
    assert asked == []


def test_a_person_reads_why_and_holds_no_worker(
    dags: dict[str, DAG], asked: list[dict[str, Any]]
) -> None:
    from airflow.sdk.exceptions import TaskAwaitingInput

    approve = dags["flight_delay__train"].get_task(APPROVE)
    for leaks in ((), ("The feature temp alone tells all.",)):
        with pytest.raises(TaskAwaitingInput):
            approve.execute(context(promote=decided(leaks=leaks)))
    plain, leaky = asked
    assert plain["subject"] == "May version 4 of flight_delay score the nights?"
    assert plain["body"] == f"{SENTENCE}\n\n[Its report](http://mlflow/run)"
    assert plain["options"] == ["Approve", "Reject"]
    assert plain["defaults"] == ["Reject"]
    assert set(plain["params"]) == {"reason"}
    assert leaky["body"].endswith(
        "Who approves it says that this is known in time:\n\n- The feature temp alone tells all."
    )
    # The next training comes after a week, and waits for this one.
    assert approve.response_timeout == dt.timedelta(days=6)
    assert approve.execution_timeout is None


def test_what_a_file_says_of_a_slice_is_no_markup(
    dags: dict[str, DAG], asked: list[dict[str, Any]]
) -> None:
    from airflow.sdk.exceptions import TaskAwaitingInput

    hostile = {**decided(), "sentence": "It loses where origin is [here](http://x) <b>."}
    with pytest.raises(TaskAwaitingInput):
        dags["flight_delay__train"].get_task(APPROVE).execute(context(promote=hostile))
    assert asked[0]["body"].startswith(r"It loses where origin is \[here](http://x) &lt;b>.")


def test_a_refusal_is_handed_on_and_skips_nothing(dags: dict[str, DAG]) -> None:
    approve = dags["flight_delay__train"].get_task(APPROVE)
    found = approve.execute_complete(context(), answered("Reject", reason="no"))
    assert found["chosen_options"] == ["Reject"]
    assert found["params_input"] == {"reason": "no"}


@pytest.mark.parametrize(
    ("answer", "leaks", "done"),
    [
        (
            answered("Approve", reason="LGA is closed"),
            (),
            ("promote", champion.Person("LGA is closed", "ann")),
        ),
        (
            answered("Approve", reason=" "),
            ("It leaks.",),
            ("promote", champion.Person("approved in Airflow", "ann", ("leak",))),
        ),
        (
            answered("Reject", reason="not before summer"),
            ("It leaks.",),
            ("refuse", champion.Person("not before summer", "ann")),
        ),
        (answered("Reject"), (), ("refuse", champion.Person("rejected in Airflow", "ann"))),
        (
            answered("Reject", by=None),
            (),
            ("refuse", champion.Person("nobody answered within 6 days", "nobody")),
        ),
    ],
)
def test_what_was_answered_is_done(
    dags: dict[str, DAG],
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, Any],
    leaks: tuple[str, ...],
    done: tuple[str, champion.Person],
) -> None:
    found: list[tuple[str, champion.Person]] = []

    def promote(plan: Plan, version: int, person: champion.Person, against: int | None) -> str:
        assert (plan.name, version, against) == ("flight_delay", 4, 3)
        found.append(("promote", person))
        return "Done."

    def refuse(plan: Plan, version: int, person: champion.Person) -> str:
        assert (plan.name, version) == ("flight_delay", 4)
        found.append(("refuse", person))
        return "Done."

    monkeypatch.setattr(champion, "promote", promote)
    monkeypatch.setattr(champion, "refuse", refuse)
    task = dags["flight_delay__train"].get_task("learning.answer")
    assert task.execute(context(promote=decided(leaks=leaks), approve=answer)) == "Done."
    assert found == [done]


def test_what_was_answered_is_tried_again_without_asking_twice(dags: dict[str, DAG]) -> None:
    from daybreak_airflow.steps import RETRY_POLICY

    answer = dags["flight_delay__train"].get_task("learning.answer")
    assert answer.retry_policy is RETRY_POLICY
    assert answer.upstream_task_ids == {APPROVE}
