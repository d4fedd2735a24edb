"""What every step is given, and what it gives back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.engine import Engine
from jobs.lake.tables import Tables
from jobs.plan import Dates, Plan


@dataclass(frozen=True)
class Context:
    """One step's surroundings.

    Attributes:
        plan: the resolved use case.
        dates: the prediction dates it works on; for `train`, `evaluate` and `promote` the last
            of them is the training cutoff's date.
        engine: gives Spark sessions.
        options: what a person chose for this run, such as `trials`.
    """

    plan: Plan
    dates: Dates
    engine: Engine
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tables(self) -> Tables:
        return Tables(self.plan)

    @property
    def is_night(self) -> bool:
        """Whether it is the run of a single night, which is looked at with more care."""
        return len(self.dates) == 1

    @property
    def date(self) -> dt.date:
        return self.dates.last


@dataclass(frozen=True)
class StepResult:
    """What a step did, in one sentence and in numbers.

    `rows` counts by table or purpose; `facts` holds what later steps or people ask for, such as
    a run id or a model version.
    """

    step: str
    use_case: str
    dates: Dates
    sentence: str
    rows: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
