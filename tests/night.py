"""A night in a sandbox, run by processes of its own as Airflow would run it."""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from jobs import steps as steps_module
from jobs.context import Context, StepResult
from jobs.drill.sandbox import Sandbox, sandbox
from jobs.engine import Engine
from jobs.errors import DaybreakError
from jobs.lake.maintain import everything
from jobs.lake.parallel import side_by_side
from jobs.lake.table import Table
from jobs.lake.tables import Tables
from jobs.learning.dataset import content_hash
from jobs.plan import Dates, Plan
from jobs.settings import PROJECT
from tests.stack import DAYBREAK, Stack

NIGHT = dt.date(2013, 10, 6)
# What it needs of the day before, and of its own.
DAY = NIGHT - dt.timedelta(days=1)
ACTUALS = f"flight_delay/actuals/date={DAY}/actuals.csv"
SCHEDULE = f"flight_delay/schedule/date={NIGHT}/schedule.csv"
Step = tuple[str, ...]
STEPS: tuple[Step, ...] = (
    ("ingest",),
    ("conform",),
    ("gate", "--layer", "silver"),
    ("labels",),
    ("features",),
    ("gate", "--layer", "features"),
    ("predict",),
    ("gate", "--layer", "predictions"),
    ("publish",),
    ("monitor",),
    ("maintain",),
)
# Moments at which rows were written or looked at differ between any two runs.
MOMENTS = ("scored_at", "seen_at")
# A night reads and writes days after this one, but for the history of its features.
RECENT = NIGHT - dt.timedelta(days=21)


@dataclass(frozen=True)
class Clean:
    """What a clean run of a night leaves.

    Attributes:
        state: of its tables.
        warehouse: of the warehouse's.
        start: seconds that a process needs before its step begins to work.
        seconds: that each step works.
    """

    state: Mapping[str, str]
    warehouse: Mapping[str, str]
    start: float
    seconds: Mapping[Step, float]


@dataclass(frozen=True)
class Night:
    """A use case's night on a lake of its own.

    `usecases` is another folder of use cases than the project's.
    """

    stack: Stack
    box: Sandbox
    usecases: Path | None = field(default=None)

    @property
    def tables(self) -> Tables:
        return self.box.context.tables

    @property
    def landing(self) -> Path:
        return Path(self.box.context.plan.settings.landing)

    def start(self, step: Step, date: dt.date = NIGHT) -> subprocess.Popen[str]:
        return self.daybreak("run", step[0], "flight_delay", "--date", str(date), *step[1:])

    def daybreak(self, *words: str) -> subprocess.Popen[str]:
        """Start the command line on this night's lake."""
        settings = self.box.context.plan.settings
        folder = {"DAYBREAK_USECASES": str(self.usecases)} if self.usecases else {}
        return subprocess.Popen(
            [str(DAYBREAK), *words],
            env={
                **self.stack.environment,
                "DAYBREAK_LAKE": settings.lake,
                "DAYBREAK_LANDING": settings.landing,
                "DAYBREAK_WAREHOUSE_DATABASE": settings.warehouse_database,
                **folder,
            },
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, step: Step, date: dt.date = NIGHT) -> float:
        """Run a step to its end; gives the seconds it took."""
        began = time.monotonic()
        running = self.start(step, date)
        said = running.communicate(timeout=300)
        assert running.returncode == 0, (step, said)
        return time.monotonic() - began

    def run(self, steps: Sequence[Step] = STEPS, date: dt.date = NIGHT) -> list[StepResult]:
        """Run steps in this process, which is quicker."""
        return [steps_module.run(step[0], self._context(step, date)) for step in steps]

    def timed(self, step: Step) -> float:
        """Run a step in this process; gives the seconds that it took."""
        began = time.monotonic()
        self.run([step])
        return time.monotonic() - began

    def refused(self, step: Step, date: dt.date = NIGHT) -> str:
        """Run a step that must be refused; gives what it said."""
        with pytest.raises(DaybreakError) as refusal:
            self.run([step], date)
        return refusal.value.sentence

    def _context(self, step: Step, date: dt.date) -> Context:
        context, settings = self.box.context, self.box.context.plan.settings
        if self.usecases:
            settings = settings.model_copy(update={"usecases": self.usecases})
        names = (name.removeprefix("--") for name in step[1::2])
        options = dict(zip(names, step[2::2], strict=True))
        plan = Plan.of(context.plan.name, settings)
        return replace(context, plan=plan, dates=Dates.one(date), options=options)

    def kill(self, step: Step, after: float, date: dt.date = NIGHT) -> bool:
        """Start a step and kill it; False if it had ended by itself before that."""
        running = self.start(step, date)
        try:
            running.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
            return True
        return False

    def state(self, *names: str) -> Mapping[str, str]:
        """The number of rows of each table, or of those named, and a checksum of the recent."""
        sources = self.tables.plan.usecase.sources
        there = {table.name: table for table in everything(self.tables, sources)}
        # A name that no table has is an error: of nothing, every state would be the same.
        wanted = {name: there[name] for name in names or there}
        return dict(zip(wanted, side_by_side(wanted.values(), self._state), strict=True))

    def _state(self, table: Table) -> str:
        rows = table.read(self.box.context.engine.session()).drop(*MOMENTS)
        number = rows.count()
        if table.partition and table.partition[0].endswith("_date"):
            rows = rows.where(f"{table.partition[0]} >= date'{RECENT}'")
        return f"{number} rows, {content_hash(rows)}"


def lake_before(stack: Stack, first: dt.date, last: dt.date) -> AbstractContextManager[Sandbox]:
    """The flights' lake as it was before some nights."""
    plan = Plan.of("flight_delay", stack.settings)
    return sandbox(Context(plan, Dates(first, last), Engine(stack.settings)))


def lines(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text())))


def write(path: Path, rows: list[list[str]], arrived: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    path.write_text(out.getvalue())
    os.utime(path, (arrived, arrived))
