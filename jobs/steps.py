"""The units of work by name: each reads, transforms, writes, and nothing else.

A step is idempotent: running it again, also after it was killed at any point, leaves what one
clean run would have left. It runs the same from `daybreak run`, from Airflow and by spark-submit.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from jobs.context import Context, StepResult
from jobs.errors import DaybreakError, NotLanded, Refused, Unavailable, WrongUsage
from jobs.plan import Dates

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from jobs.conform.stage import Conforming
    from jobs.prediction.turn import LakeTurn

# What the operating system says of a disk, or of a user's share of it, that is full.
FULL = ("No space left on device", "Disk quota exceeded")


def run(step: str, context: Context) -> StepResult:
    """Run a step by its name.

    Raises:
        WrongUsage: there is no such step.
        Refused, Unavailable, NotLanded: as the step says.
    """
    if step not in STEPS:
        raise WrongUsage(f"There is no step {step!r}.", f"Steps: {', '.join(STEPS)}.")
    try:
        return STEPS[step](context)
    except DaybreakError:
        raise
    except Exception as error:
        if any(said in str(error) for said in FULL):
            raise Unavailable(
                f"A disk is full: {step} of {context.plan.name} for {context.dates} could not "
                f"write below {context.plan.settings.lake} or Spark's own temporary folder.",
                "Free space there, then run the step again; what it had not finished is as it was.",
            ) from error
        raise


def ingest(context: Context) -> StepResult:
    """Take the files that landed into bronze, each exactly once.

    A single night refuses to go on if more files of a day that it needs are refused than the
    budget bears; a range, and a night with other refused files, takes what is there and says what
    was refused.
    """
    from jobs.ingest.landing import missing
    from jobs.ingest.take_in import take_in

    plan = context.plan
    # A replay judges what is in bronze; nothing new has to be there for it.
    night = context.is_night and not context.options.get("replay")
    if night and (lacking := missing(plan, context.date)):
        raise NotLanded(
            f"{len(lacking)} of the files that {plan.name} needs for {context.date} have not "
            f"landed: {', '.join(lacking)}.",
            f"Deliver them below {plan.settings.landing}; the night goes on when they are there.",
        )
    dates = {source: _batch_dates(context, source) for source in plan.usecase.sources}
    with _turn(context, "ingest"):
        taken = take_in(context.engine.session(), context.tables, dates)
    refused = [sentence for each in taken for sentence in each.refused]
    if night and any(_needs(context, each.source, each.lacking) for each in taken):
        raise Refused(
            f"{len(refused)} file(s) of {plan.name} were refused, and {context.date} needs them: "
            f"{' '.join(refused)}",
            "Deliver them again under the same names, or remove what does not belong there; the "
            "next attempt takes them in.",
        )
    rows = {f"bronze.{each.source}": each.rows for each in taken}
    return _result(
        context,
        "ingest",
        f"took in {sum(each.files for each in taken)} files with {sum(rows.values())} rows"
        + _and(sum(each.duplicates for each in taken), "duplicate files reported")
        + _and(len(refused), f"files refused: {' '.join(refused)}"),
        rows,
    )


def conform(context: Context) -> StepResult:
    """Stage silver and quarantine for every batch date whose bronze has changed.

    A date over its source's budget is held back: its silver stays as it was, its quarantine is
    there to look at, and the others go on. A single night refuses to go on without the newest
    date of a daily source.
    """
    from jobs.conform.stage import in_order, stage
    from jobs.lake.deliveries import taken
    from jobs.lake.parallel import side_by_side

    spark, sources = context.engine.session(), context.plan.usecase.sources
    done: list[Conforming] = []
    with _turn(context, "conform", beside=f"conform {context.dates}"):
        delivered = taken(spark, context.tables)
        for group in in_order(sources):
            done += side_by_side(
                group,
                lambda source: stage(
                    spark,
                    context.tables,
                    source,
                    delivered,
                    _batch_dates(context, source),
                    str(context.dates),
                    night=context.is_night,
                ),
            )
    _require_tonight(context, done)
    rows = {f"silver.{each.source}": each.rows for each in done}
    rows |= {f"quarantine.{each.source}": each.quarantined for each in done}
    held_back = [refused.sentence for each in done for refused in each.held_back.values()]
    return _result(
        context,
        "conform",
        f"staged {sum(each.rows for each in done)} rows of "
        f"{sum(each.dates for each in done)} batch dates, "
        f"{sum(each.quarantined for each in done)} went to quarantine"
        + _and(len(held_back), f"batch dates held back: {' '.join(held_back)}"),
        rows,
        {"held_back": held_back},
    )


def features(context: Context) -> StepResult:
    """Stage the features of the prediction dates, from what was known at each one's cutoff.

    Dates that were built of the very same are left alone. With the option `built` only dates
    that have features are looked at.
    """
    from jobs.features.build import build
    from jobs.features.touched import Known, touched

    tables, table = context.tables, context.tables.features()
    staged = tables.staged(table, str(context.dates))
    with _turn(context, "features", beside=f"features {context.dates}"):
        known = Known.of(tables)
        if context.is_night and not known.has_entities(context.date):
            raise _nobody(context, known.cutoff(context.date))
        parts = touched(known, context.dates, built=bool(context.options.get("built")))
        if not parts:
            if not staged.is_committed():
                staged.discard()
            return _result(context, "features", "found every date built already", {})
        spark = context.engine.session()
        dates = [dt.date.fromisoformat(part) for part in sorted(parts)]
        sources = context.plan.usecase.sources
        silver = {name: tables.silver(name).read(spark) for name in sources}
        around = Dates(dates[0], dates[-1])
        made = build(context.plan, silver, around, known.cutoffs(around))
        where = table.of_dates(dates)
        staged.write(made if len(dates) == len(around) else made.where(where), where, parts)
        rows = staged.count(spark)
    unseen = [source for source in sources if known.came_too_late(source, context.date)]
    return _result(
        context,
        "features",
        f"staged {rows} rows for {len(dates)} prediction dates"
        + (
            f"; what {', '.join(unseen)} delivered for {context.date} came after that day had "
            "ended, and is not used"
            if unseen and context.is_night
            else ""
        ),
        {table.name: rows},
    )


def labels(context: Context) -> StepResult:
    """Write the labels of the dates that the label source's files of these nights speak of.

    One of what happens later is written once the events of all of its days are there.

    They are looked at before they are seen: each is what its type says, once for each version of a
    row. What people wrote is taken in as well, of whichever date it is.
    Dates whose silver has not changed since, nor what people wrote, are left alone.
    """
    from jobs.gates import require_and_keep
    from jobs.lake.made import Made
    from jobs.learning.labels import given_frame, labels_of, made_of, without_entity
    from jobs.learning.later import read_outcomes
    from jobs.prediction.feedback import by_part, given
    from jobs.quality import gate, suite

    plan, label = context.plan, context.plan.usecase.label
    table, of_source = context.tables.labels(), context.tables.silver(label.source)
    staged = context.tables.staged(table, str(context.dates))
    with _turn(context, "labels", beside="labels") as turn:
        there = by_part(plan) if label.feedback else None
        dates = _batch_dates(context, label.source)
        stale = Made(table).stale(made_of(plan, of_source, dates, there))
        if not stale:
            return _result(context, "labels", "found every date's labels written already", {})
        spark = context.engine.session()
        parts = sorted(stale) if of_source.partition else None
        where = None if parts is None else table.of_dates(parts)
        if label.within:
            silver = read_outcomes(plan, label.within, spark, stale)
        else:
            silver = of_source.read(spark)
            silver = silver if parts is None else silver.where(of_source.of_dates(parts))
        people = given(plan, stale)
        told = given_frame(plan, spark, people.rows) if people.rows else None
        staged.write(labels_of(plan, silver, told), where, stale)
        rows = staged.count(spark)
        found = gate.validate(staged.read(spark), suite.labels(plan), rows)
        page = require_and_keep(context, staged, found)
        turn.require()
        staged.commit(spark)
        entities = context.tables.silver(plan.usecase.entity.source).read(spark)
        unknown = 0 if told is None else without_entity(plan, told, entities)
    return _result(
        context,
        "labels",
        f"wrote {rows} versions of labels"
        + _and(len(people.rows), "rows of feedback are among what they are made of")
        + _and(unknown, f"of them with a key that {plan.usecase.entity.source} does not have")
        + "".join(
            _and(n, f"rows of feedback left out, {why}") for why, n in people.left_out.items()
        ),
        {table.name: rows},
        {"pages": [page]},
    )


def gate(context: Context) -> StepResult:
    """Validate what is staged for a layer and, if all of it passes, commit it."""
    from jobs.gates import let_through, pages

    layer = str(context.options.get("layer"))
    with _turn(context, f"gate {layer}") as turn:
        rows = let_through(context, layer, turn.require)
    return _result(
        context,
        "gate",
        f"let {sum(rows.values())} rows of {len(rows)} tables of {layer} pass",
        rows,
        {"pages": pages(context, layer)},
    )


def train(context: Context) -> StepResult:
    """Fit every candidate on what was known at the cutoff, and keep them in one MLflow run."""
    from jobs.learning.train import train as fit
    from jobs.prediction.labelled_twice import labelled_twice
    from jobs.prediction.turn import attempt

    plan, label = context.plan, context.plan.usecase.label
    people = partial(labelled_twice, plan) if label.feedback and label.values else None
    with attempt(plan.settings, f"train {plan.name} {context.dates}") as mine:
        return fit(context, _turn(context, "train", beside=f"train {context.dates}"), mine, people)


def evaluate(context: Context) -> StepResult:
    """Judge the candidates and the champion on the gold holdout."""
    from jobs.learning.train import evaluate as judge

    return judge(context)


def promote(context: Context) -> StepResult:
    """Decide whether the challenger becomes champion, and record the decision."""
    from jobs.learning.train import promote as decide
    from jobs.monitoring.record import record_decision
    from jobs.prediction.turn import champion_turn

    settings, name = context.plan.settings, context.plan.name
    with champion_turn(settings, name):
        result = decide(context)
        record_decision(settings, name, result.facts, sentence=result.sentence)
    return result


def predict(context: Context) -> StepResult:
    """Stage the champion's scores for the prediction dates."""
    from jobs.learning.registry import load
    from jobs.prediction.score import score

    spark, tables, table = context.engine.session(), context.tables, context.tables.predictions()
    model = load(context.plan.settings, context.plan.name)
    rows = tables.features().read(spark).where(tables.features().of_dates(context.dates))
    staged = tables.staged(table, str(context.dates))
    where = f"{table.of_dates(context.dates)} and model_version = {model.version}"
    with _turn(context, "predict", beside=f"predict {context.dates}"):
        staged.write(score(rows, model, tables), where)
        count = staged.count(spark)
    return _result(
        context,
        "predict",
        f"staged {count} scores by version {model.version}",
        {"gold.predictions": count},
        {"model_version": model.version},
    )


def publish(context: Context) -> StepResult:
    """Put the newest scores of each prediction date live in the warehouse, a batch for each."""
    from jobs.prediction.publish import Source, publish_batch
    from jobs.prediction.published_table import PublishedTable

    plan, table, done = context.plan, PublishedTable.of(context.plan), []
    for date in context.dates:
        with _turn(context, "publish", beside=f"publish {date}"):
            frame, version = newest_scores(context, date)
            # The registered model bears the use case's name.
            source = Source(plan.name, version)
            done.append(publish_batch(frame, table, date, source, plan.settings))
    return _result(
        context,
        "publish",
        " ".join(each.sentence for each in done),
        {f"predictions.{plan.name}": sum(each.rows for each in done)},
        {
            "batch_id": done[-1].batch_id,
            "model_version": version,
            "changed": any(each.changed for each in done),
        },
    )


def newest_scores(context: Context, date: dt.date) -> tuple[DataFrame, int]:
    """The scores of a date by the version that scored it last, and that version.

    Raises:
        Refused: the date was never scored.
    """
    from pyspark.sql import functions as f

    table = context.tables.predictions()
    found = table.read(context.engine.session()).where(table.of_dates([date]))
    version = found.agg(f.max_by("model_version", "scored_at")).collect()[0][0]
    if version is None:
        raise Refused(
            f"There are no scores of {context.plan.name} for {date}.",
            f"Run `daybreak run predict {context.plan.name} --date {date}` and its gate.",
        )
    return found.where(f.col("model_version") == version), int(version)


def monitor(context: Context) -> StepResult:
    """Measure drift, matured performance and freshness, and record them.

    A night without scores is measured too: that nothing is fresh is what has to be said.
    """
    from jobs.monitoring.night import measure

    try:
        scored = newest_scores(context, context.date)
    except Refused:
        scored = None
    return measure(context, scored)


def maintain(context: Context) -> StepResult:
    """Compact tables, remove files nobody reads any more, and drop expired batches.

    What a registered version learned from stays readable.
    """
    from jobs.lake.maintain import compact
    from jobs.learning.dataset import forget_set_aside
    from jobs.learning.rebuild import hours_to_keep
    from jobs.learning.tune import forget_journals
    from jobs.prediction.batches import drop_expired

    plan, tables = context.plan, context.tables
    hours = hours_to_keep(tables, dt.datetime.now(dt.UTC))
    keep = {tables.features().name: hours, tables.labels().name: hours}
    with _turn(context, "maintain"):
        sizes = compact(context.engine.session(), tables, keep)
        forget_set_aside(tables)
        forget_journals(tables)
    dropped = drop_expired(
        plan.settings, plan.name, plan.usecase.predict.keep_batches, context.date
    )
    layers = ", ".join(
        f"{layer} {before / 1e6:.1f} to {after / 1e6:.1f}"
        for layer, (before, after) in sizes.items()
    )
    return _result(
        context,
        "maintain",
        f"compacted the lake, in MB: {layers}; and dropped {dropped} expired batches",
        {},
        {"bytes": sizes, "dropped": dropped},
    )


STEPS: Mapping[str, Callable[[Context], StepResult]] = {
    step.__name__: step
    for step in (
        ingest,
        conform,
        features,
        labels,
        gate,
        train,
        evaluate,
        promote,
        predict,
        publish,
        monitor,
        maintain,
    )
}


def _result(
    context: Context,
    step: str,
    sentence: str,
    rows: Mapping[str, int],
    facts: Mapping[str, Any] | None = None,
) -> StepResult:
    plain = f"{context.plan.name} {step} {context.dates}: {sentence.rstrip('.')}."
    return StepResult(step, context.plan.name, context.dates, plain, rows, facts or {})


def _and(count: int, what: str) -> str:
    return f", {count} {what}" if count else ""


@contextmanager
def _turn(context: Context, doing: str, beside: str | None = None) -> Iterator[LakeTurn]:
    """The right to change the lake; see `jobs.prediction.turn`.

    What only stages goes on beside other such work, and so do labels, which nothing else that
    does reads.
    """
    from jobs.prediction.turn import lake_turn

    plan = context.plan
    doing = f"{doing} {plan.name} {context.dates}"
    with lake_turn(plan.settings, plan.name, doing, beside) as turn:
        yield turn


def _require_tonight(context: Context, done: list[Conforming]) -> None:
    """A single night does not go on without a day, or a snapshot, that it needs.

    Raises:
        Refused: that day is over its source's budget, or no file of the snapshot is within it.
    """
    if not context.is_night:
        return
    sources = context.plan.usecase.sources
    refused = [
        why
        for each in done
        for day, why in each.held_back.items()
        if _needs(context, each.source, {day}) and (sources[each.source].is_daily or not each.rows)
    ]
    if refused:
        raise Refused(" ".join(why.sentence for why in refused), refused[0].remedy)


def _nobody(context: Context, cutoff: dt.datetime) -> Refused:
    source = context.plan.usecase.entity.source
    return Refused(
        f"Nothing of {source} for {context.date} had arrived before the cutoff of "
        f"{context.plan.name}, {cutoff:%Y-%m-%d %H:%M} UTC: there is nothing to predict.",
        f"See what landed with `daybreak run ingest {context.plan.name} --date {context.date}`. "
        "If the landing files lost their modification times in a copy, copy them again with them.",
    )


def _needs(context: Context, source: str, lacking: Collection[dt.date]) -> bool:
    """Whether a night cannot do without one of the days of which no file is sound."""
    spec = context.plan.usecase.sources[source]
    return spec.day_for(context.date) in lacking if spec.is_daily else bool(lacking)


def _batch_dates(context: Context, source: str) -> Dates | None:
    """The file dates of a source that a run looks at; None for a snapshot, which has none."""
    if not context.plan.usecase.sources[source].is_daily:
        return None
    return context.plan.batch_dates(source, context.dates)
