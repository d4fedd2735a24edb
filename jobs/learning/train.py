"""The three steps of learning: train, evaluate on the holdout, promote.

They meet in one MLflow run, found again by the training's cutoff and holdout.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from pyspark.sql import functions as F

from jobs.context import Context, StepResult
from jobs.errors import Refused
from jobs.label_types import WORDS
from jobs.learning import evaluate as evaluation
from jobs.learning import registry
from jobs.learning.agreement import TWO, Agreement, Said, said_of
from jobs.learning.cut import Cut
from jobs.learning.dataset import (
    Parts,
    content_hash,
    entities,
    labelled,
    outcomes,
    set_aside,
    versions,
)
from jobs.learning.evaluate import CHAMPION
from jobs.learning.evaluation import Evaluation
from jobs.learning.evidence import DETAILS, EVIDENCE, FOLDER, require_evidence
from jobs.learning.fitting import Trained, fit_all, parameters
from jobs.learning.growth import growth
from jobs.learning.holdout import Holdout, Scored
from jobs.learning.label_quality import TRAINING, LabelQuality, gathered
from jobs.learning.leak import refuse_overlap
from jobs.learning.model import Model
from jobs.learning.promotion import Decision, bought, decide
from jobs.learning.rebuild import Learned, learned_of, log_learned, require_unseen
from jobs.learning.recipe.rows import require
from jobs.learning.report.details import Details, Growth
from jobs.learning.report.findings import details
from jobs.learning.report.page import Heading, page
from jobs.learning.report.sample import GROUP, Sample
from jobs.learning.scoring import TIMED_ROWS, from_arrow, microseconds, with_scores
from jobs.learning.targets.kinds import require_declared, target_of
from jobs.learning.tune import Trial, Tuned, journal, journal_of
from jobs.plan import Dates, Split
from jobs.usecase import Promote

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from optuna.storages import BaseStorage
    from pyspark.sql import DataFrame

GROWTH = "learning_curve.json"
# What people had written by a moment of entities that several of them labelled.
People = Callable[[dt.datetime], Said]


class Attempt(Protocol):
    """A training's process as others see it: `jobs.prediction.turn.attempt`."""

    @property
    def name(self) -> str:
        """What no other process is called."""

    def under_way(self, name: str) -> bool:
        """Whether the process of that name still goes on."""


def train(
    ctx: Context,
    reading: AbstractContextManager[object] | None = None,
    attempt: Attempt | None = None,
    people: People | None = None,
) -> StepResult:
    """Fit all candidates on what was known at the cutoff, and keep them in a new MLflow run.

    Options: `trials` (of tuning; default: the use case's), `holdout_until` (a date: hold out the
    days from the cutoff to it instead of the days before the cutoff), `what_if` (the run answers a
    question, and is never promoted).

    Args:
        reading: held while gold and silver are read, so that nobody erases beside it.
        attempt: of this training, and whether others go on; runs of those that do not are closed.
        people: tells what was written into the warehouse of entities that several people labelled.

    Raises:
        Refused: no rows, labels that nothing can be learned from, a part without a row of some
            class, rows without the group they are split by, or a holdout that shares entities or
            texts with what is learned from.
        Unavailable: a Spark worker or MLflow was lost, or rows were erased meanwhile.
    """
    split = _split(ctx)
    dates, known_at = Dates(split.train.first, split.validation.last), ctx.plan.cutoff(ctx.date)
    with ThreadPoolExecutor(1) as beside, ExitStack() as kept:
        # It imports for seconds, while Spark reads.
        connecting = beside.submit(registry.connect, ctx.plan.settings)
        spark = ctx.engine.session()
        with reading or nullcontext():
            read = versions(ctx.tables)
            there = entities(ctx.tables, spark, dates, read)
            found = labelled(ctx.tables, spark, dates, known_at, read)
            frame = spark.read.parquet(kept.enter_context(set_aside(found, ctx.tables)))
            cut = Cut.of(frame, ctx.plan)
            parts = Parts.of(frame, split) if cut is None else cut.parts(frame)
            of_source = partial(outcomes, ctx.tables, spark, dates, known_at)
            written = None if people is None else people(known_at)
            told = _told(ctx, parts.train, of_source, written)
        quality = _quality(ctx, frame, cut, parts, there).model_copy(update=told)
        if cut is not None:
            refuse_overlap(frame, cut, ctx.plan.usecase)
        client = connecting.result()
        with registry.reachable(ctx.plan.settings):
            tags = _tags(ctx)
            if attempt is not None:
                registry.close_killed(client, ctx.plan.name, attempt.under_way)
                tags[registry.ATTEMPT] = attempt.name
            run_id = registry.start_run(client, ctx.plan.name, str(ctx.date), tags)
            storage = kept.enter_context(_journal(ctx, parts))
            trained = _fitted(ctx, client, run_id, parts, storage)
            rows = sum(trained.rows.values())
            learned = Learned.of(frame, rows, read, dates, known_at, cut, quality).model_copy(
                update={"leaks": trained.leaks}
            )
            log_learned(client, run_id, learned)
            _log(client, run_id, trained, _chosen(ctx, trained))
            if ctx.plan.usecase.evaluation.learning_curve:
                with _or_failed(client, run_id):
                    grown = growth(parts, ctx.plan, str(ctx.date), trained)
                registry.log_files(
                    client, run_id, {GROWTH: grown.model_dump_json(indent=1).encode()}, ""
                )
            client.set_terminated(run_id, "FINISHED")
    best, said = _best(trained, ctx.plan.usecase.told)
    rows_learned = f"{trained.rows['train']} rows of {split.train}"
    if trained.kept != trained.rows["train"]:
        how = "under" if trained.kept < trained.rows["train"] else "over"
        rows_learned += f" ({trained.kept} after {how}sampling)"
    return StepResult(
        step="train",
        use_case=ctx.plan.name,
        dates=ctx.dates,
        sentence=(
            f"{len(trained.models)} candidates learned from {rows_learned}; on validation {best} "
            f"is best, with {said}.{_searched(trained.tuning)}"
            + "".join(f" {leak}" for leak in trained.leaks)
        ),
        rows=trained.rows,
        facts={"run_id": run_id},
    )


def evaluate(ctx: Context) -> StepResult:
    """Compare the candidates of the latest training, and the champion, on the holdout.

    Option: `run_id` (the run of that training; default: the latest of this cutoff and holdout).

    Raises:
        Refused: there is no such training, or the holdout has no rows, or labels that say
            nothing about a model.
        Unavailable: MLflow was lost.
    """
    client = registry.connect(ctx.plan.settings)
    split = _split(ctx)
    with registry.reachable(ctx.plan.settings):
        run = _run(ctx, client)
        models = registry.candidates(client, run)
        for name, model in models.items():
            require_declared(model.target, ctx.plan.usecase, f"Candidate {name}")
        learned = learned_of(client, run.info.run_id)
        rows = _holdout_rows(ctx, split, learned.cut)
        champion = registry.to_beat(client, ctx.plan.name, run)
        problem = None
        if champion is not None:
            try:
                models[CHAMPION], rows = _usable(ctx, client, champion, rows, learned.cut)
            except Refused as refusal:
                problem = refusal.sentence
        rows = target_of(ctx.plan.usecase).coded(rows)
        holdout, scored = _scored(ctx, rows, models, learned.cut)
        judged = evaluation.evaluate(
            holdout,
            scored,
            target=target_of(ctx.plan.usecase),
            metric=ctx.plan.usecase.metric,
            confidence=ctx.plan.usecase.promote.confidence,
            seed=ctx.plan.usecase.model.seed,
        )
        judged = judged.model_copy(update={"champion_version": champion})
        took = _took(ctx, rows, models)
        found = judged.model_copy(
            update={
                "champion_problem": problem,
                "look": _look(client, ctx.plan.name, run, judged, learned.cut),
                "leaks": learned.leaks,
                "labels": learned.quality,
                "remark": models[judged.challenger].remark,
                "candidates": tuple(
                    result.model_copy(update={"microseconds": took.get(result.name)})
                    for result in judged.candidates
                ),
            }
        )
        usecase, best = ctx.plan.usecase, models[found.challenger]
        sample = Sample.of(rows, found.rows, usecase.entity.unique, best, learned.cut)
        grown = _growth(client, run)
        told = details(usecase, holdout, scored, found, sample, best, grown)
        _log_evaluation(client, ctx, run.info.run_id, found, told)
    reached = found.of(found.challenger).metrics[found.metric]
    return StepResult(
        step="evaluate",
        use_case=ctx.plan.name,
        dates=ctx.dates,
        sentence=(
            f"The challenger is {found.challenger}, with {found.metric} {reached.value:.4f} on "
            f"{found.rows} holdout rows of {split.holdout}. "
            + " ".join(filter(None, (bought(found), found.remark)))
        ).rstrip(),
        rows={"holdout": found.rows},
        facts={
            "run_id": run.info.run_id,
            "challenger": found.challenger,
            "page": registry.page_of(ctx.plan.settings, run),
        },
    )


def promote(ctx: Context) -> StepResult:
    """Register the challenger of the latest training and decide whether it becomes champion.

    Options: `approval` (`required`: a person has the last word, as if the use case said so), and
    `run_id` as for `evaluate`. Done again it registers nothing twice.

    Raises:
        Refused: the training was not evaluated, or against another champion than today's, or it
            answered a what-if.
        Unavailable: MLflow was lost.
    """
    client = registry.connect(ctx.plan.settings)
    name = ctx.plan.name
    with registry.reachable(ctx.plan.settings):
        run = _run(ctx, client)
        if registry.WHAT_IF in run.data.tags:
            raise Refused(
                f"Run {run.info.run_id} of {name} answers a what-if, which is never promoted.",
                f"Train with the same dates: `daybreak run train {name} --date {ctx.date}`.",
            )
        found = require_evidence(client, run, name)
        version = registry.register(client, name, run, found.challenger)
        now = registry.alias(client, name, registry.CHAMPION)
        if now not in (found.champion_version, version):
            raise Refused(
                f"The champion of {name} is version {now or 'none'} now, but the evaluation "
                f"compared with {found.champion_version or 'none'}.",
                f"Evaluate again: `daybreak run evaluate {name} --date {ctx.date}`.",
            )
        if found.champion_version is not None:
            # Other challengers of it may have been decided on since the evaluation.
            cut = learned_of(client, run.info.run_id).cut
            look = _look(client, name, run, found, cut)
            found = found.model_copy(update={"look": look})
        decision = _decision(client, name, version, found, _rules(ctx))
        sentence = decision.sentence
        if decision.status == "needs_person":
            asked = " --acknowledge leak" if found.leaks else ""
            sentence += (
                f" Do it with `daybreak promote {name} --version {version}{asked} --reason WHY`."
            )
        # The alias moves first, because what carries a decision is not decided on again.
        if decision.status == "promote":
            registry.promote(client, name, version)
        registry.tag_version(
            client,
            name,
            version,
            {
                registry.FIRST: found.first,
                registry.LAST: found.last,
                # Who looks for it reads the days, too: a kill in between must not leave it alone.
                registry.AGAINST: str(found.champion_version or ""),
                registry.REASON: sentence,
                registry.DECISION: decision.status,
            },
        )
        client.set_tag(run.info.run_id, registry.REASON, sentence)
        client.set_tag(run.info.run_id, registry.DECISION, decision.status)
    return StepResult(
        step="promote",
        use_case=name,
        dates=ctx.dates,
        sentence=sentence,
        facts={
            "run_id": run.info.run_id,
            "status": decision.status,
            "model_version": version,
            "champion_before": found.champion_version,
            "page": registry.page_of(ctx.plan.settings, run),
            "evaluation": found.model_dump(mode="json"),
        },
    )


def _look(client: MlflowClient, name: str, run: Run, found: Evaluation, cut: Cut | None) -> int:
    """The how-manieth challenger of its champion a run has on rows of its holdout."""
    if found.champion_version is None:
        return 1
    days = (found.first, found.last) if cut is None else None
    return registry.look(client, name, run, found.champion_version, days)


def _decision(
    client: MlflowClient, name: str, version: int, found: Evaluation, rules: Promote
) -> Decision:
    """By the rules, unless a person took the version down: a step does not put it up again."""
    why = registry.version_of(client, name, version).tags.get(registry.DEMOTED)
    if why is not None:
        return Decision("keep", f"Version {version} was taken down by a person: {why}")
    return decide(found, rules)


def _best(trained: Trained, metric: str) -> tuple[str, str]:
    """The candidate that is best on validation by a metric, and what it is there in words."""
    found = {kind: each[metric] for kind, each in trained.validation.items()}
    sign = next(iter(trained.models.values())).target.metrics[metric].sign
    best = max(found, key=lambda kind: sign * found[kind])
    return best, f"{WORDS[metric]} {found[best]:.4f}"


def _rules(ctx: Context) -> Promote:
    """The use case's rules; a run's form may ask for a person's approval, but not waive it."""
    rules = ctx.plan.usecase.promote
    required = "required" in (rules.approval, ctx.options.get("approval"))
    return rules.model_copy(update={"approval": "required" if required else "auto"})


def _split(ctx: Context) -> Split:
    until = ctx.options.get("holdout_until")
    return ctx.plan.split(ctx.date, dt.date.fromisoformat(str(until)) if until else None)


def _run(ctx: Context, client: MlflowClient) -> Run:
    """The training that is meant: the one named, or the latest of these dates."""
    if named := ctx.options.get("run_id"):
        return client.get_run(str(named))
    return registry.find_run(client, ctx.plan.name, ctx.date, str(_split(ctx).holdout))


def _tags(ctx: Context) -> dict[str, str]:
    return {
        **({registry.WHAT_IF: "true"} if ctx.options.get("what_if") else {}),
        "daybreak.use_case": ctx.plan.name,
        "daybreak.cutoff": str(ctx.date),
        "daybreak.holdout": str(_split(ctx).holdout),
        "daybreak.version": installed("daybreak"),
        "daybreak.code_sha256": _code(ctx.plan.settings.usecases / ctx.plan.name),
    }


def _code(use_case: Path) -> str:
    """A digest of the platform's and the use case's files, which says what trained a model."""
    platform = Path(__file__).parents[1]
    found = sorted({*platform.rglob("*.py"), *use_case.rglob("*.py"), *use_case.glob("*.yaml")})
    digest = hashlib.sha256()
    for path in found:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _trials(ctx: Context) -> int:
    asked = ctx.options.get("trials")
    return ctx.plan.usecase.model.tune.trials if asked is None else int(asked)


def _journal(ctx: Context, parts: Parts) -> AbstractContextManager[BaseStorage | None]:
    """Where this training's trials are kept; those of a killed one of equal rows are there."""
    if not _trials(ctx):
        return nullcontext()
    rows = (content_hash(parts.train), content_hash(parts.validation))
    spec = ctx.plan.usecase.model_dump_json()
    return journal(journal_of(ctx.tables, spec, _tags(ctx)["daybreak.code_sha256"], *rows))


def _fitted(
    ctx: Context, client: MlflowClient, run_id: str, parts: Parts, storage: BaseStorage | None
) -> Trained:
    """Fit all candidates, each tuning trial in a nested run."""
    metric = target_of(ctx.plan.usecase).boosting(ctx.plan.usecase.metric).metric

    def record(trial: Trial) -> None:
        name = f"{trial.kind} trial {trial.number}"
        nested = registry.start_run(client, ctx.plan.name, name, {}, parent=run_id)
        for setting, value in trial.settings.items():
            client.log_param(nested, setting, value)
        client.log_param(nested, "cut_off", trial.cut_off)
        client.log_metric(nested, f"validation.{metric}", trial.value)
        client.log_metric(nested, "seconds", trial.seconds)
        if trial.rounds is not None:
            client.log_metric(nested, "rounds", trial.rounds)
        client.set_terminated(nested, "FINISHED")

    with _or_failed(client, run_id):
        return fit_all(parts, ctx.plan, str(ctx.date), _trials(ctx), record, storage)


@contextmanager
def _or_failed(client: MlflowClient, run_id: str) -> Iterator[None]:
    """Mark a run as failed if what is done for it fails."""
    try:
        yield
    except Exception:
        client.set_terminated(run_id, "FAILED")
        raise


def _chosen(ctx: Context, trained: Trained) -> dict[str, Any]:
    """All that was chosen, with how it was searched for."""
    line = trained.tuning.get("linear")
    ridge = float(line.best.settings["ridge"]) if line else None
    searched = {f"tune.{kind}.trials": found.trials for kind, found in trained.tuning.items()}
    return {**parameters(ctx.plan.usecase, trained.settings, ridge), **searched}


def _searched(tuning: Mapping[str, Tuned]) -> str:
    """What a search did, as sentences; nothing if there was none."""
    return "".join(
        f" Of {found.trials} trials of {kind}, {found.cut_off} of them cut off, number "
        f"{found.best.number} was best."
        for kind, found in tuning.items()
    )


def _log(client: MlflowClient, run_id: str, trained: Trained, chosen: Mapping[str, Any]) -> None:
    for name, value in chosen.items():
        client.log_param(run_id, name, value)
    for part, rows in trained.rows.items():
        client.log_metric(run_id, f"rows.{part}", rows)
    for kind, found in trained.validation.items():
        for name, value in found.items():
            # One without a meaning, such as the coverage of no intervals, is no metric.
            if math.isfinite(value):
                client.log_metric(run_id, f"validation.{kind}.{name}", value)
    for kind, model in trained.models.items():
        if model.target.names:
            client.log_param(run_id, f"calibrated.{kind}", model.calibration.by)
        registry.log_candidate(client, run_id, model)


def _quality(
    ctx: Context, frame: DataFrame, cut: Cut | None, parts: Parts, there: int
) -> LabelQuality:
    named = {TRAINING: parts.train, "validation": parts.validation}
    if cut is not None:
        named["holdout"] = frame.where(cut.held_out())
    usecase = ctx.plan.usecase
    target, rare = target_of(usecase), usecase.label.rare
    found = LabelQuality.of(named, there, usecase.features.names, target, rare)
    found.require_whole()
    return found


def _told(
    ctx: Context, train: DataFrame, of_source: Callable[[], DataFrame], people: Said | None
) -> dict[str, Any]:
    """What the labels' source and people told beside the labels, for `LabelQuality`."""
    label, found = ctx.plan.usecase.label, dict[str, Any]()
    if label.group:
        found["gathered"] = gathered(train, of_source(), label, ctx.plan.usecase.entity)
    if label.labellers:
        of = Agreement.of_two if len(label.labellers) == TWO else Agreement.of_several
        found["labellers"] = of(said_of(of_source(), label.labellers))
    if people is not None:
        found["people"] = Agreement.of_several(people)
    return found


def _holdout_rows(ctx: Context, split: Split, cut: Cut | None) -> DataFrame:
    """Features and labels of the holdout, as known once its last label was final."""
    known_at = ctx.plan.cutoff(max(ctx.date, ctx.plan.first_final(split.holdout.last)))
    known = labelled(ctx.tables, ctx.engine.session(), split.holdout, known_at)
    rows = known if cut is None else known.where(cut.held_out())
    slices = [
        F.expr(spec.expression).cast("string").alias(f"_slice_{spec.name}")
        for spec in ctx.plan.usecase.slices
    ]
    return rows.select("*", *slices)


def _usable(
    ctx: Context, client: MlflowClient, version: int, rows: DataFrame, cut: Cut | None
) -> tuple[Model, DataFrame]:
    """The champion, if it can be compared, and the rows of the holdout that it has not seen.

    Raises:
        Refused: its files or features are missing, it learned labels of another type, or it has
            seen days of the holdout.
    """
    name = ctx.plan.name
    model = registry.load_version(client, name, version).model
    require(model.features, rows.columns)
    require_declared(model.target, ctx.plan.usecase, f"Version {version} of {name}")
    run_id = str(registry.version_of(client, name, version).run_id)
    learned = learned_of(client, run_id)
    require_unseen(learned, _split(ctx).holdout, cut)
    # Where classes keep their shares, the parts' edges have moved since.
    if cut is None or learned.cut is None:
        return model, rows
    return model, rows.where(learned.cut.held_out())


def _scored(
    ctx: Context, rows: DataFrame, models: Mapping[str, Model], cut: Cut | None
) -> tuple[Holdout, dict[str, Scored]]:
    names = [spec.name for spec in ctx.plan.usecase.slices]
    groups: tuple[str, ...] = ()
    if cut is not None and cut.grouped:
        rows, groups = rows.withColumn(GROUP, F.xxhash64(*cut.columns)), (GROUP,)
    # Rows are drawn by their places, which must not be those that Spark hands them over in.
    unique = ctx.plan.usecase.entity.unique
    order = {f"_unique_{place}": F.col(name) for place, name in enumerate(unique)}
    keep = ("prediction_date", "label", *order, *groups, *(f"_slice_{name}" for name in names))
    found = with_scores(rows.withColumns(order), models, keep).toArrow()
    found = found.sort_by([(name, "ascending") for name in order])
    holdout = Holdout(
        labels=found["label"].to_numpy(),
        dates=found["prediction_date"].to_numpy().astype("datetime64[D]"),
        slices={n: np.array(found[f"_slice_{n}"].to_pylist(), dtype=object) for n in names},
        groups=found[GROUP].to_numpy() if groups else None,
    )
    scored = {n: model.scored(from_arrow(found[n])) for n, model in models.items()}
    return holdout, scored


def _took(ctx: Context, rows: DataFrame, models: Mapping[str, Model]) -> dict[str, float]:
    """Microseconds that each model takes to score a row, where they are bounded."""
    if ctx.plan.usecase.promote.max_microseconds is None:
        return {}
    names = dict.fromkeys(name for model in models.values() for name in model.features)
    some = rows.select(*names).limit(TIMED_ROWS).toArrow().combine_chunks()
    return {name: microseconds(model, some.to_batches()[0]) for name, model in models.items()}


def _log_evaluation(
    client: MlflowClient, ctx: Context, run_id: str, found: Evaluation, told: Details
) -> None:
    about = ctx.plan.usecase.about
    heading = Heading(ctx.plan.name, about.question, about.owner, str(ctx.date), run_id)
    written = page(heading, found, told).encode()
    for result in found.candidates:
        for name, value in result.metrics.items():
            if value.value is not None:
                client.log_metric(run_id, f"holdout.{result.name}.{name}", value.value)
    client.set_tag(run_id, "daybreak.challenger", found.challenger)
    registry.log_files(client, run_id, {registry.PAGE: written}, "")
    # The evidence is last, because a decision needs no more: what is killed before has none.
    for name, content in ((DETAILS, told), (EVIDENCE, found)):
        file = {name: content.model_dump_json(indent=1).encode()}
        registry.log_files(client, run_id, file, FOLDER)


def _growth(client: MlflowClient, run: Run) -> Growth | None:
    """The learning curve of a training that drew one."""
    if GROWTH not in {found.path for found in client.list_artifacts(run.info.run_id)}:
        return None
    written = Path(client.download_artifacts(run.info.run_id, GROWTH)).read_text(encoding="utf-8")
    return Growth.model_validate_json(written)
