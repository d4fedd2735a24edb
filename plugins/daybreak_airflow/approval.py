"""Asking a person about a challenger, and doing as they answer.

Whoever may edit the DAG answers on the page of the task, or among Airflow's required actions. No
worker is held meanwhile. That a task does as they answer, and not the one that asks, lets it be
tried again when a service is lost, without asking twice.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import BaseOperator, Param
from airflow.sdk.exceptions import AirflowSkipException

from daybreak_airflow.steps import RETRY_POLICY
from jobs.errors import DaybreakError
from jobs.plan import Plan
from jobs.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

# A run that waits holds up the next one, which comes a week later.
PATIENCE = dt.timedelta(days=6)
REASON = "reason"
NEEDS_PERSON = "needs_person"


class ChallengerApproval(ApprovalOperator):
    """Asks whether a challenger may score the nights, if the rules leave it to a person.

    Who does not answer within six days has refused.

    Args:
        use_case: name of the use case.
        promote: task id of the step that decided.
    """

    def __init__(self, *, use_case: str, promote: str, **kwargs: Any) -> None:
        # The DAG's form, and the time that its steps may take, are not those of a question.
        kwargs |= {
            "params": {REASON: Param("", type="string", title="Why")},
            "execution_timeout": None,
        }
        super().__init__(
            subject=f"May the challenger of {use_case} score the nights?",
            defaults=self.REJECT,
            response_timeout=PATIENCE,
            **kwargs,
        )
        self.use_case = use_case
        self.promote = promote

    def execute(self, context: Context) -> None:
        """Ask, with the decision's sentence and a link to the report, or skip itself."""
        found = context["ti"].xcom_pull(task_ids=self.promote)
        facts = found["facts"]
        if facts["status"] != NEEDS_PERSON:
            raise AirflowSkipException("The rules have decided.")
        self.subject = f"May version {facts['model_version']} of {self.use_case} score the nights?"
        self.body = f"{_as_text(found['sentence'])}\n\n[Its report]({facts['page']})"
        if leaks := facts["evaluation"]["leaks"]:
            known = "".join(f"\n- {_as_text(leak)}" for leak in leaks)
            self.body += f"\n\nWho approves it says that this is known in time:\n{known}"
        super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Hand on the answer, whichever it is: a refusal is recorded, too."""
        return HITLOperator.execute_complete(self, context, event)


class AnswerOperator(BaseOperator):
    """Promotes the challenger, or keeps it back, as a person answered; both are recorded.

    Args:
        use_case: name of the use case.
        promote: task id of the step that decided.
        asked: task id of the question.
    """

    def __init__(self, *, use_case: str, promote: str, asked: str, **kwargs: Any) -> None:
        kwargs.setdefault("retry_policy", RETRY_POLICY)
        super().__init__(**kwargs)
        self.use_case = use_case
        self.promote = promote
        self.asked = asked

    def execute(self, context: Context) -> str:
        """Do as was answered, and give the sentence that says so."""
        from jobs import champion

        facts = context["ti"].xcom_pull(task_ids=self.promote)["facts"]
        answer = context["ti"].xcom_pull(task_ids=self.asked)
        approved = answer["chosen_options"] == [ApprovalOperator.APPROVE]
        leaks = facts["evaluation"]["leaks"]
        person = champion.Person(
            reason=_reason(answer, approved),
            by=(answer["responded_by_user"] or {}).get("name") or "nobody",
            acknowledged=(champion.LEAK,) if approved and leaks else (),
        )
        try:
            plan = Plan.of(self.use_case, Settings())
            version, against = facts["model_version"], facts["champion_before"]
            if approved:
                sentence = champion.promote(plan, version, person, against=against)
            else:
                sentence = champion.refuse(plan, version, person)
        except DaybreakError as error:
            raise error.with_traceback(None) from None
        self.log.info(sentence)
        return sentence


def _as_text(sentence: str) -> str:
    """A sentence for a page of Markdown: values of slices are in it, which come from files."""
    return sentence.replace("<", "&lt;").replace("[", r"\[")


def _reason(answer: dict[str, Any], approved: bool) -> str:
    """What was given as the reason; who gave none has only answered."""
    given = str((answer["params_input"] or {}).get(REASON) or "").strip()
    if given:
        return given
    if answer["responded_by_user"] is None:
        return f"nobody answered within {PATIENCE.days} days"
    return "approved in Airflow" if approved else "rejected in Airflow"
