"""What has landed: the files of a source's pattern, each with its day and its arrival.

Pure listing, without Spark: an Airflow sensor asks here whether a night can begin.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from jobs.errors import Refused
from jobs.ingest.store import Found, Store, store
from jobs.plan import Dates, Plan

UNFINISHED = (".tmp", ".part")
DAY = "{date}"
LOG = "/_delta_log/"
COMMITS = f"{LOG}*.json"


@dataclass(frozen=True)
class LandedFile:
    """A file below the landing root, or a Delta table.

    Of a table, size and arrival are those of its newest commit.

    Attributes:
        name: its path below the root.
        source: the source whose pattern it matches.
        batch_date: the day in its path; for a snapshot the local date of its arrival.
        size: bytes as stored.
        arrived_at: when it could be known (aware, UTC).
        written_at: when it was last written, or moved, by the store's own clock (aware, UTC).
        problem: why it must not be opened; empty if it may be.
    """

    name: str
    source: str
    batch_date: dt.date
    size: int
    arrived_at: dt.datetime
    written_at: dt.datetime
    problem: str = ""


def landing_store(plan: Plan) -> Store:
    """The plan's landing root."""
    return store(plan.settings.landing, plan.settings.s3_endpoint)


def landed(plan: Plan, source: str, dates: Dates | None) -> list[LandedFile]:
    """The files of a source that are there, sorted by name.

    Args:
        dates: file dates of a daily source, None for all; not used for a snapshot, whose files
            all count.

    Raises:
        Refused: the pattern leads out of the landing root, or the store refuses.
        Unavailable: the store cannot be reached.
    """
    there = landing_store(plan)
    days: list[dt.date | None] = [None]
    if plan.usecase.sources[source].is_daily:
        days = [*(dates or _days_there(plan, there, source))]
    patterns = {_pattern(plan, source, day): day for day in days}
    found = _found(plan, there, source, list(patterns))
    is_delta = plan.usecase.sources[source].format.type == "delta"
    arrivals = [each.modified for each in found] if is_delta else there.arrivals(found)
    return [
        LandedFile(
            each.name,
            source,
            patterns[each.pattern] or at.astimezone(plan.usecase.zone).date(),
            each.size,
            at,
            each.written,
            each.problem,
        )
        for each, at in zip(found, arrivals, strict=True)
    ]


def _days_there(plan: Plan, there: Store, source: str) -> list[dt.date]:
    """The days of which a daily source may have files, found from the files' names."""
    written = _pattern(plan, source, None)
    # Whatever stands where the day should be; what is no day matches no pattern of a day either.
    anything = written.replace(DAY, "*")
    named = {
        word
        for each in _found(plan, there, source, [anything])
        for word in re.findall(r"\d{4}-\d{2}-\d{2}", each.name)
    }
    return sorted(day for word in named if (day := _as_day(word)))


def _as_day(word: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(word)
    except ValueError:
        return None


def missing(plan: Plan, date: dt.date) -> list[str]:
    """The patterns that the night of prediction date `date` needs and that no file matches.

    A daily source is needed for `date - lag`, unless that is before the use case's start; of a
    snapshot any one file is enough.
    """
    there = landing_store(plan)
    wanted = {source: _needed(plan, source, date) for source in plan.usecase.sources}
    return [
        pattern
        for source, pattern in wanted.items()
        if pattern and not _found(plan, there, source, [pattern])
    ]


def _found(plan: Plan, there: Store, source: str, patterns: list[str]) -> list[Found]:
    """The finished files that match, or the tables with their newest commit."""
    if plan.usecase.sources[source].format.type != "delta":
        return [each for each in there.find(patterns) if _is_finished(each)]
    newest: dict[str, Found] = {}
    # In the order of their names, which are the numbers of the versions.
    for commit in there.find([pattern + COMMITS for pattern in patterns]):
        table = replace(
            commit,
            name=commit.name.partition(LOG)[0],
            pattern=commit.pattern.removesuffix(COMMITS),
        )
        newest[table.name] = table
    return [each for each in newest.values() if _is_finished(each)]


def _needed(plan: Plan, source: str, date: dt.date) -> str | None:
    spec = plan.usecase.sources[source]
    if not spec.is_daily:
        return _pattern(plan, source, None)
    day = spec.day_for(date)
    return _pattern(plan, source, day) if day >= plan.usecase.schedule.start else None


def _pattern(plan: Plan, source: str, day: dt.date | None) -> str:
    written = plan.usecase.sources[source].landing
    if written.startswith("/") or ".." in PurePosixPath(written).parts:
        raise Refused(
            f"sources.{source}.landing of {plan.name} is {written!r}, which leads out of the "
            "landing root.",
            "Write a pattern below the root, without a leading / and without `..`.",
        )
    return written.replace(DAY, str(day)) if day else written


def _is_finished(found: Found) -> bool:
    hidden = any(part.startswith((".", "_")) for part in PurePosixPath(found.name).parts)
    climbs = ".." in PurePosixPath(found.name).parts
    return climbs or not (hidden or found.name.endswith(UNFINISHED))
