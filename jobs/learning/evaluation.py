"""What an evaluation found, as JSON: the evidence of every promotion."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from jobs.learning.intervals import Estimate


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
    """Precision and recall of one class at the threshold; None if it has no rows."""

    rows: int
    precision: float | None
    recall: float | None


class CalibrationBin(Finding):
    """Rows whose score lies in [low, high), and how often they were yes."""

    low: float
    high: float
    rows: int
    mean_score: float
    share_of_yes: float


class CandidateResult(Finding):
    """One model on the holdout."""

    name: str
    threshold: float
    metrics: dict[str, Estimate]
    confusion: Confusion
    classes: dict[str, ClassResult]
    calibration: tuple[CalibrationBin, ...]


class SliceResult(Finding):
    """The challenger on one slice, and its gain over the champion there if there is one."""

    slice: str
    value: str
    rows: int
    yes: int
    estimate: Estimate
    gain: Estimate | None


class Evaluation(Finding):
    """All models on the same holdout rows.

    Attributes:
        metric: the use case's own metric, which decides.
        confidence: of every interval.
        resampled: what the bootstrap drew, `dates` or `rows`.
        challenger: the simplest candidate that no other is significantly better than.
        gains: the challenger's paired gain over every other model; positive is better.
        champion_version: what it would replace, None if there is no champion yet.
        champion_problem: why the champion could not be scored, None if it could.
    """

    metric: str
    confidence: float
    rows: int
    yes: int
    first: str
    last: str
    resampled: str
    challenger: str
    candidates: tuple[CandidateResult, ...]
    gains: dict[str, Estimate]
    slices: tuple[SliceResult, ...]
    champion_version: int | None = None
    champion_problem: str | None = None

    def of(self, name: str) -> CandidateResult:
        """The result of one model by its name."""
        return next(found for found in self.candidates if found.name == name)
