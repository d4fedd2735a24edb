"""What has landed: the files of a source's pattern, each with its day and its arrival.

Pure listing, without Spark: an Airflow sensor asks here whether a night can begin.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import PurePosixPath

from jobs.errors import Refused
from jobs.ingest.store import Found, Store, store
from jobs.plan import Dates, Plan

UNFINISHED = (".tmp", ".part")


@dataclass(frozen=True)
class LandedFile:
    """A file below the landing root.

    Attributes:
        name: its path below the root.
        source: the source whose pattern it matches.
        batch_date: the day in its path; for a snapshot the local date of its arrival.
        size: bytes as stored.
        arrived_at: when it could be known (aware, UTC).
        problem: why it must not be opened; empty if it may be.
    """

    name: str
    source: str
    batch_date: dt.date
    size: int
    arrived_at: dt.datetime
    problem: str = ""


def landing_store(plan: Plan) -> Store:
    """The plan's landing root."""
    return store(plan.settings.landing, plan.settings.s3_endpoint)


def landed(plan: Plan, source: str, dates: Dates | None) -> list[LandedFile]:
    """The files of a source that are there, sorted by name.

    Args:
        dates: file dates of a daily source; not used for a snapshot, whose files all count.

    Raises:
        Refused: the pattern leads out of the landing root, or the store refuses.
        Unavailable: the store cannot be reached.
    """
    there = landing_store(plan)
    days: list[dt.date | None] = list(dates) if dates and _is_daily(plan, source) else [None]
    patterns = {_pattern(plan, source, day): day for day in days}
    found = [each for each in there.find(list(patterns)) if _is_finished(each)]
    return [
        LandedFile(
            each.name,
            source,
            patterns[each.pattern] or at.astimezone(plan.usecase.zone).date(),
            each.size,
            at,
            each.problem,
        )
        for each, at in zip(found, there.arrivals(found), strict=True)
    ]


def missing(plan: Plan, date: dt.date) -> list[str]:
    """The patterns that the night of prediction date `date` needs and that no file matches.

    A daily source is needed for `date - lag`, unless that is before the use case's start; of a
    snapshot any one file is enough.
    """
    there = landing_store(plan)
    wanted = [_needed(plan, source, date) for source in plan.usecase.sources]
    return [
        pattern
        for pattern in wanted
        if pattern and not any(_is_finished(each) for each in there.find([pattern]))
    ]


def _needed(plan: Plan, source: str, date: dt.date) -> str | None:
    if not _is_daily(plan, source):
        return _pattern(plan, source, None)
    day = date - dt.timedelta(days=plan.usecase.sources[source].arrives.lag)
    return _pattern(plan, source, day) if day >= plan.usecase.schedule.start else None


def _is_daily(plan: Plan, source: str) -> bool:
    return plan.usecase.sources[source].arrives.as_ == "daily"


def _pattern(plan: Plan, source: str, day: dt.date | None) -> str:
    written = plan.usecase.sources[source].landing
    if written.startswith("/") or ".." in PurePosixPath(written).parts:
        raise Refused(
            f"sources.{source}.landing of {plan.name} is {written!r}, which leads out of the "
            "landing root.",
            "Write a pattern below the root, without a leading / and without `..`.",
        )
    return written.replace("{date}", str(day))


def _is_finished(found: Found) -> bool:
    hidden = any(part.startswith((".", "_")) for part in PurePosixPath(found.name).parts)
    climbs = ".." in PurePosixPath(found.name).parts
    return climbs or not (hidden or found.name.endswith(UNFINISHED))
