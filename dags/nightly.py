"""# The night of NAME

Takes in what landed, checks it, scores one prediction date and puts the scores live in the
warehouse. Nothing that a gate refuses is ever visible, and last night's scores stay up until
tonight's are complete. The run's partition key is the prediction date.

| a task fails | what it means | what to do |
|---|---|---|
| `ingest` waits, then fails | the files it names did not land within 3 hours of the cutoff | have them delivered, then clear the task |
| `ingest` fails at once | a file is cut off, empty, or has other columns | have it delivered again under the same name, then clear the task |
| `gate`, `gate_...` | a table broke an expectation; the log names it, with the number of rows; the task's button *Data Docs* shows all of it | `daybreak quarantine list NAME`; mend the source or the expectation, then clear the step before the gate |
| `silver.gate` or `gate_features` says `usual_...` | a day is unlike the days before it: other units, half of the rows, new categories, half of the features without values | have it mended; or, if it was such a day, trigger the night with the form's `unusual: accept` |
| `predict` | there is no champion, or its files were changed | `daybreak trigger NAME train`, or another version: `daybreak promote NAME --version 1 --reason WHY` |
| `publish` | the warehouse did not answer, or the copy differs from gold | `daybreak status`, then clear the task; readers still see the last batch |
| `labels`, `monitor` | tonight's scores are live all the same | clear the task |

Every task may be run again: it leaves what one clean run would have left. Past dates: a backfill on
this page; one of them: `daybreak trigger NAME nightly --date 2013-10-07`.
"""  # noqa: E501

from __future__ import annotations

from airflow.sdk import Param, TaskGroup, chain

from daybreak_airflow.dates import night
from daybreak_airflow.steps import (
    GateOperator,
    JudgingStepOperator,
    RetrainOperator,
    StepOperator,
    WaitingStepOperator,
)
from daybreak_airflow.wiring import date_field, declared, use_case_dag

FORM = {
    "date": date_field("Prediction date", "Empty: the newest date there is."),
    "unusual": Param(
        "stop",
        type="string",
        enum=["stop", "accept"],
        title="A day unlike those before it",
        description_md="`accept` it if you know that it was such a day, for example a blizzard.",
    ),
}

for plan in declared().plans:
    with use_case_dag(plan, "nightly", plan.usecase.schedule.cron, __doc__, FORM):
        common = {"use_case": plan.name, "when": night}
        with TaskGroup("bronze"):
            ingest = WaitingStepOperator(task_id="ingest", step="ingest", **common)
        with TaskGroup("silver"):
            conform = StepOperator(task_id="conform", step="conform", **common)
            gate_silver = GateOperator(task_id="gate", layer="silver", form=("unusual",), **common)
        with TaskGroup("gold"):
            labels = JudgingStepOperator(task_id="labels", step="labels", **common)
            features = StepOperator(task_id="features", step="features", **common)
            gate_features = GateOperator(
                task_id="gate_features", layer="features", form=("unusual",), **common
            )
            predict = StepOperator(task_id="predict", step="predict", **common)
            gate_predictions = GateOperator(
                task_id="gate_predictions", layer="predictions", **common
            )
        with TaskGroup("warehouse"):
            publish = StepOperator(task_id="publish", step="publish", **common)
        with TaskGroup("monitoring"):
            # Teardowns run however the night ended, and cannot turn a published night red.
            monitor = StepOperator(task_id="monitor", step="monitor", **common).as_teardown()
            retrain = RetrainOperator(
                task_id="retrain", monitor="monitoring.monitor", train=f"{plan.name}__train"
            ).as_teardown()
        chain(ingest, conform, gate_silver, features, gate_features, predict, gate_predictions)
        chain(gate_predictions, publish, monitor, retrain)
        chain(gate_silver, labels, monitor)
