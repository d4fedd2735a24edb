"""The units of work by name: each reads, transforms, writes, and nothing else.

A step is idempotent: running it again, also after it was killed at any point, leaves what one
clean run would have left. It runs the same from `daybreak run`, from Airflow and by spark-submit.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from jobs.context import Context, StepResult
from jobs.errors import NotLanded, Refused, WrongUsage
from jobs.plan import Dates

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from jobs.lake.table import Table


def run(step: str, context: Context) -> StepResult:
    """Run a step by its name.

    Raises:
        WrongUsage: there is no such step.
        Refused, Unavailable, NotLanded: as the step says.
    """
    if step not in STEPS:
        raise WrongUsage(f"There is no step {step!r}.", f"Steps: {', '.join(STEPS)}.")
    return STEPS[step](context)


def ingest(context: Context) -> StepResult:
    """Take the files that landed into bronze, each exactly once.

    A single night refuses to go on if no file of a day that it needs is sound; a range, and a
    night with other refused files, takes what is there and says what was refused.
    """
    from jobs.ingest.landing import missing
    from jobs.ingest.take_in import take_in

    plan = context.plan
    night = len(context.dates) == 1
    if night and (lacking := missing(plan, context.date)):
        raise NotLanded(
            f"{len(lacking)} of the files that {plan.name} needs for {context.date} have not "
            f"landed: {', '.join(lacking)}.",
            f"Deliver them below {plan.settings.landing}; the night goes on when they are there.",
        )
    dates = {source: _batch_dates(context, source) for source in plan.usecase.sources}
    taken = take_in(context.engine.session(), context.tables, dates)
    refused = [sentence for each in taken for sentence in each.refused]
    if night and any(_needs(context, each.source, each.lacking) for each in taken):
        raise Refused(
            f"{len(refused)} file(s) of {plan.name} were refused, and {context.date} needs one: "
            f"{' '.join(refused)}",
            "Deliver the file again under the same name; the next attempt takes it in.",
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
    """Stage silver and quarantine for every batch date whose bronze has changed."""
    from jobs.conform.stage import stage
    from jobs.lake.parallel import side_by_side

    spark = context.engine.session()
    sources, dates = tuple(context.plan.usecase.sources), str(context.dates)
    done = side_by_side(
        sources,
        lambda source: stage(spark, context.tables, source, _batch_dates(context, source), dates),
    )
    staged = dict(zip(sources, done, strict=True))
    rows = {f"silver.{source}": each.rows for source, each in staged.items()}
    rows |= {f"quarantine.{source}": each.quarantined for source, each in staged.items()}
    return _result(
        context,
        "conform",
        f"staged {sum(each.rows for each in staged.values())} rows of "
        f"{sum(each.dates for each in staged.values())} batch dates, "
        f"{sum(each.quarantined for each in staged.values())} went to quarantine",
        rows,
    )


def features(context: Context) -> StepResult:
    """Stage the features of the prediction dates, from what was known at each one's cutoff."""
    from jobs.features.build import build

    spark, table = context.engine.session(), context.tables.features()
    staged = context.tables.staged(table, str(context.dates))
    dates = _unbuilt(context, table)
    if dates is None:
        if not staged.is_committed():
            staged.discard()
        return _result(context, "features", "found every date built already", {})
    sources = context.plan.usecase.sources
    silver = {name: context.tables.silver(name).read(spark) for name in sources}
    staged.write(build(context.plan, silver, dates), table.of_dates(dates))
    rows = staged.read(spark).count()
    return _result(
        context,
        "features",
        f"staged {rows} rows for {len(dates)} prediction dates",
        {table.name: rows},
    )


def labels(context: Context) -> StepResult:
    """Write the labels of the dates that the label source's files of these nights speak of.

    They are looked at before they are written: each is 0 or 1, once for each version of a row.
    """
    from jobs.learning.labels import labels_of
    from jobs.quality import gate, suite

    spark, source = context.engine.session(), context.plan.usecase.label.source
    table, of_source = context.tables.labels(), context.tables.silver(source)
    silver, where = of_source.read(spark), None
    if (dates := _batch_dates(context, source)) is not None:
        silver, where = silver.where(of_source.of_dates(dates)), table.of_dates(dates)
    made = labels_of(context.plan, silver)
    found = gate.validate(made, suite.labels(context.plan))
    gate.require(found, str(context.dates), f"{of_source.path}.")
    table.replace(made, where)
    return _result(
        context, "labels", f"wrote {found.rows} versions of labels", {table.name: found.rows}
    )


def gate(context: Context) -> StepResult:
    """Validate what is staged for a layer and, if all of it passes, commit it."""
    from jobs.gates import let_through

    layer = str(context.options.get("layer"))
    rows = let_through(context, layer)
    return _result(
        context,
        "gate",
        f"let {sum(rows.values())} rows of {len(rows)} tables of {layer} pass",
        rows,
    )


def train(context: Context) -> StepResult:
    """Fit every candidate on what was known at the cutoff, and keep them in one MLflow run."""
    from jobs.learning.train import train as fit

    return fit(context)


def evaluate(context: Context) -> StepResult:
    """Judge the candidates and the champion on the gold holdout."""
    from jobs.learning.train import evaluate as judge

    return judge(context)


def promote(context: Context) -> StepResult:
    """Decide whether the challenger becomes champion, and record the decision."""
    from jobs.learning.train import promote as decide
    from jobs.monitoring.record import record_decision

    result = decide(context)
    record_decision(
        context.plan.settings, context.plan.name, result.facts, sentence=result.sentence
    )
    return result


def predict(context: Context) -> StepResult:
    """Stage the champion's scores for one prediction date."""
    from jobs.learning.registry import load
    from jobs.prediction.score import score

    spark, tables, table = context.engine.session(), context.tables, context.tables.predictions()
    model = load(context.plan.settings, context.plan.name)
    rows = tables.features().read(spark).where(tables.features().of_dates([context.date]))
    staged = tables.staged(table, str(context.date))
    where = f"{table.of_dates([context.date])} and model_version = {model.version}"
    staged.write(score(rows, model, tables), where)
    count = staged.read(spark).count()
    return _result(
        context,
        "predict",
        f"staged {count} scores by version {model.version}",
        {"gold.predictions": count},
        {"model_version": model.version},
    )


def publish(context: Context) -> StepResult:
    """Put the newest scores of one prediction date live in the warehouse."""
    from jobs.prediction.publish import publish as go_live

    frame, version = newest_scores(context)
    published = go_live(context, frame)
    return _result(
        context,
        "publish",
        published.sentence,
        {f"predictions.{context.plan.name}": published.rows},
        {
            "batch_id": published.batch_id,
            "model_version": version,
            "changed": published.changed,
        },
    )


def newest_scores(context: Context) -> tuple[DataFrame, int]:
    """The scores of a date by the version that scored it last, and that version.

    Raises:
        Refused: the date was never scored.
    """
    from pyspark.sql import functions as f

    table = context.tables.predictions()
    found = table.read(context.engine.session()).where(table.of_dates([context.date]))
    version = found.agg(f.max_by("model_version", "scored_at")).collect()[0][0]
    if version is None:
        raise Refused(
            f"There are no scores of {context.plan.name} for {context.date}.",
            f"Run `daybreak run predict {context.plan.name} --date {context.date}` and its gate.",
        )
    return found.where(f.col("model_version") == version), int(version)


def monitor(context: Context) -> StepResult:
    """Measure drift, matured performance and freshness, and record them.

    A night without scores is measured too: that nothing is fresh is what has to be said.
    """
    from jobs.monitoring.night import measure

    try:
        scored = newest_scores(context)
    except Refused:
        scored = None
    return measure(context, scored)


def maintain(context: Context) -> StepResult:
    """Compact tables, remove files nobody reads any more, and drop expired batches."""
    from jobs.lake.maintain import compact
    from jobs.prediction.batches import drop_expired

    plan = context.plan
    before, after = compact(context.engine.session(), context.tables)
    dropped = drop_expired(
        plan.settings, plan.name, plan.usecase.predict.keep_batches, context.date
    )
    return _result(
        context,
        "maintain",
        f"compacted the lake from {before / 1e6:.1f} to {after / 1e6:.1f} MB and dropped "
        f"{dropped} expired batches",
        {},
        {"bytes_before": before, "bytes_after": after, "dropped": dropped},
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


def _unbuilt(context: Context, table: Table) -> Dates | None:
    """The dates to build: all of the run's, or with `refresh=missing` from the first to the last
    that have entities but no rows of the table; None if there is none."""
    if context.options.get("refresh") != "missing":
        return context.dates
    spark, entity = context.engine.session(), context.plan.usecase.entity
    built = _dates_of(table.read(spark).where(table.of_dates(context.dates)), table.partition[0])
    listed = context.tables.silver(entity.source)
    rows = listed.read(spark)
    if (days := _batch_dates(context, entity.source)) is not None:
        rows = rows.where(listed.of_dates(days))
    missing = sorted((_dates_of(rows, entity.date) - built) & set(context.dates))
    return Dates(missing[0], missing[-1]) if missing else None


def _dates_of(rows: DataFrame, column: str) -> set[dt.date]:
    return {row[0] for row in rows.select(column).distinct().collect()}


def _needs(context: Context, source: str, lacking: Collection[dt.date]) -> bool:
    """Whether a night cannot do without one of the days of which no file is sound."""
    arrives = context.plan.usecase.sources[source].arrives
    if arrives.as_ == "snapshot":
        return bool(lacking)
    return context.date - dt.timedelta(days=arrives.lag) in lacking


def _batch_dates(context: Context, source: str) -> Dates | None:
    """The file dates of a source that a run looks at; None for a snapshot, which has none."""
    if context.plan.usecase.sources[source].arrives.as_ == "snapshot":
        return None
    return context.plan.batch_dates(source, context.dates)
