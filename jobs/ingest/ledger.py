"""The ledger: every file ever looked at, and what became of it.

It spares reading a file again, and what it calls taken is in bronze: it is written after the rows.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from pyspark.sql import functions as f

from jobs.ingest.landing import LandedFile
from jobs.ingest.reader import Inspected
from jobs.lake.local_rows import local_rows
from jobs.lake.moments import moment
from jobs.lake.table import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Outcome = Literal["taken", "duplicate", "unchanged", "refused"]

# S3 tells the time in whole seconds, and a file may be written twice within the tick of a clock.
TICK = dt.timedelta(seconds=1)


@dataclass(frozen=True)
class Entry:
    """One file and what became of it; `reason` is empty if it was taken or has not changed."""

    inspected: Inspected
    outcome: Outcome
    reason: str


@dataclass
class Seen:
    """What the ledger knows of one source.

    Attributes:
        settled: content of files that were taken or are duplicates by name, size and arrival, and
            when each was last looked at.
        refused: content and reason of refused files by name, size and arrival.
        newest: the content last taken under each name, and when it arrived.
        contents: a name under which each content was taken for a day.
        last: of all contents the one that was taken last, and its name.
    """

    settled: dict[tuple[str, int, dt.datetime], tuple[str, dt.datetime]] = field(
        default_factory=dict
    )
    refused: dict[tuple[str, int, dt.datetime], tuple[str, str]] = field(default_factory=dict)
    newest: dict[str, tuple[str, dt.datetime]] = field(default_factory=dict)
    contents: dict[tuple[dt.date, str], str] = field(default_factory=dict)
    last: tuple[str, str] | None = None

    def is_settled(self, file: LandedFile) -> bool:
        """Whether a file need not be looked at again: it has not been written since.

        Who writes other content of the same size may say that it arrived when the old one did.
        """
        known = self.settled.get(identity(file))
        return known is not None and file.written_at + TICK <= known[1]

    def is_unchanged(self, inspected: Inspected) -> bool:
        """Whether a file has the content that it had when it was last looked at."""
        known = self.settled.get(identity(inspected.file))
        return known is not None and known[0] == inspected.sha256

    def is_news(self, entry: Entry) -> bool:
        """Whether an entry says something that the ledger does not."""
        known = self.refused.get(identity(entry.inspected.file))
        return entry.outcome != "refused" or known != (entry.inspected.sha256, entry.reason)


def judge(seen: Seen, inspected: list[Inspected], now: dt.datetime, *, by_day: bool) -> list[Entry]:
    """Taken, duplicate, unchanged or refused, each in the light of those before it.

    Other content under a known name is a correction, also if another file has the same, or if the
    file was put back to older content of its own. What is said to have arrived no later than the
    content that it replaces arrives `now`: it was not there when that was taken.

    With `by_day` content that came under another name for the same day is a duplicate; for another
    day it is not: a file that was put under the wrong day must be able to come under the right
    one. Without, only what repeats the last content is: a state that comes back is news.
    """
    newest, contents, last, entries = dict(seen.newest), dict(seen.contents), seen.last, []
    for each in inspected:
        name, sha, day = each.file.name, each.sha256, each.file.batch_date
        before = newest.get(name)
        repeated = last[1] if last and last[0] == sha else None
        twin = contents.get((day, sha)) if by_day else repeated
        if each.reason:
            entry = Entry(each, "refused", each.reason)
        elif seen.is_unchanged(each) and (not before or before[0] == sha):
            entry = Entry(each, "unchanged", "")
        elif before and before[0] == sha:
            entry = Entry(each, "duplicate", "was delivered again with the same content")
        elif twin and not before:
            entry = Entry(each, "duplicate", f"has the same content as {twin}")
        else:
            late = before is not None and each.file.arrived_at <= before[1]
            arrived_at = now if late else each.file.arrived_at
            file = replace(each.file, arrived_at=arrived_at)
            entry = Entry(replace(each, file=file), "taken", "")
            newest[name], contents[day, sha], last = (sha, arrived_at), name, (sha, name)
        entries.append(entry)
    return entries


def identity(file: LandedFile) -> tuple[str, int, dt.datetime]:
    """What tells a file from another without opening it."""
    return (file.name, file.size, file.arrived_at)


def seen(spark: SparkSession, ledger: Table) -> Mapping[str, Seen]:
    """Read the ledger; a source that it does not know has an empty one."""
    found: dict[str, Seen] = defaultdict(Seen)
    if not ledger.exists():
        return found
    # Moments as numbers: the process's own time zone has an hour that is ambiguous.
    rows = (
        ledger.read(spark)
        .withColumn("arrived", f.unix_micros("_arrived_at"))
        .withColumn("looked", f.unix_micros("seen_at"))
        .collect()
    )
    rows.sort(key=lambda row: (row["arrived"], row["looked"]))
    for row in rows:
        of_source = found[row["source"]]
        key = (row["_file"], row["bytes"], moment(row["arrived"]))
        if row["outcome"] == "refused":
            of_source.refused[key] = (row["_sha256"], row["reason"])
            continue
        of_source.settled[key] = (row["_sha256"], moment(row["looked"]))
        if row["outcome"] == "taken":
            name, sha = row["_file"], row["_sha256"]
            of_source.newest[name] = (sha, key[2])
            of_source.contents.setdefault((row["_batch_date"], sha), name)
            of_source.last = (sha, name)
    return found


def record(
    spark: SparkSession, ledger: Table, entries: Mapping[str, list[Entry]], now: dt.datetime
) -> None:
    """Append the entries of each source in one commit."""
    rows = [
        (
            source,
            each.inspected.file.name,
            each.inspected.sha256,
            each.inspected.file.size,
            each.inspected.rows,
            each.inspected.file.batch_date,
            each.inspected.file.arrived_at,
            each.outcome,
            each.reason,
            now,
        )
        for source, of_source in entries.items()
        for each in of_source
    ]
    if rows:
        ledger.append(local_rows(spark, rows, ledger.schema).coalesce(1))
