"""Which dates a DAG run works on: pure functions of the plan and of what was asked for.

A run made by the clock or by a backfill carries a partition key. A run that a person starts may
carry one, or fields of the form, or nothing, which means the newest date there is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.errors import Refused, WrongUsage
from jobs.plan import Dates, Plan


@dataclass(frozen=True)
class Asked:
    """What a DAG run was started with.

    Attributes:
        today: the date now, in the use case's time zone.
        partition: the run's partition key, `yyyy-mm-dd`.
        params: the fields of the form; an empty one is None.
    """

    today: dt.date
    partition: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


When = Callable[[Plan, Asked], Dates]


def night(plan: Plan, asked: Asked) -> Dates:
    """The one prediction date of a night.

    Raises:
        Refused: the use case has no such prediction date.
        WrongUsage: it is no date, or partition key and form name different ones.
    """
    date = _chosen(plan, asked, "date")
    schedule = plan.usecase.schedule
    if date < schedule.start or (schedule.end is not None and date > schedule.end):
        raise Refused(
            f"{date} is not a prediction date of {plan.name}, which runs from {schedule.start} "
            f"to {schedule.end or 'now'}.",
            "Choose a date in that range, or change `schedule` in its usecase.yaml.",
        )
    return Dates.one(date)


def learning(plan: Plan, asked: Asked) -> Dates:
    """The dates a training may look at: up to the date of its cutoff, which is the last.

    Raises:
        Refused: the cutoff is before the first prediction date.
        WrongUsage: it is no date, or partition key and form name different ones.
    """
    start, cutoff = plan.usecase.schedule.start, _chosen(plan, asked, "cutoff")
    if cutoff < start:
        raise Refused(
            f"A training of {plan.name} with cutoff {cutoff} has nothing to learn from: its first "
            f"prediction date is {start}.",
            f"Give that date (--date {start}), or change schedule.start in its usecase.yaml.",
        )
    return Dates(start, cutoff)


def history(plan: Plan, asked: Asked) -> Dates:
    """The dates whose tables a training needs: also those of a holdout after the cutoff."""
    dates = learning(plan, asked)
    holdout_until = _date(asked.params.get("holdout_until"))
    if holdout_until is None:
        return dates
    return Dates(dates.first, max(dates.last, plan.first_final(holdout_until)))


def featured(plan: Plan, asked: Asked) -> Dates:
    """Those of them whose features it needs."""
    return plan.featured(history(plan, asked))


def newest(plan: Plan, today: dt.date) -> dt.date:
    """Today, or the last date of a use case that has ended, or the first of one yet to begin.

    That is how what is known of a file that came today is predicted today: tonight's cutoff is the
    first to know it.
    """
    schedule = plan.usecase.schedule
    return max(schedule.start, today if schedule.end is None else min(today, schedule.end))


def _chosen(plan: Plan, asked: Asked, name: str) -> dt.date:
    partition, param = _date(asked.partition), _date(asked.params.get(name))
    if partition and param and partition != param:
        raise WrongUsage(
            f"The run's partition key says {partition} but its {name} says {param}.",
            "Give one of them.",
        )
    return partition or param or newest(plan, asked.today)


def _date(text: str | None) -> dt.date | None:
    if not text:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise WrongUsage(f"{text!r} is not a date.", "Write it as yyyy-mm-dd.") from error
