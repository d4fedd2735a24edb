"""All candidates of one training: fitted on train, calibrated and cut on validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F

from jobs.errors import Refused
from jobs.learning import reference
from jobs.learning.calibrate import Calibration, best_f1_threshold, fit_isotonic
from jobs.learning.candidates import boosted, constant, linear, rule
from jobs.learning.candidates.boosted import Fit
from jobs.learning.candidates.candidate import Candidate
from jobs.learning.dataset import Parts
from jobs.learning.leak import refuse_leaks
from jobs.learning.metrics import METRICS
from jobs.learning.model import Model
from jobs.learning.recipe.fit import FOLD, fit, fold_of
from jobs.learning.recipe.recipe import Recipe
from jobs.learning.scoring import with_scores
from jobs.learning.tune import tuned
from jobs.plan import Plan
from jobs.usecase import Model as ModelSpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Record = Callable[[int, Mapping[str, Any], Fit], None]


@dataclass(frozen=True)
class Trained:
    """What a training gives.

    Attributes:
        models: each candidate by its kind, the simplest first.
        validation: each candidate's metrics on validation; they chose rounds and thresholds, so
            they flatter.
        rows: of `train` and `validation`.
        settings: of XGBoost, as fitted.
    """

    models: Mapping[str, Model]
    validation: Mapping[str, Mapping[str, float]]
    rows: Mapping[str, int]
    settings: Mapping[str, Any]


def fit_all(parts: Parts, plan: Plan, cutoff: str, trials: int, record: Record) -> Trained:
    """Fit every candidate; `record` is told of each tuning trial.

    Raises:
        Refused: a part is empty or has one class only, or a feature gives the label away.
        Unavailable: a Spark worker was lost.
    """
    rows = {
        "train": _rows(parts.train, "training"),
        "validation": _rows(parts.validation, "validation"),
    }
    features = plan.usecase.features
    key = plan.usecase.entity.key
    folded = parts.train.withColumn(FOLD, fold_of(key))
    sampled = reference.sample(folded, key, rows["train"], (*features.names, "label", FOLD))
    refuse_leaks(sampled, _column(sampled, "label"), features)
    recipe = fit(parts.train, sampled, features, plan.usecase.timezone)
    trees, settings = _trees(parts, sum(rows.values()), recipe, plan, trials, record)
    fitted: list[Candidate] = [
        constant.fit(parts),
        rule.fit(parts, plan.usecase.model.rule),
        linear.fit(sampled, recipe),
        trees.candidate,
    ]
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
            calibration=Calibration(),
            threshold=0.5,
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
        settings={**settings, "rounds_kept": trees.rounds},
    )


def parameters(spec: ModelSpec, settings: Mapping[str, Any]) -> dict[str, Any]:
    """All that was chosen of the candidates, by the names of MLflow's parameters.

    Args:
        spec: what the use case's file says.
        settings: of XGBoost, as fitted.
    """
    return {
        "metric": spec.metric,
        "calibrate": spec.calibrate,
        "seed": spec.seed,
        "rule.by": ", ".join(spec.rule.by),
        "rule.prior_rows": spec.rule.prior_rows,
        "linear.ridge": linear.RIDGE,
        "linear.most_rows": reference.SAMPLE_ROWS,
        "xgboost.most_rounds": spec.rounds,
        "xgboost.early_stopping": spec.early_stopping,
        **{f"xgboost.{name}": value for name, value in settings.items()},
    }


def _trees(
    parts: Parts, rows: int, recipe: Recipe, plan: Plan, trials: int, record: Record
) -> tuple[Fit, Mapping[str, Any]]:
    model = plan.usecase.model
    workers = max(1, min(plan.settings.spark_workers, rows // boosted.ROWS_PER_WORKER))
    data = boosted.shares(parts, recipe, plan.usecase.entity.key, workers)
    if trials:
        return tuned(data, model, trials, record)
    return boosted.fit(data, model, model.parameters), model.parameters


def _finished(model: Model, scored: pa.Table, plan: Plan) -> tuple[Model, dict[str, float]]:
    """The model with its calibration and threshold, and its metrics on validation."""
    raw, labels = _column(scored, model.candidate.kind), _column(scored, "label")
    order = np.lexsort((labels, raw))
    raw, labels, dates = raw[order], labels[order], scored["prediction_date"].to_numpy()[order]
    kind = plan.usecase.model.calibrate
    calibration = fit_isotonic(raw, labels) if kind == "isotonic" else Calibration()
    scores = calibration.apply(raw)
    threshold = best_f1_threshold(scores, labels)
    seen = reference.with_scores(model.reference, scores, dates)
    found = {name: metric(labels, scores, threshold) for name, metric in METRICS.items()}
    return replace(model, calibration=calibration, threshold=threshold, reference=seen), found


def _rows(part: DataFrame, name: str) -> int:
    rows, yes = part.agg(F.count("*"), F.sum("label")).collect()[0]
    if not rows:
        raise Refused(
            f"The {name} part of the training set has no rows with a known label.",
            "Bring in the days of that part, or choose another cutoff.",
        )
    if yes in (0, rows):
        raise Refused(
            f"All {rows} rows of the {name} part have the same label, {'yes' if yes else 'no'}.",
            "Look at label.expression, or choose a later cutoff.",
        )
    return int(rows)


def _column(rows: pa.Table, name: str) -> NDArray[np.float64]:
    found: NDArray[np.float64] = rows[name].to_numpy()
    return found
