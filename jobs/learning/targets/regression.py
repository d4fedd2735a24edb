"""A number: labels and scores are in the label's own unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F
from scipy.sparse import issparse
from scipy.stats import rankdata
from sklearn.linear_model import Ridge

from jobs.errors import Refused
from jobs.learning import band
from jobs.learning.balance import Balance
from jobs.learning.holdout import Scored
from jobs.learning.leak import ordered
from jobs.learning.metrics.closed_form import Interval, mean_interval, share_interval
from jobs.learning.metrics.metric import Metric
from jobs.learning.metrics.regression import METRICS, ErrorCounter
from jobs.learning.recipe.rows import rounded
from jobs.learning.report.curves import of_numbers
from jobs.learning.report.details import Curves
from jobs.learning.targets.target import (
    Array,
    Boosting,
    Finish,
    Judged,
    Line,
    Score,
    Target,
    require_holdout,
    require_rows,
)
from jobs.usecase import UseCase

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

OBJECTIVES = {"rmse": "reg:squarederror", "mae": "reg:absoluteerror"}
# Yesterday's number may honestly rank today's very well, so this is closer to 1 than for classes.
GIVES_AWAY = 0.999
# Of the conjugate gradients that solve for a sparse matrix.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Regression(Target):
    """A number.

    Attributes:
        bounded: whether the columns of its interval are published, which is no part of what is
            learned.
    """

    bounded: bool = field(default=False, compare=False)

    type: ClassVar[str] = "regression"
    metrics: ClassVar[Mapping[str, Metric]] = METRICS

    @classmethod
    def of(cls, usecase: UseCase) -> Self:
        return cls(bounded=bool(usecase.predict.ends))

    def require_learnable(self, part: DataFrame, name: str) -> int:
        rows, least, most = part.agg(F.count("*"), F.min("label"), F.max("label")).collect()[0]
        require_rows(rows, name)
        if least == most:
            raise Refused(
                f"All {rows} rows of the {name} part have the same label, {least:g}.",
                "Look at label.expression, or choose a later cutoff.",
            )
        return int(rows)

    def given_away(self, column: pa.ChunkedArray, labels: Array, numeric: bool) -> str | None:
        values = ordered(column, labels, numeric)
        if values.min() == values.max() or labels.min() == labels.max():
            return None
        alike = abs(float(np.corrcoef(rankdata(values), rankdata(labels))[0, 1]))
        return f"ranks the labels (correlation {alike:.4f})" if alike > GIVES_AWAY else None

    def summands(self) -> list[Column]:
        return [F.col("label")]

    def score_of(self, means: Array) -> Score:
        # Rounded, so that how a machine adds up cannot change a model.
        return rounded(float(means[0]))

    def constant(self, train: DataFrame, metric: str) -> Score:
        # Absolute errors are least at the median, squared ones at the mean.
        if metric == "mae":
            return float(train.agg(F.median("label")).collect()[0][0])
        return super().constant(train, metric)

    def boosting(self, metric: str, balance: Balance | None = None) -> Boosting:
        settings = {"objective": OBJECTIVES[metric], "eval_metric": metric}
        return Boosting(settings, metric, METRICS[metric].sign)

    def line(
        self,
        ready: Any,
        labels: Array,
        ridge: float,
        balance: Balance | None = None,
        counts: Array | None = None,
    ) -> Line:
        solver = "sparse_cg" if issparse(ready) else "cholesky"
        learner = Ridge(alpha=ridge * ready.shape[0], solver=solver, tol=TOLERANCE)
        learner.fit(ready, labels, sample_weight=counts)
        return Line("identity", learner.coef_, learner.intercept_)

    def finish(self, raw: Array, labels: Array, usecase: UseCase) -> Finish:
        level = usecase.predict.interval
        if level is None:
            return Finish()
        if (found := band.fit(level, raw, labels)) is not None:
            return Finish(band=found)
        return Finish(
            remark=f"Validation has {len(raw)} rows, and an interval of {level:g} takes "
            f"{band.fewest_rows(level)}: low and high are empty."
        )

    def predicted(self, threshold: float | None) -> dict[str, Column]:
        return {"prediction": F.col("score")}

    def require_judgeable(self, labels: Array) -> None:
        require_holdout(labels)

    def counter(
        self, labels: Array, scored: Scored, groups: NDArray[np.int64], n: int
    ) -> ErrorCounter:
        return ErrorCounter.of(labels, scored.scores, groups, n, scored.band)

    def judged(self, labels: Array, scored: Scored) -> Judged:
        return Judged()

    def losses(self, labels: Array, scored: Scored) -> Array:
        return np.abs(scored.scores - labels)

    def volumes(self, scored: Scored) -> dict[str, float]:
        # By size, because a sum of numbers above and below 0 may be next to nothing.
        return {"sum of predictions without their signs": float(np.abs(scored.scores).sum())}

    def curves(self, labels: Array, models: Mapping[str, Scored], challenger: str) -> Curves:
        scores = {name: model.scores for name, model in models.items()}
        return of_numbers(labels, scores, challenger)

    def outcome(self) -> dict[str, Column]:
        covered = F.col("label").between(F.col("low"), F.col("high")).cast("double")
        return {"score": F.col("score"), **({"covered": covered} if self.bounded else {})}

    def matured(self, found: Mapping[str, Array], weights: Array) -> dict[str, Interval]:
        errors = found["score"] - found["label"]
        value, low, high = mean_interval(errors**2, weights)
        told = {
            "rmse": (np.sqrt(value), np.sqrt(max(low, 0.0)), np.sqrt(high)),
            "mae": mean_interval(np.abs(errors), weights),
            "bias": mean_interval(errors, weights),
        }
        if self.bounded:
            # A model that was trained without intervals has published none.
            there = np.isfinite(found["covered"])
            told["coverage"] = share_interval(found["covered"][there], weights[there])
        return told
