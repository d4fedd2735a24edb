"""One of several classes: labels are places among them, a score is a probability of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F
from sklearn.linear_model import LogisticRegression

from jobs.errors import Refused
from jobs.label_types import score_column
from jobs.learning import calibrate
from jobs.learning.balance import Balance, row_weights
from jobs.learning.evaluation import CalibrationBin, ClassResult
from jobs.learning.holdout import Scored
from jobs.learning.leak import FEWEST_ROWS, GIVES_AWAY, ordered
from jobs.learning.metrics.binary import roc_auc
from jobs.learning.metrics.closed_form import (
    Interval,
    f1_intervals,
    mean_interval,
    share_interval,
)
from jobs.learning.metrics.metric import EDGE, Metric
from jobs.learning.metrics.multiclass import METRICS, ClassCounter, chance_of
from jobs.learning.metrics.tally import tally
from jobs.learning.report.curves import of_classes
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
    Watched,
    require_holdout,
    require_rows,
)
from jobs.usecase import UseCase

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MOST_STEPS = 1000


@dataclass(frozen=True)
class Multiclass(Target):
    """One of several classes, in the order in which they were declared.

    Attributes:
        costs: by true class and said class; empty: the likeliest is said. They are no part of what
            is learned, so that a model of other costs is of the same labels.
    """

    classes: tuple[str, ...]
    costs: tuple[tuple[float, ...], ...] = field(default=(), compare=False)

    type: ClassVar[str] = "multiclass"
    metrics: ClassVar[Mapping[str, Metric]] = METRICS

    @classmethod
    def of(cls, usecase: UseCase) -> Self:
        classes, said = usecase.label.classes, usecase.predict.costs
        if not said:
            return cls(classes)
        of_errors = [said.get(true, {}) for true in classes]
        costs = (
            tuple(each.get(name, float(name != true)) for name in classes)
            for true, each in zip(classes, of_errors, strict=True)
        )
        return cls(classes, tuple(costs))

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Self:
        return cls(tuple(written["classes"]), tuple(map(tuple, written["costs"])))

    def to_json(self) -> dict[str, Any]:
        return {"type": self.type, "classes": list(self.classes), "costs": self.costs}

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.classes),)

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(map(score_column, self.classes))

    @property
    def names(self) -> tuple[str, ...]:
        return self.classes

    @property
    def described(self) -> str:
        return f"the classes {', '.join(self.classes)}"

    def coded(self, rows: DataFrame) -> DataFrame:
        return rows.withColumn("label", self._place("label"))

    def require_learnable(self, part: DataFrame, name: str) -> int:
        unknown = F.count_if(F.col("label").isNull())
        rows, strange = part.agg(F.count("*"), unknown).collect()[0]
        require_rows(rows, name)
        self._require_known(f"the {name} part", rows, strange)
        return int(rows)

    def given_away(self, column: pa.ChunkedArray, labels: Array, numeric: bool) -> str | None:
        told_apart = self._told_apart(column, labels, numeric)
        counted = np.bincount(labels.astype(np.int64), minlength=len(self.classes))
        # A rare class is told apart by chance.
        for place in np.flatnonzero(counted >= FEWEST_ROWS).tolist():
            worst = min((part for pair, part in told_apart.items() if place in pair), default=0.0)
            if worst > GIVES_AWAY:
                name = self.classes[place]
                return f"tells {name} from each other class in at least {worst:.1%} of pairs"
        return None

    def _told_apart(
        self, column: pa.ChunkedArray, labels: Array, numeric: bool
    ) -> dict[tuple[int, int], float]:
        """How well a feature tells each two classes apart, of which there are rows enough.

        The area under the ROC curve of each pair, as in Hand and Till, Machine Learning 45, 2001.
        """
        found = {}
        for pair in combinations(range(len(self.classes)), 2):
            chosen = np.isin(labels, pair)
            yes = (labels[chosen] == pair[1]).astype(np.float64)
            if min(yes.sum(), len(yes) - yes.sum()) < FEWEST_ROWS:
                continue
            values = ordered(column.filter(pa.array(chosen)), yes, numeric)
            area = float(roc_auc(tally(yes, values))[0])
            found[pair] = max(area, 1 - area)
        return found

    def summands(self) -> list[Column]:
        return [(F.col("label") == place).cast("double") for place in range(len(self.classes))]

    def score_of(self, means: Array) -> Score:
        return tuple(float(mean) for mean in means)

    def boosting(self, metric: str, balance: Balance | None = None) -> Boosting:
        # XGBoost knows neither F1 nor accuracy of classes by rows' weights: all stop by log loss.
        settings = {
            "objective": "multi:softprob",
            "num_class": len(self.classes),
            "eval_metric": "mlogloss",
        }
        sign = METRICS["log_loss"].sign
        if balance is None:
            return Boosting(settings, "log_loss", sign)
        # The same for all classes means nothing, but it has to be the same.
        base = 0.5
        begins = tuple(float(base + margin) for margin in balance.margins)
        return Boosting({**settings, "base_score": base}, "log_loss", sign, balance, begins)

    def line(
        self,
        ready: Any,
        labels: Array,
        ridge: float,
        balance: Balance | None = None,
        counts: Array | None = None,
    ) -> Line:
        weight = 1 / (ridge * ready.shape[0])
        learner = LogisticRegression(C=weight, solver="lbfgs", max_iter=MOST_STEPS)
        learner.fit(ready, labels, sample_weight=row_weights(labels, balance, counts))
        if balance is None:
            return Line("softmax", learner.coef_, learner.intercept_)
        return Line("softmax", learner.coef_, learner.intercept_ - balance.margins)

    def finish(self, raw: Array, labels: Array, usecase: UseCase) -> Finish:
        return Finish(calibrate.fit(usecase.calibrate, raw, labels, usecase.model.seed))

    def cheapest(self, scores: Array) -> NDArray[np.int64]:
        """The class that is said of each row, of equally good ones the first declared.

        It is the one whose cost is least to be expected (Elkan, The foundations of cost-sensitive
        learning, IJCAI 2001, section 1), which is the likeliest where all errors cost the same.
        """
        if not self.costs:
            likeliest: NDArray[np.int64] = scores.argmax(axis=1)
            return likeliest
        expected = np.zeros_like(scores)
        for true, costs in enumerate(self.costs):
            expected += scores[:, true, None] * np.array(costs)
        cheapest: NDArray[np.int64] = expected.argmin(axis=1)
        return cheapest

    def predicted(self, threshold: float | None) -> dict[str, Column]:
        score = F.col("score")
        place = self._said(score)
        each = {name: score[place] for place, name in enumerate(self.outputs)}
        return {"score": F.get(score, place), "prediction": F.get(self._names(), place), **each}

    def _said(self, score: Column) -> Column:
        """As `said`, of a column of scores; sums are made in the same order."""
        if not self.costs:
            return F.array_position(score, F.array_max(score)).cast("int") - 1
        expected = F.array(
            *[
                sum((score[true] * F.lit(cost) for true, cost in enumerate(costs)), F.lit(0.0))
                for costs in zip(*self.costs, strict=True)
            ]
        )
        return F.array_position(expected, F.array_min(expected)).cast("int") - 1

    def watched(self, scores: Array) -> Watched:
        said = self.cheapest(scores)
        names = np.array(self.classes, dtype=object)[said]
        return Watched(chance_of(said, scores), pa.chunked_array([pa.array(names, pa.string())]))

    def require_judgeable(self, labels: Array) -> None:
        require_holdout(labels)
        self._require_known("the holdout", len(labels), int(np.isnan(labels).sum()))
        if lacking := [name for place, name in enumerate(self.classes) if place not in labels]:
            raise Refused(
                f"None of {len(labels)} holdout rows is of class {', '.join(lacking)}: nothing "
                "can be said of a model there.",
                "Hold out more rows, or the same share of each class: `split: {by: random, "
                "stratify: true}`.",
            )

    def counter(
        self, labels: Array, scored: Scored, groups: NDArray[np.int64], n: int
    ) -> ClassCounter:
        return ClassCounter.of(labels, scored.scores, self.cheapest(scored.scores), groups, n)

    def judged(self, labels: Array, scored: Scored) -> Judged:
        confusion = self._confusion(labels, scored)
        said = {name: sum(row[name] for row in confusion.values()) for name in self.classes}
        return Judged(
            confusion=confusion,
            classes={
                name: ClassResult.of(row[name], said[name], sum(row.values()))
                for name, row in confusion.items()
            },
            calibration=self._reliability(labels, scored),
        )

    def losses(self, labels: Array, scored: Scored) -> Array:
        chances = chance_of(labels.astype(np.int64), scored.scores)
        found: Array = -np.log(np.clip(chances, EDGE, 1))
        return found

    def said(self, scored: Scored) -> NDArray[np.int64]:
        return self.cheapest(scored.scores)

    def volumes(self, scored: Scored) -> dict[str, float]:
        rows = np.bincount(self.said(scored), minlength=len(self.classes)).tolist()
        return {
            f"number of rows said to be {name}": float(number)
            for name, number in zip(self.classes, rows, strict=True)
        }

    def curves(self, labels: Array, models: Mapping[str, Scored], challenger: str) -> Curves:
        return of_classes(labels.astype(np.int64), models[challenger].scores, self.classes)

    def outcome(self) -> dict[str, Column]:
        label = F.col("label")
        given = [F.when(label == n, F.col(name)) for n, name in enumerate(self.outputs)]
        return {"said": self._place("prediction"), "chance": F.coalesce(*given)}

    def matured(self, found: Mapping[str, Array], weights: Array) -> dict[str, Interval]:
        labels, said = found["label"], found["said"]
        losses = -np.log(np.clip(found["chance"], EDGE, 1))
        macro, weighted = f1_intervals(labels, said, weights, len(self.classes))
        return {
            "log_loss": mean_interval(losses, weights),
            "accuracy": share_interval((labels == said).astype(np.float64), weights),
            "f1_weighted": weighted,
            "f1_macro": macro,
        }

    def _names(self) -> Column:
        return F.array(*[F.lit(name) for name in self.classes])

    def _place(self, column: str) -> Column:
        """Where a column's class is among the classes; null if it is none of them."""
        place = F.array_position(self._names(), F.col(column))
        return F.when(place > 0, place - 1).cast("double")

    def _confusion(self, labels: Array, scored: Scored) -> dict[str, dict[str, int]]:
        """How many rows there are by true and said class."""
        size, truth = len(self.classes), labels.astype(np.int64)
        cells = np.bincount(truth * size + self.cheapest(scored.scores), minlength=size**2)
        rows = zip(self.classes, cells.reshape(size, size).tolist(), strict=True)
        return {name: dict(zip(self.classes, row, strict=True)) for name, row in rows}

    def _reliability(self, labels: Array, scored: Scored) -> tuple[CalibrationBin, ...]:
        said = self.cheapest(scored.scores)
        right = (labels == said).astype(np.float64)
        return calibration_table(right, chance_of(said, scored.scores))

    def _require_known(self, where: str, rows: int, strange: int) -> None:
        if strange:
            raise Refused(
                f"{strange} of {rows} labels in {where} are none of label.classes: "
                f"{', '.join(self.classes)}.",
                "Add the class, or let label.expression give another one, and run labels again.",
            )
