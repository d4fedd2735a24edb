"""Plant faults into a good night, one after another, and report which gate caught each."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO

from jobs.context import Context
from jobs.drill.faults import Fault, faults
from jobs.drill.paper import Paper
from jobs.drill.sandbox import Sandbox, sandbox
from jobs.errors import Refused, WrongUsage
from jobs.ingest.landing import LandedFile
from jobs.lake.made import Made
from jobs.plan import Dates
from jobs.quality.expectations import GateBroken
from jobs.quality.usual import Profiles
from jobs.steps import run
from jobs.usecase import Source

NIGHT: tuple[tuple[str, str | None], ...] = (
    ("ingest", None),
    ("conform", None),
    ("gate", "silver"),
    ("features", None),
    ("gate", "features"),
    ("predict", None),
    ("gate", "predictions"),
)
ENOUGH = 0.95


@dataclass(frozen=True)
class Outcome:
    """What became of one fault.

    Attributes:
        fault: its name.
        source: whose file it was planted into.
        caught_by: the step that refused the night, with its layer; empty if none did.
        as_expected: whether that is a step that should have, and its sentence names what is wrong.
        sentence: what it said.
        seconds: how long the night took until then.
    """

    fault: str
    source: str
    caught_by: str
    as_expected: bool
    sentence: str
    seconds: float


@dataclass(frozen=True)
class Drilled:
    """A whole drill.

    Attributes:
        use_case: its name.
        date: the night that faults were planted into.
        outcomes: one for each fault.
        clean: how many nights were run without a fault.
        alarms: those of them that were refused, and why.
        not_planted: the faults that the use case cannot have, each with why.
    """

    use_case: str
    date: dt.date
    outcomes: tuple[Outcome, ...]
    clean: int
    alarms: Mapping[str, str]
    not_planted: tuple[str, ...] = ()

    @property
    def caught(self) -> int:
        return sum(each.as_expected for each in self.outcomes)

    @property
    def passed(self) -> bool:
        return self.caught >= ENOUGH * len(self.outcomes) and not self.alarms

    @property
    def sentence(self) -> str:
        return (
            f"{self.caught} of {len(self.outcomes)} faults were caught by the gate that should, "
            f"and {len(self.alarms)} of {self.clean} clean nights were refused."
            + (f" {len(self.not_planted)} faults were not planted." if self.not_planted else "")
        )


def drill(context: Context, clean: int, say: Callable[[str], None]) -> Drilled:
    """Run a fire drill on a copy; the use case itself is not touched.

    Args:
        context: its single date is the night; it must have been good.
        clean: how many nights up to that one are run without a fault, for false alarms.
        say: is told each outcome.

    Raises:
        Refused: there is no good night to copy, entities or labels do not arrive by day, or the use
            case can have none of the faults.
    """
    night, usecase = context.date, context.plan.usecase
    whole = {usecase.entity.source, usecase.label.source} - {
        name for name, spec in usecase.sources.items() if spec.is_daily
    }
    if whole:
        raise Refused(
            f"A drill plants faults into files of a day, and {', '.join(sorted(whole))} of "
            f"{context.plan.name} is a snapshot.",
            "Its nights have the same gates; `daybreak check --suggest` drafts more.",
        )
    dates = Dates(night - dt.timedelta(days=clean - 1), night)
    outcomes: list[Outcome] = []
    not_planted: list[str] = []
    alarms: dict[str, str] = {}
    with sandbox(replace(context, dates=dates)) as box:
        for date in dates:
            if date == night:
                outcomes, not_planted = _with_faults(box, night, say)
            step, sentence = _run_night(replace(box.context, dates=Dates.one(date)))
            say(f"clean night {date}: " + (f"REFUSED by {step}: {sentence}" if step else "passed"))
            if step:
                alarms[str(date)] = sentence
    name, planted, left_out = context.plan.name, tuple(outcomes), tuple(not_planted)
    return Drilled(name, night, planted, clean, alarms, left_out)


def newest_night(context: Context) -> dt.date:
    """The newest date that has features.

    Raises:
        Refused: there is none.
    """
    built = Made(context.tables.features()).inputs()
    if not built:
        raise Refused(
            f"{context.plan.name} has no night that could be copied.",
            f"Run one first: `daybreak trigger {context.plan.name} nightly`.",
        )
    return dt.date.fromisoformat(max(built))


def _with_faults(
    box: Sandbox, night: dt.date, say: Callable[[str], None]
) -> tuple[list[Outcome], list[str]]:
    plan = box.context.plan
    statistics = {
        source: _newest_profile(box, source, spec)
        for source, spec in plan.usecase.sources.items()
        if spec.is_daily
    }
    planted, left_out = faults(plan.usecase, statistics)
    for why in left_out:
        say(f"not planted: {why}")
    if not planted:
        raise Refused(
            f"{plan.name} can have none of the faults of a drill: {'; '.join(left_out)}.",
            "Its nights have the same gates; `daybreak check --suggest` drafts more.",
        )
    outcomes = []
    for fault in planted:
        with box.copy() as copy:
            file = _plant(copy, fault, night)
            began = time.monotonic()
            step, sentence = _run_night(replace(copy.context, dates=Dates.one(night)))
            seconds = time.monotonic() - began
        told = fault.is_told_by(step, sentence, file)
        outcomes.append(Outcome(fault.name, fault.source, step, told, sentence, seconds))
        say(f"{fault.name} in {fault.source}: " + (f"{step}: {sentence}" if step else "NOT CAUGHT"))
    return outcomes, left_out


def _newest_profile(box: Sandbox, source: str, spec: Source) -> Mapping[str, float]:
    context = box.context
    found = Profiles(context.tables.silver(source), spec).newest(context.engine.session())
    if found is None:
        raise WrongUsage(
            f"silver.{source} has no day before the night: there is nothing to be unlike of.",
            "Choose a date with nights before it: see `daybreak publications`.",
        )
    return found


def _plant(box: Sandbox, fault: Fault, night: dt.date) -> str:
    """Put the wrong file in the place of the good one; gives its name."""
    plan = box.context.plan
    spec = plan.usecase.sources[fault.source]
    day = spec.day_for(night)
    file, before = (
        _file(box, fault.source, day),
        _file(box, fault.source, day - dt.timedelta(days=1)),
    )
    papers = []
    for each in (file, before):
        with box.landing.open(each.name) as stream:
            papers.append(Paper.read(each.name, stream.read(), spec, each.batch_date))
    box.landing.deliver(file.name, BytesIO(fault.plant(*papers)), file.arrived_at)
    return file.name


def _file(box: Sandbox, source: str, day: dt.date) -> LandedFile:
    """The largest file of a day: what a night could not do without."""
    there = [each for each in box.files[source] if each.batch_date == day]
    if not there:
        raise Refused(
            f"The landing folder has no file of {source} for {day}, and a drill needs one.",
            "Choose a date whose files are still there.",
        )
    return max(there, key=lambda each: each.size)


def _run_night(context: Context) -> tuple[str, str]:
    """The step that refused the night and its sentence; both empty if none did.

    Raises:
        GateBroken, Unavailable: the drill itself cannot go on.
    """
    for step, layer in NIGHT:
        try:
            run(step, replace(context, options={"layer": layer}))
        except GateBroken:
            raise
        except (Refused, WrongUsage) as error:
            return f"{step} {layer}" if layer else step, error.sentence
    return "", ""
