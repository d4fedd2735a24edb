"""The search for XGBoost settings, judged on validation only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jobs.learning.candidates.boosted import Fit, Shares, fit
from jobs.usecase import Model

if TYPE_CHECKING:
    import optuna


def tuned(
    data: Shares,
    spec: Model,
    trials: int,
    record: Callable[[int, Mapping[str, Any], Fit], None],
) -> tuple[Fit, dict[str, Any]]:
    """The best of `trials` fits and its settings.

    The first trial is what the use case's file says, so tuning never does worse on validation.
    The others are drawn by the tree-structured Parzen estimator (Bergstra et al., NIPS 2011).
    `record` is told of each trial's number, settings and fit.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    best: list[tuple[float, Fit, dict[str, Any]]] = []
    sign = data.boosting.sign

    def objective(trial: optuna.Trial) -> float:
        drawn = {} if trial.number == 0 else _space(trial)
        settings = {**spec.parameters, **drawn}
        found = fit(data, spec, settings)
        record(trial.number, settings, found)
        if not best or sign * found.best > sign * best[0][0]:
            best[:] = [(found.best, found, settings)]
        return found.best

    study = optuna.create_study(
        direction="maximize" if sign > 0 else "minimize",
        sampler=optuna.samplers.TPESampler(seed=spec.seed),
    )
    study.optimize(objective, n_trials=trials)
    _, found, settings = best[0]
    return found, settings


def _space(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "max_depth": trial.suggest_int("max_depth", 3, 10),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.3, log=True),
        "min_child_weight": trial.suggest_float("min_child_weight", 1.0, 100.0, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.1, 100.0, log=True),
        "gamma": trial.suggest_float("gamma", 1e-3, 10.0, log=True),
    }
