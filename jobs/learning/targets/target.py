"""What is asked of a type of label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F

from jobs.errors import Refused
from jobs.learning.balance import Balance
from jobs.learning.band import Band
from jobs.learning.calibrate import Calibration, Uncalibrated
from jobs.learning.evaluation import CalibrationBin, ClassResult, Confusion
from jobs.learning.holdout import Scored
from jobs.learning.metrics.closed_form import Interval
from jobs.learning.metrics.metric import Counter, Metric
from jobs.learning.report.details import Curves
from jobs.usecase import UseCase

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

Array = NDArray[np.float64]
# Of one row: a number, or one for each class.
Score = float | tuple[float, ...]


@dataclass(frozen=True)
class Boosting:
    """How XGBoost learns a label.

    Attributes:
        settings: its objective, and the eval metric that it stops by.
        metric: the name of what that eval metric is among the target's metrics.
        sign: factor that makes more of it mean better.
        balance: how rare classes are learned, if they are balanced.
        begins: what each row that is learned from then begins with, for each of its sums.
    """

    settings: Mapping[str, Any]
    metric: str
    sign: float
    balance: Balance | None = None
    begins: tuple[float, ...] = ()


@dataclass(frozen=True)
class Line:
    """A fitted linear model of some columns.

    Attributes:
        link: how its sums become scores, see `jobs.learning.candidates.linear`.
        coefficients: of the columns, shape (columns,) or (classes, columns).
        intercept: shape () or (classes,).
    """

    link: str
    coefficients: Array
    intercept: Array


@dataclass(frozen=True)
class Finish:
    """What validation adds to a fitted candidate; a type of label has some of it.

    Attributes:
        calibration: from raw scores to finished ones.
        threshold: finished score from which a row counts as yes.
        band: of the intervals of numbers.
        remark: a sentence about what was asked for and could not be had.
    """

    calibration: Calibration = field(default_factory=Uncalibrated)
    threshold: float | None = None
    band: Band | None = None
    remark: str | None = None


@dataclass(frozen=True)
class Judged:
    """What an evaluation tells of one model beside its metrics."""

    confusion: Confusion | Mapping[str, Mapping[str, int]] | None = None
    classes: Mapping[str, ClassResult] = field(default_factory=dict)
    calibration: tuple[CalibrationBin, ...] = ()


@dataclass(frozen=True)
class Watched:
    """What is compared with the nights for drift: scores as published, and classes if there are."""

    score: Array
    prediction: pa.ChunkedArray | None = None


class Target(ABC):
    """A type of label: how it is read, learned, scored, measured and shown.

    Labels are numbers once `coded`; scores have the shape (rows, *`shape`).

    Attributes:
        type: as the use case's file names it.
        metrics: by name.
        shape: of one row's score.
        outputs: names of a row's numbers, for MLflow's signature.
        names: of the classes that labels as numbers stand for, from 0 on, if there are classes.
    """

    type: ClassVar[str]
    metrics: ClassVar[Mapping[str, Metric]]

    @classmethod
    def of(cls, usecase: UseCase) -> Self:
        """That of a use case's label."""
        return cls()

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Self:
        """From what `to_json` gave."""
        return cls()

    @property
    def shape(self) -> tuple[int, ...]:
        return ()

    @property
    def outputs(self) -> tuple[str, ...]:
        return ("score",)

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    @property
    def described(self) -> str:
        """In words, for a refusal."""
        return f"{self.type} labels"

    def to_json(self) -> dict[str, Any]:
        """All that `from_json` needs, and the type."""
        return {"type": self.type}

    def coded(self, rows: DataFrame) -> DataFrame:
        """Rows of a training set with `label` as a number."""
        return rows

    # Learning.

    @abstractmethod
    def require_learnable(self, part: DataFrame, name: str) -> int:
        """The number of rows of a part of the training set.

        Raises:
            Refused: it has none, or labels that nothing can be learned from.
        """

    @abstractmethod
    def given_away(self, column: pa.ChunkedArray, labels: Array, numeric: bool) -> str | None:
        """How a feature gives the labels of training rows away, if it does."""

    @abstractmethod
    def summands(self) -> list[Column]:
        """Columns whose means over rows with equal features are the best score of such rows."""

    @abstractmethod
    def score_of(self, means: Array) -> Score:
        """The score of some rows, by the means of their `summands`."""

    def constant(self, train: DataFrame, metric: str) -> Score:
        """The best single score of all rows where `metric` decides."""
        means = train.agg(*[F.avg(summand) for summand in self.summands()]).collect()[0]
        return self.score_of(np.array(means))

    @abstractmethod
    def boosting(self, metric: str, balance: Balance | None = None) -> Boosting:
        """How XGBoost learns it where `metric` decides."""

    @abstractmethod
    def line(
        self,
        ready: Any,
        labels: Array,
        ridge: float,
        balance: Balance | None = None,
        counts: Array | None = None,
    ) -> Line:
        """A linear model with a ridge, relative to the number of rows.

        Args:
            counts: how many rows each stands for, where not all stand for as many.
        """

    @abstractmethod
    def finish(self, raw: Array, labels: Array, usecase: UseCase) -> Finish:
        """What is fitted on the scores and labels of validation."""

    # Scores.

    @abstractmethod
    def predicted(self, threshold: float | None) -> dict[str, Column]:
        """The columns of `gold.predictions` that are made of a model's column `score`."""

    def watched(self, scores: Array) -> Watched:
        """What drift is looked for in."""
        return Watched(scores)

    # Judging.

    @abstractmethod
    def require_judgeable(self, labels: Array) -> None:
        """Raise `Refused` if no metric has a meaning on these labels."""

    @abstractmethod
    def counter(self, labels: Array, scored: Scored, groups: NDArray[np.int64], n: int) -> Counter:
        """What tallies these rows of `n` groups; `groups` is each row's, from 0 to n - 1."""

    @abstractmethod
    def judged(self, labels: Array, scored: Scored) -> Judged:
        """What is told of a model beside its metrics."""

    @abstractmethod
    def losses(self, labels: Array, scored: Scored) -> Array:
        """How far each row's score is from its label, on its own."""

    def said(self, scored: Scored) -> NDArray[np.int64] | None:
        """The place of the class that is said of each row, where there are classes."""
        return None

    @abstractmethod
    def volumes(self, scored: Scored) -> dict[str, float]:
        """How much is predicted, by what it is: of classes a number of rows."""

    def positives(self, labels: Array) -> int | None:
        """How many of the labels are yes, where there is such a thing."""
        return None

    @abstractmethod
    def curves(self, labels: Array, models: Mapping[str, Scored], challenger: str) -> Curves:
        """What is drawn of the models on the holdout, of which one is the challenger."""

    # The nights.

    @abstractmethod
    def outcome(self) -> dict[str, Column]:
        """Columns of a published row beside its label, that `matured` needs.

        They are made of those of `gold.predictions`, and of `label` as `coded` gives it.
        """

    @abstractmethod
    def matured(self, found: Mapping[str, Array], weights: Array) -> dict[str, Interval]:
        """Metrics of published rows with intervals in closed form, without resampling.

        Args:
            found: the columns of `outcome`, of rows whose label is final.
            weights: how many rows each stands for.
        """


def read(written: float | list[float]) -> Score:
    """A score from JSON, which has no tuples."""
    return tuple(written) if isinstance(written, list) else written


def measured(target: Target, labels: Array, scored: Scored) -> dict[str, float]:
    """Every metric of some rows; NaN where one has no meaning for them."""
    counter = target.counter(labels, scored, np.zeros(len(labels), dtype=np.int64), 1)
    found = counter.tally(np.ones((1, 1)))
    return {name: metric.of(found) for name, metric in target.metrics.items()}


def require_rows(rows: int, name: str) -> None:
    """Raise `Refused` if a part of the training set has no rows."""
    if not rows:
        raise Refused(
            f"The {name} part of the training set has no rows with a known label.",
            "Bring in the days of that part, or choose another cutoff.",
        )


def require_holdout(labels: Array) -> None:
    """Raise `Refused` if the holdout has no rows."""
    if not len(labels):
        raise Refused(
            "The holdout has no rows with a known label.",
            "Choose another cutoff or holdout, or bring in the days it lies in.",
        )
