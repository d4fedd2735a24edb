"""# The training of NAME

Builds what is missing of the history, fits every candidate on what was known at the cutoff,
judges them and the champion on the gold holdout, and promotes a challenger only if the evidence
holds. It runs weekly, when the monitor of a night asks for it, and by hand with the form. The
run's partition key, or the form's cutoff, is the date of the cutoff.

| a task fails | what it means | what to do |
|---|---|---|
| `ingest`, `conform`, `gate`, `features`, `gate_features`, `labels` | as in `NAME__nightly` | as there |
| `train` | too few days, one class only, or a worker died | read the sentence; give another cutoff, or clear the task |
| `evaluate` | MLflow did not answer, or a candidate is missing | `daybreak status`, then clear the task |
| `promote`, `answer` | the registry or the warehouse did not answer | clear the task: the alias moves once |
| `approve` waits | the rules leave the challenger to a person, and the task says why | answer on its page, with a reason; no answer in six days is a no |

A training that ends without a promotion is green: the decision and its reasons are in the log of
`promote` and in `daybreak evaluate NAME`. By hand: `daybreak trigger NAME train --date 2013-10-01
--trials 20`, where the date is the cutoff's.
"""  # noqa: E501

from __future__ import annotations

from airflow.sdk import Param, TaskGroup, chain

from daybreak_airflow.approval import AnswerOperator, ChallengerApproval
from daybreak_airflow.dates import featured, history, learning
from daybreak_airflow.steps import GateOperator, JudgingStepOperator, StepOperator
from daybreak_airflow.wiring import date_field, declared, use_case_dag
from jobs.usecase import MOST_TRIALS

# What is judged and promoted is the run that this DAG run has trained, whatever else is trained.
TRAINED = {"run_id": "{{ ti.xcom_pull(task_ids='learning.train')['facts']['run_id'] }}"}

for plan in declared().plans:
    # Who starts a run may ask for a person's approval, but not waive what the use case requires.
    approval = plan.usecase.promote.approval
    form = {
        "cutoff": date_field("Cutoff", "Train on what was known on this date. Empty: the newest."),
        "holdout_until": date_field(
            "Holdout until", "Judge on the dates after the cutoff up to this one instead."
        ),
        "trials": Param(
            plan.usecase.model.tune.trials, type="integer", minimum=0, maximum=MOST_TRIALS
        ),
        "approval": Param(approval, type="string", enum=sorted({approval, "required"})),
    }
    with use_case_dag(plan, "train", plan.usecase.schedule.train_cron, __doc__, form):
        past = {"use_case": plan.name, "when": history}
        seen = {"use_case": plan.name, "when": featured}
        with TaskGroup("bronze"):
            ingest = StepOperator(task_id="ingest", step="ingest", **past)
        with TaskGroup("silver"):
            conform = StepOperator(task_id="conform", step="conform", **past)
            gate_silver = GateOperator(task_id="gate", layer="silver", **past)
        with TaskGroup("gold"):
            labels = JudgingStepOperator(task_id="labels", step="labels", **past)
            features = StepOperator(task_id="features", step="features", **seen)
            gate_features = GateOperator(task_id="gate_features", layer="features", **seen)
        with TaskGroup("learning"):
            train, evaluate, promote = (
                StepOperator(
                    task_id=step,
                    step=step,
                    use_case=plan.name,
                    when=learning,
                    options=TRAINED if step != "train" else None,
                    form=("trials", "approval", "holdout_until"),
                )
                for step in ("train", "evaluate", "promote")
            )
            decided = {"use_case": plan.name, "promote": promote.task_id}
            approve = ChallengerApproval(task_id="approve", **decided)
            answer = AnswerOperator(task_id="answer", asked=approve.task_id, **decided)
        chain(ingest, conform, gate_silver, [features, labels])
        chain(features, gate_features, train, evaluate, promote, approve, answer)
        chain(labels, train)
