"""Yes or no: labels are 0 and 1, a score is the probability of yes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F
from scipy.sparse import issparse
from sklearn.linear_model import LogisticRegression

from jobs.errors import Refused
from jobs.learning import calibrate
from jobs.learning.balance import Balance, row_weights
from jobs.learning.evaluation import ClassResult, Confusion
from jobs.learning.holdout import Scored
from jobs.learning.leak import GIVES_AWAY, ordered
from jobs.learning.metrics.binary import METRICS, roc_auc
from jobs.learning.metrics.closed_form import Interval, auc_interval, mean_interval
from jobs.learning.metrics.metric import EDGE, Metric
from jobs.learning.metrics.tally import Counter, tally
from jobs.learning.report.curves import of_yes
from jobs.learning.report.details import Curves
from jobs.learning.targets.reliability import calibration_table
from jobs.learning.targets.target import (
    Array,
    Boosting,
    Finish,
    Judged,
    Line,
    Score,
    Target,
    require_rows,
)
from jobs.learning.thresholds import choose
from jobs.usecase import UseCase

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

EVAL_METRICS = {"roc_auc": "auc", "pr_auc": "aucpr", "log_loss": "logloss"}
# Newton steps take some ten, L-BFGS some hundred.
MOST_STEPS = 1000


@dataclass(frozen=True)
class Binary(Target):
    """Yes or no."""

    type: ClassVar[str] = "binary"
    metrics: ClassVar[Mapping[str, Metric]] = METRICS

    @property
    def names(self) -> tuple[str, ...]:
        return ("no", "yes")

    def require_learnable(self, part: DataFrame, name: str) -> int:
        rows, yes = part.agg(F.count("*"), F.sum("label")).collect()[0]
        require_rows(rows, name)
        if yes in (0, rows):
            only = "yes" if yes else "no"
            raise Refused(
                f"All {rows} rows of the {name} part have the same label, {only}.",
                "Look at label.expression, or choose a later cutoff.",
            )
        return int(rows)

    def given_away(self, column: pa.ChunkedArray, labels: Array, numeric: bool) -> str | None:
        area = float(roc_auc(tally(labels, ordered(column, labels, numeric)))[0])
        told_apart = max(area, 1 - area)
        if not told_apart > GIVES_AWAY:
            return None
        return f"tells yes from no in {told_apart:.1%} of pairs"

    def summands(self) -> list[Column]:
        return [F.col("label")]

    def score_of(self, means: Array) -> Score:
        return float(means[0])

    def boosting(self, metric: str, balance: Balance | None = None) -> Boosting:
        settings = {"objective": "binary:logistic", "eval_metric": EVAL_METRICS[metric]}
        if balance is None:
            return Boosting(settings, metric, METRICS[metric].sign)
        # Scores begin with the true rate, and rows that are learned from with that among them.
        rate, (no, yes) = balance.rates[1], balance.margins
        begins = (float(np.log(rate / (1 - rate)) + yes - no),)
        settings_then = {**settings, "base_score": rate}
        return Boosting(settings_then, metric, METRICS[metric].sign, balance, begins)

    def line(
        self,
        ready: Any,
        labels: Array,
        ridge: float,
        balance: Balance | None = None,
        counts: Array | None = None,
    ) -> Line:
        # Newton steps need a square of the columns, of which a sparse matrix has too many.
        solver = "lbfgs" if issparse(ready) else "newton-cholesky"
        weight = 1 / (ridge * ready.shape[0])
        learner = LogisticRegression(C=weight, solver=solver, max_iter=MOST_STEPS)
        learner.fit(ready, labels, sample_weight=row_weights(labels, balance, counts))
        if balance is None:
            return Line("logistic", learner.coef_[0], learner.intercept_[0])
        no, yes = balance.margins
        return Line("logistic", learner.coef_[0], learner.intercept_[0] - (yes - no))

    def finish(self, raw: Array, labels: Array, usecase: UseCase) -> Finish:
        calibration = calibrate.fit(usecase.calibrate, raw, labels, usecase.model.seed)
        chosen = choose(usecase.predict.threshold, calibration.apply(raw), labels)
        return Finish(calibration, chosen.threshold, remark=chosen.remark)

    def predicted(self, threshold: float | None) -> dict[str, Column]:
        return {"prediction": F.col("score") >= F.lit(threshold)}

    def require_judgeable(self, labels: Array) -> None:
        rows, yes = len(labels), int(labels.sum())
        if 0 < yes < rows:
            return
        raise Refused(
            f"The holdout has {rows} rows with a known label, {yes} of them yes: no metric of "
            "ranking has a meaning on it.",
            "Choose another cutoff or holdout, or bring in the days it lies in.",
        )

    def counter(self, labels: Array, scored: Scored, groups: NDArray[np.int64], n: int) -> Counter:
        return Counter.of(labels, scored.scores, groups, n, _threshold(scored))

    def judged(self, labels: Array, scored: Scored) -> Judged:
        said, yes = scored.scores >= _threshold(scored), labels == 1
        confusion = Confusion(
            yes_said_yes=int((said & yes).sum()),
            yes_said_no=int((~said & yes).sum()),
            no_said_yes=int((said & ~yes).sum()),
            no_said_no=int((~said & ~yes).sum()),
        )
        return Judged(
            confusion=confusion,
            classes={
                "yes": ClassResult.of(confusion.yes_said_yes, int(said.sum()), int(yes.sum())),
                "no": ClassResult.of(confusion.no_said_no, int((~said).sum()), int((~yes).sum())),
            },
            calibration=calibration_table(labels, scored.scores),
        )

    def losses(self, labels: Array, scored: Scored) -> Array:
        return _log_losses(labels, scored.scores)

    def said(self, scored: Scored) -> NDArray[np.int64]:
        return (scored.scores >= _threshold(scored)).astype(np.int64)

    def volumes(self, scored: Scored) -> dict[str, float]:
        return {
            "number of rows said to be yes": float(self.said(scored).sum()),
            "sum of scores": float(scored.scores.sum()),
        }

    def positives(self, labels: Array) -> int | None:
        return int(labels.sum())

    def curves(self, labels: Array, models: Mapping[str, Scored], challenger: str) -> Curves:
        return of_yes(labels, {name: model.scores for name, model in models.items()})

    def outcome(self) -> dict[str, Column]:
        return {"score": F.col("score")}

    def matured(self, found: Mapping[str, Array], weights: Array) -> dict[str, Interval]:
        labels, scores = found["label"], found["score"]
        losses = _log_losses(labels, scores)
        return {
            "positives": (float((labels * weights).sum()), np.nan, np.nan),
            "roc_auc": auc_interval(labels, scores, weights),
            "log_loss": mean_interval(losses, weights),
            "brier": mean_interval((scores - labels) ** 2, weights),
        }


def _log_losses(labels: Array, scores: Array) -> Array:
    sure = np.clip(scores, EDGE, 1 - EDGE)
    found: Array = -(labels * np.log(sure) + (1 - labels) * np.log1p(-sure))
    return found


def _threshold(scored: Scored) -> float:
    if scored.threshold is None:
        raise ValueError("a binary model has a threshold")
    return scored.threshold
