"""What a night's monitoring does, from the tables to the records."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from jobs.context import Context, StepResult
from jobs.learning.bins import bins_of, count
from jobs.learning.rebuild import learned_of
from jobs.learning.targets.kinds import target_of
from jobs.learning.weeks import WEEK
from jobs.monitoring import retrain
from jobs.monitoring.drift import Drift, compare, compare_entities, unlearned
from jobs.monitoring.freshness import Freshness, check
from jobs.monitoring.performance import ALL, Measured, judges_of, not_learned, outcomes
from jobs.monitoring.performance import measure as measure_performance
from jobs.monitoring.record import log_night, record_night
from jobs.plan import Dates, Plan

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def measure(context: Context, scored: tuple[DataFrame, int] | None) -> StepResult:
    """Measure drift, matured performance and freshness of a night, and record them.

    Args:
        context: its last date is the night's.
        scored: the night's scores and the version that made them; None if there are none, in
            which case nothing is said about drift.

    Raises:
        Unavailable: the warehouse, MLflow or Spark was lost.
    """
    plan, date = context.plan, context.date
    moment = dt.datetime.now(dt.UTC)
    version = scored[1] if scored else None
    drift = _drift(context, version) if version is not None else []
    performance = _performance(context, moment)
    freshness = _freshness(context, moment)
    record_night(plan.settings, plan.name, date, version, drift, performance, freshness)
    log_night(plan.settings, plan.name, date, drift, performance)
    asked = None
    if version is not None:
        asked = retrain.reason(plan.settings, plan.name, version, date)
    return StepResult(
        step="monitor",
        use_case=plan.name,
        dates=context.dates,
        sentence=sentence(plan.name, date, drift, performance, freshness, plan.usecase.told),
        rows={"drift": len(drift), "performance": len(performance)},
        facts={
            "drifted": [one.feature for one in drift if one.drifted],
            "fresh": freshness.fresh,
            **({"retrain": asked} if asked else {}),
        },
    )


def sentence(
    name: str,
    date: dt.date,
    drift: Sequence[Drift],
    performance: Sequence[Measured],
    freshness: Freshness,
    told: str,
) -> str:
    """The night in one sentence; `told` is the metric of the matured scores in it."""
    drifted = [one for one in drift if one.drifted]
    said = f"{len(drifted)} of {len(drift)} features drifted"
    if drifted:
        worst = sorted(drifted, key=lambda one: -one.psi)[:3]
        each = [f"{one.feature} psi {one.psi:.2f}, over {one.bound:.2f}" for one in worst]
        said += f" ({'; '.join(each)})"
    matured = [m for m in performance if (m.slice, m.metric) == (ALL, told) and m.value is not None]
    if matured:
        newest = max(matured, key=lambda one: one.prediction_date)
        said += (
            f"; {told} of {newest.prediction_date} was {newest.value:.3f} on {newest.rows} rows "
            f"({newest.matured_share:.0%} of the labels are final)"
        )
    return f"{name} monitor {date}: {said}; {freshness.sentence}."


def _drift(context: Context, version: int) -> list[Drift]:
    from jobs.learning import registry

    plan, tables, spark = context.plan, context.tables, context.engine.session()
    client = registry.connect(plan.settings)
    with registry.reachable(plan.settings):
        model = registry.load_version(client, plan.name, version).model
        run_id = str(registry.version_of(client, plan.name, version).run_id)
        known_at = learned_of(client, run_id).known_at
    entity, bins = plan.usecase.entity, bins_of(model.reference)
    week = list(Dates.one(context.date).shifted(first=1 - WEEK))
    days = [context.date] if entity.date is None else week
    features, predictions = tables.features(), tables.predictions()
    rows = features.read(spark).where(features.of_dates(days))
    scored = predictions.read(spark).where(predictions.of_dates(days))
    scores = scored.where(f"model_version = {version}")
    if entity.date is None:
        labels = tables.labels().read(spark)
        rows = unlearned(rows, labels, entity.key, known_at)
        scores = unlearned(scores, labels, entity.key, known_at)
    watched = [name for name in ("score", "prediction") if name in model.reference]
    counted = count(rows, bins) | count(scores.select("prediction_date", *watched), bins)
    judge = compare if entity.date is not None else compare_entities
    return judge(model.reference, counted, plan.usecase.monitor)


def _performance(context: Context, moment: dt.datetime) -> list[Measured]:
    """The dates whose labels may have become final, or changed, since the last nights."""
    from jobs.prediction.batches import publications

    plan, tables = context.plan, context.tables
    live = {
        one.prediction_date: one.model_version
        for one in publications(plan.settings, plan.name)
        if one.live
    }
    judges = _judges(context, live)
    learned = _learned(plan, {live[score] for score in judges.values()})
    judges = not_learned(judges, live, learned)
    published = {date: live[date] for date in judges.values()}
    if not published:
        return []
    spark = context.engine.session()
    found = outcomes(
        tables.predictions().read(spark),
        tables.features().read(spark),
        tables.labels().read(spark),
        tables,
        published,
        judges,
        moment,
    )
    return measure_performance(found, target_of(plan.usecase), plan.usecase.slices, published)


def _judges(context: Context, live: Collection[dt.date]) -> dict[dt.date, dt.date]:
    """By dates of labels in gold, the live date whose scores they judge tonight."""
    plan, labels = context.plan, context.tables.labels()
    last = plan.last_mature(context.date)
    late = plan.usecase.sources[plan.usecase.label.source].arrives.late
    window = Dates(last - dt.timedelta(days=late), last)
    if plan.usecase.entity.date is not None:
        return {date: date for date in window if date in live}
    if not live:
        return {}
    dates = labels.read(context.engine.session()).select("prediction_date").distinct()
    return judges_of([row[0] for row in dates.collect()], live, window)


def _learned(plan: Plan, versions: Collection[int]) -> dict[int, dt.date]:
    """The last prediction date that each version learned from."""
    from jobs.learning import registry

    client = registry.connect(plan.settings)
    with registry.reachable(plan.settings):
        of = {each: registry.version_of(client, plan.name, each) for each in versions}
        return {each: learned_of(client, str(found.run_id)).last for each, found in of.items()}


def _freshness(context: Context, moment: dt.datetime) -> Freshness:
    from jobs.prediction.batches import latest

    batch = latest(context.plan.settings, context.plan.name)
    if batch is None:
        return check(context.plan, moment, None, None, None)
    return check(context.plan, moment, batch.prediction_date, batch.batch_id, batch.published_at)
