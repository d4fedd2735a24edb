"""Evaluations as people and programs read them: the newest one, or one made to order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.context import Context
from jobs.engine import Engine
from jobs.errors import Refused
from jobs.learning import registry
from jobs.learning.evaluation import Evaluation
from jobs.learning.evidence import require_evidence
from jobs.learning.folds import CrossValidation, cross_validate
from jobs.learning.promotion import bought, decide
from jobs.plan import Dates, Plan
from jobs.prediction.turn import lake_turn
from jobs.steps import run

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True)
class Judged:
    """An evaluation with its decision.

    Attributes:
        run_id: the MLflow run that holds models and evidence.
        cutoff: date of the training's cutoff.
        decision: `promote`, `keep` or `needs_person`: what was decided, and for a what-if what
            would be.
        sentence: why, with metric, gain and interval.
        bought: what the challenger gains for being less simple than others, or gives up to be
            simple.
        page: where the evaluation is read as a page.
    """

    use_case: str
    run_id: str
    cutoff: str
    evaluation: Evaluation
    decision: str
    sentence: str
    bought: str
    page: str


def newest(plan: Plan) -> Judged:
    """The newest evaluation that was decided on.

    Raises:
        Refused: there is none yet.
    """
    client = registry.connect(plan.settings)
    with registry.reachable(plan.settings):
        experiment = client.get_experiment_by_name(plan.name)
        found = experiment and client.search_runs(
            [experiment.experiment_id],
            f"tags.`{registry.DECISION}` != ''",
            max_results=1,
            order_by=["attributes.start_time DESC"],
        )
        if not found:
            raise Refused(
                f"No model of {plan.name} was decided on yet.",
                f"Train one: `daybreak trigger {plan.name} train`.",
            )
        tags = found[0].data.tags
        evaluation = require_evidence(client, found[0], plan.name)
        return _judged(plan, found[0], evaluation, tags[registry.DECISION], tags[registry.REASON])


def cutoffs_decided(plan: Plan) -> set[str]:
    """The cutoffs whose challenger was registered and decided on."""
    client = registry.connect(plan.settings)
    with registry.reachable(plan.settings):
        versions = client.search_model_versions(f"name = '{plan.name}'")
    return {v.tags["daybreak.cutoff"] for v in versions if registry.DECISION in v.tags}


def what_if(
    plan: Plan,
    cutoff: dt.date,
    holdout_until: dt.date | None,
    trials: int | None,
    say: Callable[[str], None],
) -> Judged:
    """Train on what was known at a cutoff and judge on the holdout; the champion stays.

    What is missing of bronze, silver and gold for these dates is built first. The decision is
    what the use case's rules would say today.

    Raises:
        Refused: as the steps say, for example a gate.
    """
    split = plan.split(cutoff, holdout_until)
    final = plan.first_final(split.holdout.last)
    engine = Engine(plan.settings)
    options: dict[str, Any] = {"trials": trials} if trials is not None else {}
    options |= {"holdout_until": str(holdout_until)} if holdout_until else {}
    history = Context(plan, Dates(plan.usecase.schedule.start, max(final, cutoff)), engine, options)
    learning = Dates(plan.usecase.schedule.start, cutoff)
    try:
        for step, layer in (
            ("ingest", None),
            ("conform", None),
            ("gate", "silver"),
            ("labels", None),
            ("features", None),
            ("gate", "features"),
        ):
            of_features = "features" in (step, layer)
            dates = plan.featured(history.dates) if of_features else history.dates
            past = Context(plan, dates, engine, {**options, "layer": layer})
            say(run(step, past).sentence)
        asked = {**options, "what_if": True}
        trained = run("train", Context(plan, learning, engine, asked))
        say(trained.sentence)
        run_id = trained.facts["run_id"]
        judged = run("evaluate", Context(plan, learning, engine, {**asked, "run_id": run_id}))
        say(judged.sentence)
    finally:
        engine.stop()
    client = registry.connect(plan.settings)
    with registry.reachable(plan.settings):
        found = client.get_run(run_id)
        evaluation = require_evidence(client, found, plan.name)
    decision = decide(evaluation, plan.usecase.promote)
    return _judged(plan, found, evaluation, decision.status, decision.sentence)


def cross_validation(plan: Plan, say: Callable[[str], None]) -> CrossValidation:
    """Fit and judge all candidates on the folds of all labelled rows of gold; nothing is kept.

    Raises:
        Refused: the use case declares no folds, or has too few rows for them.
    """
    today = dt.datetime.now(plan.usecase.zone).date()
    last = min(today, plan.usecase.schedule.end or today)
    doing = f"cross-validate {plan.name}"
    engine = Engine(plan.settings)
    try:
        context = Context(plan, Dates(plan.usecase.schedule.start, last), engine)
        reading = lake_turn(plan.settings, plan.name, doing, beside=doing)
        return cross_validate(context, reading, say)
    finally:
        engine.stop()


def _judged(plan: Plan, found: Run, evaluation: Evaluation, decision: str, sentence: str) -> Judged:
    return Judged(
        use_case=plan.name,
        run_id=str(found.info.run_id),
        cutoff=found.data.tags["daybreak.cutoff"],
        evaluation=evaluation,
        decision=decision,
        sentence=sentence,
        bought=bought(evaluation),
        page=registry.page_of(plan.settings, found),
    )
