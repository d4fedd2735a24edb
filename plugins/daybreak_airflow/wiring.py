"""What the DAGs of every use case have in common: schedule, owner, retries, runbook."""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Mapping
from dataclasses import dataclass

from airflow.sdk import DAG, CronPartitionTimetable, Param

from jobs.errors import DaybreakError
from jobs.plan import Plan
from jobs.settings import Settings
from jobs.spec.read import load, names


@dataclass(frozen=True)
class Declared:
    """The use cases in the folder: those that can be read, and why the others cannot."""

    plans: tuple[Plan, ...]
    refusals: tuple[DaybreakError, ...]


def declared(settings: Settings | None = None) -> Declared:
    """Read every use case; one that is wrong does not hide the others."""
    settings = settings or Settings()
    plans, refusals = [], []
    for name in names(settings.usecases):
        try:
            # Not Plan.of: the SQL in it is looked at by the steps, which have more time.
            plans.append(Plan(load(settings.usecases / name), settings))
        except DaybreakError as error:
            refusals.append(error)
    return Declared(tuple(plans), tuple(refusals))


def use_case_dag(
    plan: Plan, kind: str, cron: str, runbook: str | None, form: Mapping[str, Param]
) -> DAG:
    """A DAG whose runs carry the local date they fire on as partition key, one run at a time.

    `runbook` is the DAG file's docstring; `NAME` in it becomes the use case's name.
    """
    schedule, about = plan.usecase.schedule, plan.usecase.about
    end = plan.moment(schedule.end, dt.time.max) if schedule.end else None
    return DAG(
        f"{plan.name}__{kind}",
        schedule=CronPartitionTimetable(
            cron, timezone=plan.usecase.timezone, key_format="%Y-%m-%d"
        ),
        start_date=plan.moment(schedule.start, dt.time.min),
        end_date=end,
        catchup=False,
        max_active_runs=1,
        description=about.question,
        doc_md=inspect.cleandoc(runbook or "").replace("NAME", plan.name),
        tags={"daybreak", plan.name, kind},
        params=dict(form),
        default_args={
            "owner": about.owner,
            "retries": 2,
            "retry_delay": dt.timedelta(seconds=30),
            "execution_timeout": dt.timedelta(hours=6),
        },
    )


def date_field(title: str, description: str) -> Param:
    """A date of a DAG's form that may be left empty."""
    return Param(
        None, type=["null", "string"], format="date", title=title, description_md=description
    )
