"""Operators that run one of Daybreak's steps in the task's own process.

Everything heavy is imported when the task runs, because every DAG file imports this module.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import BaseOperator, BaseOperatorLink, BaseSensorOperator
from airflow.sdk.configuration import conf
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from daybreak_airflow.addresses import GATES, PAGES
from daybreak_airflow.dates import Asked, When
from jobs.errors import DaybreakError, NotLanded, Unavailable
from jobs.plan import Dates, Plan
from jobs.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import TaskInstanceKey

    from jobs.context import StepResult

# Bad data stay bad; a lost connection may come back. What is neither, such as a killed process,
# follows the task's own number of retries.
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(Unavailable, RetryAction.RETRY, reason="a service did not answer"),
        RetryRule(DaybreakError, RetryAction.FAIL, reason="trying again would change nothing"),
    ]
)


class StepOperator(BaseOperator):
    """Runs one step of a use case.

    Its XCom is `{"dates", "sentence", "rows", "facts"}`, as the step's result.

    Args:
        use_case: name of the use case.
        step: name of the step.
        when: says which dates the run works on.
        options: what the step is told beside the dates.
        form: fields of the DAG's form that are handed on as options.
    """

    template_fields: Sequence[str] = ("use_case", "step", "dates", "options")
    # So that the page of a task instance shows the dates and options it worked out.
    overwrite_rtif_after_execution = True

    def __init__(
        self,
        *,
        use_case: str,
        step: str,
        when: When,
        options: Mapping[str, Any] | None = None,
        form: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("retry_policy", RETRY_POLICY)
        super().__init__(**kwargs)
        self.use_case = use_case
        self.step = step
        self.when = when
        self.dates = ""
        self.options = dict(options or {})
        self.form = tuple(form)

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the step; what it raises for people keeps its sentence and loses its traceback."""
        try:
            plan = Plan.of(self.use_case, Settings())
            asked = _asked(context, plan)
            dates = self.when(plan, asked)
            self.dates = str(dates)
            self.options |= {
                name: asked.params[name] for name in self.form if asked.params.get(name) is not None
            }
            result = self._run(plan, dates)
        except DaybreakError as error:
            raise error.with_traceback(None) from None
        self.log.info(line(result))
        return summary(result)

    def _run(self, plan: Plan, dates: Dates) -> StepResult:
        from jobs import steps
        from jobs.context import Context as Surroundings
        from jobs.engine import Engine

        engine = Engine(plan.settings)
        try:
            return steps.run(self.step, Surroundings(plan, dates, engine, self.options))
        finally:
            engine.stop()


class GateLink(BaseOperatorLink):
    """A button on a task that judges: what the gates of its dates said, with their Data Docs."""

    @property
    def name(self) -> str:
        return "Data Docs"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Where `daybreak_airflow.pages` shows them; empty if the run did not come to a date."""
        if not isinstance(operator, JudgingStepOperator) or not operator.dates:
            return ""
        server = urlsplit(conf.get("api", "base_url", fallback="/"))
        page = GATES.format(dag_id=operator.dag_id, batch=operator.dates)
        return f"{server.path.rstrip('/')}{PAGES}{page}"


class JudgingStepOperator(StepOperator):
    """Runs a step that judges rows before they are seen, and links to what it found."""

    operator_extra_links = (GateLink(),)


class GateOperator(JudgingStepOperator):
    """Runs the gate of a layer, and links to what it found, also if it refused."""

    def __init__(self, *, layer: str, **kwargs: Any) -> None:
        super().__init__(step="gate", options={"layer": layer}, **kwargs)


class WaitingStepOperator(BaseSensorOperator, StepOperator):
    """Runs a step once the files it needs have landed, holding no worker while it waits.

    It gives up `schedule.patience_hours` after the cutoff of the run's date; a date long past is
    not waited for.
    """

    def __init__(
        self,
        *,
        every: dt.timedelta = dt.timedelta(minutes=1),
        **kwargs: Any,
    ) -> None:
        super().__init__(mode="reschedule", poke_interval=every, **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the step, or ask Airflow to come back later."""
        try:
            return StepOperator.execute(self, context)
        except NotLanded as error:
            now = dt.datetime.now(dt.UTC)
            until = self._gives_up_at()
            if now >= until:
                raise NotLanded(
                    error.sentence, f"Waited until {until:%Y-%m-%d %H:%M} UTC. {error.remedy}"
                ) from None
            self.log.info("%s Waiting until %s UTC.", error, f"{until:%Y-%m-%d %H:%M}")
            again = now + dt.timedelta(seconds=self.poke_interval)
            raise AirflowRescheduleException(again) from None  # type: ignore[no-untyped-call]

    def _gives_up_at(self) -> dt.datetime:
        plan = Plan.of(self.use_case, Settings())
        patience = dt.timedelta(hours=plan.usecase.schedule.patience_hours)
        return plan.cutoff(dt.date.fromisoformat(self.dates)) + patience


class RetrainOperator(TriggerDagRunOperator):
    """Starts a training if the monitor of this run asked for one, else skips itself.

    Airflow does not hand the asset events of a partitioned run to a DAG that is not triggered by
    partitions of assets alone (`AssetManager._queue_dagruns`), so the training is started by name.
    A date asks once: the run id is made of it.
    """

    def __init__(self, *, monitor: str, train: str, **kwargs: Any) -> None:
        super().__init__(
            trigger_dag_id=train,
            logical_date=None,
            skip_when_already_exists=True,
            **kwargs,
        )
        self.monitor = monitor

    def execute(self, context: Context) -> None:
        """Start the training with the night's date as its cutoff."""
        found = context["ti"].xcom_pull(task_ids=self.monitor) or {}
        reason = found.get("facts", {}).get("retrain")
        if not reason:
            raise AirflowSkipException("The monitor did not ask for a training.")
        self.log.info("The monitor asks for a training: %s", reason)
        self.conf = {"cutoff": found["dates"]}
        self.trigger_run_id = f"retrain__{found['dates']}"
        super().execute(context)


def line(result: StepResult) -> str:
    """The last line of a task's log: what it did, and how many rows."""
    counted = ", ".join(f"{name} {rows}" for name, rows in result.rows.items() if rows)
    pages = ", ".join(result.facts.get("pages", ()))
    return (
        result.sentence
        + (f" Rows: {counted}." if counted else "")
        + (f" Data Docs: {pages}." if pages else "")
    )


def summary(result: StepResult) -> dict[str, Any]:
    """A step's result as plain JSON values, which is all that XCom takes."""
    found: dict[str, Any] = json.loads(
        json.dumps(
            {
                "dates": str(result.dates),
                "sentence": result.sentence,
                "rows": dict(result.rows),
                "facts": dict(result.facts),
            },
            default=str,
        )
    )
    return found


def _asked(context: Context, plan: Plan) -> Asked:
    return Asked(
        today=dt.datetime.now(plan.usecase.zone).date(),
        partition=context["dag_run"].partition_key,
        params=dict(context["params"]),
    )
