"""All candidates of one training: fitted on train, calibrated and cut on validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from jobs.errors import Refused
from jobs.learning import reference
from jobs.learning.balance import TIMES, Balance, repeated, times_of
from jobs.learning.calibrate import Uncalibrated
from jobs.learning.candidates import boosted, constant, linear, rule
from jobs.learning.candidates.candidate import Candidate
from jobs.learning.dataset import Parts
from jobs.learning.leak import leaks_of
from jobs.learning.model import Model
from jobs.learning.recipe.fit import FOLD, fit, fold_of
from jobs.learning.scarce import Scarce
from jobs.learning.scoring import from_arrow, with_scores
from jobs.learning.targets.kinds import target_of
from jobs.learning.targets.target import Target, measured
from jobs.learning.trials import Judges, Sample, searched
from jobs.learning.tune import Trial, Tuned
from jobs.plan import Plan
from jobs.usecase import Imbalance, UseCase

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from pyspark.sql import DataFrame

Record = Callable[[Trial], None]


@dataclass(frozen=True)
class Trained:
    """What a training gives.

    Attributes:
        models: each candidate by its kind, the simplest first.
        validation: each candidate's metrics on validation; they chose rounds and thresholds, so
            they flatter.
        rows: of `train` and `validation`.
        kept: rows that the linear candidate and the trees learned from: those of `train`, without
            what undersampling left out and with what oversampling repeated.
        settings: of XGBoost, as fitted.
        tuning: what a search found for each candidate it was made for, by its kind.
        leaks: features that may give the label away, a sentence each.
    """

    models: Mapping[str, Model]
    validation: Mapping[str, Mapping[str, float]]
    rows: Mapping[str, int]
    kept: int
    settings: Mapping[str, Any]
    tuning: Mapping[str, Tuned]
    leaks: tuple[str, ...]


def fit_all(
    parts: Parts,
    plan: Plan,
    cutoff: str,
    trials: int,
    record: Record,
    storage: BaseStorage | None = None,
) -> Trained:
    """Fit every candidate; `record` is told of each tuning trial.

    Args:
        storage: where trials are kept (`jobs.learning.tune.journal`); None: nowhere.

    Raises:
        Refused: a part is empty or has labels that nothing can be learned from.
        Unavailable: a Spark worker was lost.
    """
    target, metric = target_of(plan.usecase), plan.usecase.metric
    parts = Parts(target.coded(parts.train), target.coded(parts.validation))
    rows = {
        "train": target.require_learnable(parts.train, "training"),
        "validation": target.require_learnable(parts.validation, "validation"),
    }
    if plan.usecase.model.objective == "poisson":
        _require_none_negative(parts)
    features, key = plan.usecase.features, plan.usecase.entity.key
    sampled = _sampled(parts.train, rows["train"], plan)
    classes = _classes(parts.train, target)
    _require_every_class(target, classes)
    leaks = leaks_of(sampled, sampled["label"].to_numpy(), features, target)
    recipe = fit(parts.train, sampled, features, plan.usecase.timezone)
    balance = _balance(classes, plan.usecase.model.imbalance)
    learned, kept, drawn, line_rows = parts, rows["train"], parts.train, sampled
    if balance is not None and balance.sampled:
        drawn = balance.drawn(parts.train, plan.usecase.entity.unique, plan.usecase.model.seed)
        learned = Parts(repeated(drawn), parts.validation)
        how = f"{plan.usecase.model.imbalance.by}d training"
        kept = target.require_learnable(learned.train, how)
        classes = _classes(drawn, target)
        line_rows = _sampled(drawn, sum(classes.values()), plan)
    scarce, counts = Scarce.of(classes), None
    if scarce.by_class:
        line_rows = scarce.sample(*_foldable(drawn, plan))
        counts = scarce.weights(line_rows["label"].to_numpy())
    counts = times_of(line_rows, counts)
    boosting, spec = target.boosting(metric, balance), plan.usecase.model
    line = linear.Ready.of(line_rows, recipe, target, balance, counts)
    tuning: Mapping[str, Tuned] = {}
    if trials:
        sample = Sample(line_rows, kept, line)
        judged, unique = _classes(parts.validation, target), plan.usecase.entity.unique
        judges = Judges.of(parts.validation, rows["validation"], judged, recipe, unique)
        tuning = searched(sample, judges, spec, boosting, trials, storage or _memory(), record)
    fitted: list[Candidate] = [constant.fit(parts, target, metric)]
    if spec.rule is not None:
        fitted.append(rule.fit(parts, spec.rule, target))
    if "linear" in spec.candidates:
        fitted.append(line.fit(_found(tuning, "linear", {"ridge": spec.ridge})["ridge"]))
    settings: Mapping[str, Any] = {}
    if "xgboost" in spec.candidates:
        workers = boosted.workers(kept, rows["validation"], plan.settings.spark_workers)
        data = boosted.shares(learned, recipe, key, workers, boosting)
        settings = _found(tuning, "xgboost", spec.parameters)
        trees = boosted.fit(data, spec, settings)
        settings = {**settings, "rounds_kept": trees.rounds}
        fitted.append(trees.candidate)
    seen = reference.seen(parts.train, sampled, features)
    raw = {
        candidate.kind: Model(
            use_case=plan.name,
            cutoff=cutoff,
            numeric=features.numeric,
            categorical=features.categorical,
            timestamp=features.timestamp,
            text=features.text,
            candidate=candidate,
            target=target,
            calibration=Uncalibrated(),
            threshold=None,
            reference=seen,
        )
        for candidate in fitted
    }
    scored = with_scores(parts.validation, raw, ("prediction_date", "label")).toArrow()
    finished = {kind: _finished(model, scored, plan) for kind, model in raw.items()}
    return Trained(
        models={kind: model for kind, (model, _) in finished.items()},
        validation={kind: found for kind, (_, found) in finished.items()},
        rows=rows,
        kept=kept,
        settings=settings,
        tuning=tuning,
        leaks=leaks,
    )


def parameters(
    usecase: UseCase, settings: Mapping[str, Any], ridge: float | None = None
) -> dict[str, Any]:
    """All that was chosen of the candidates, by the names of MLflow's parameters.

    Args:
        usecase: what its file says.
        settings: of XGBoost, as fitted.
        ridge: of the linear candidate, if it was searched for.
    """
    spec = usecase.model
    of_rule = spec.rule and {
        "rule.by": ", ".join(spec.rule.by),
        "rule.prior_rows": spec.rule.prior_rows,
    }
    of_line = {
        "linear.ridge": spec.ridge if ridge is None else ridge,
        "linear.most_rows": reference.SAMPLE_ROWS,
    }
    of_trees = {
        **({"xgboost.objective": spec.objective} if spec.objective else {}),
        "xgboost.most_rounds": spec.rounds,
        "xgboost.early_stopping": spec.early_stopping,
        **{f"xgboost.{name}": value for name, value in settings.items()},
    }
    return {
        "metric": usecase.metric,
        **({"calibrate": usecase.calibrate} if usecase.label.kind.calibrations else {}),
        **({"imbalance": spec.imbalance.told} if spec.imbalance.by != "none" else {}),
        "seed": spec.seed,
        **(of_rule or {}),
        **(of_line if "linear" in spec.candidates else {}),
        **(of_trees if "xgboost" in spec.candidates else {}),
    }


def _sampled(train: DataFrame, rows: int, plan: Plan) -> pa.Table:
    """Some of the training rows in memory, with label and fold."""
    folded, key, columns = _foldable(train, plan)
    return reference.sample(folded, key, rows, columns)


def _foldable(train: DataFrame, plan: Plan) -> tuple[DataFrame, tuple[str, ...], tuple[str, ...]]:
    """Training rows with their fold, what names one, and what something is learned from."""
    entity, names = plan.usecase.entity, plan.usecase.features.names
    columns = (*names, "label", FOLD, *([TIMES] if TIMES in train.columns else []))
    return train.withColumn(FOLD, fold_of(entity.key)), entity.unique, columns


def _classes(train: DataFrame, target: Target) -> dict[int, int]:
    """The number of rows of each class by its label, 0 where there is none; empty of numbers."""
    if not target.names:
        return {}
    found = {int(label): count for label, count in train.groupBy("label").count().collect()}
    return {label: found.get(label, 0) for label in range(len(target.names))}


def _balance(rows: Mapping[int, int], spec: Imbalance) -> Balance | None:
    return None if spec.by == "none" else Balance.of(spec, list(rows.values()))


def _found(
    tuning: Mapping[str, Tuned], kind: str, declared: Mapping[str, Any]
) -> Mapping[str, Any]:
    return tuning[kind].best.settings if kind in tuning else declared


def _memory() -> BaseStorage:
    from optuna.storages import InMemoryStorage

    return InMemoryStorage()


def _require_every_class(target: Target, rows: Mapping[int, int]) -> None:
    if lacking := [target.names[label] for label, count in rows.items() if not count]:
        raise Refused(
            f"None of {sum(rows.values())} training rows is of class {', '.join(lacking)}: nothing "
            "can be learned of it.",
            "Take it out of label.classes and label.expression, or choose a later cutoff.",
        )


def _require_none_negative(parts: Parts) -> None:
    for part in (parts.train, parts.validation):
        least = part.agg(F.min("label")).collect()[0][0]
        if least < 0:
            raise Refused(
                f"A label is {least:g}, and `objective: poisson` is of numbers that are 0 or more.",
                "Take model.objective out, or look at label.expression.",
            )


def _finished(model: Model, scored: pa.Table, plan: Plan) -> tuple[Model, dict[str, float]]:
    """The model with what validation adds to it, and its metrics on validation."""
    raw, labels = from_arrow(scored[model.candidate.kind]), scored["label"].to_numpy()
    # Sorted, so that how Spark deals out rows cannot change a sum.
    order = np.lexsort((labels, *np.atleast_2d(raw.T)))
    raw, labels, dates = raw[order], labels[order], scored["prediction_date"].to_numpy()[order]
    target = model.target
    added = target.finish(raw, labels, plan.usecase)
    scores = added.calibration.apply(raw)
    finished = replace(
        model,
        calibration=added.calibration,
        threshold=added.threshold,
        band=added.band,
        remark=added.remark,
        reference=reference.with_scores(model.reference, target.watched(scores), dates),
    )
    return finished, measured(target, labels, finished.scored(scores))
