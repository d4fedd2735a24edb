"""What an evaluation found, as JSON: the evidence of every promotion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict

from jobs.learning.band import Band
from jobs.learning.intervals import Estimate
from jobs.learning.label_quality import LabelQuality


class Finding(BaseModel):
    """What all parts have in common: frozen, and no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Confusion(Finding):
    """Rows by what was true and what was said at the threshold."""

    yes_said_yes: int
    yes_said_no: int
    no_said_yes: int
    no_said_no: int


class ClassResult(Finding):
    """Precision, recall and F1 of one class as it is predicted; None if it has no rows."""

    rows: int
    precision: float | None
    recall: float | None
    f1: float | None = None

    @classmethod
    def of(cls, right: int, said: int, rows: int) -> Self:
        """From how many rows of it there are, were said to be, and rightly so."""
        return cls(
            rows=rows,
            precision=right / said if said else None,
            recall=right / rows if rows else None,
            f1=2 * right / (said + rows) if said + rows else None,
        )


class CalibrationBin(Finding):
    """Rows whose score lies in [low, high), and how often they were yes."""

    low: float
    high: float
    rows: int
    mean_score: float
    share_of_yes: float


class CandidateResult(Finding):
    """One model on the holdout; what its target has not is None or empty.

    The confusion of several classes has rows by true class and, below it, by said class; and their
    calibration is of the said class's probability, where yes means that it was right. `volumes` is
    how much is predicted, by what it is (`Target.volumes`), and `microseconds` what scoring a row
    took, if that is bounded.
    """

    name: str
    threshold: float | None
    band: Band | None = None
    metrics: dict[str, Estimate]
    confusion: Confusion | Mapping[str, Mapping[str, int]] | None
    classes: Mapping[str, ClassResult]
    calibration: tuple[CalibrationBin, ...]
    volumes: Mapping[str, float] = {}
    microseconds: float | None = None


class SliceResult(Finding):
    """The challenger on one slice, and its gain over the champion there if there is one."""

    slice: str
    value: str
    rows: int
    yes: int | None
    estimate: Estimate
    gain: Estimate | None


class Evaluation(Finding):
    """All models on the same holdout rows.

    Attributes:
        target: the type of the labels.
        metric: the use case's own metric, which decides.
        confidence: of every interval.
        yes: how many of the rows are, of binary labels.
        resampled: what the bootstrap drew: `groups`, `dates` or `rows`.
        challenger: the simplest candidate that no other is significantly better than.
        gains: the challenger's paired gain over every other model; positive is better.
        small_slices: how many more slices have too few rows to be judged.
        champion_version: what it would replace, None if there is no champion yet.
        champion_problem: why the champion could not be scored, None if it could.
        remark: what was asked for and the challenger could not have, such as a precision.
        look: the how-manieth challenger of this champion it is on a holdout with any of these rows.
        leaks: features that may give the label away, a sentence each.
        labels: what those of the training were worth; None of a training that did not tell.
    """

    target: str = "binary"
    metric: str
    confidence: float
    rows: int
    yes: int | None
    first: str
    last: str
    resampled: str
    challenger: str
    candidates: tuple[CandidateResult, ...]
    gains: dict[str, Estimate]
    slices: tuple[SliceResult, ...]
    small_slices: int = 0
    champion_version: int | None = None
    champion_problem: str | None = None
    remark: str | None = None
    look: int = 1
    leaks: tuple[str, ...] = ()
    labels: LabelQuality | None = None

    def of(self, name: str) -> CandidateResult:
        """The result of one model by its name."""
        return next(found for found in self.candidates if found.name == name)
