"""Take the files of a source into bronze, each exactly once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.ingest import ledger, reader
from jobs.ingest.landing import LandedFile, landed, landing_store
from jobs.ingest.ledger import Entry, Seen
from jobs.ingest.text import Limits
from jobs.lake.moments import micros
from jobs.lake.parallel import side_by_side
from jobs.lake.table import Table
from jobs.lake.tables import Tables
from jobs.lake.tombstones import Tombstones
from jobs.plan import Dates
from jobs.usecase import Source

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Taken:
    """What taking in a source's files did.

    Attributes:
        source: which source.
        files: how many files were taken.
        rows: how many rows they hold, malformed records included.
        repeated: a sentence for each file whose content was taken before.
        refused: a sentence for each file that cannot be taken in; also what was refused earlier
            and is still there.
        lacking: days of which more was refused than their budget bears; of a snapshot, arrivals,
            if no file at all is sound.
    """

    source: str
    files: int
    rows: int
    repeated: tuple[str, ...]
    refused: tuple[str, ...]
    lacking: tuple[dt.date, ...]

    @property
    def duplicates(self) -> int:
        return len(self.repeated)


def take_in(
    spark: SparkSession,
    tables: Tables,
    sources: Mapping[str, Dates | None],
    limits: Limits | None = None,
) -> list[Taken]:
    """Take the rows of the files that have landed and were not taken in before.

    Bronze gets all rows of a source in one commit, then the ledger the entries of all in another.
    The first commit puts the rows in the place of the same contents' rows: a run after one that
    was killed between the two, or beside one whose Spark job has outlived it, doubles nothing.
    A file refused does not stop the others, and is looked at again the next time. A file whose
    content changed under its name is taken in again, as a correction that arrived when it was
    written; what was written since it was last looked at is looked at, whatever it says of its
    size and arrival.

    Args:
        sources: by name, the file dates of a daily source; None takes all files of a snapshot.

    Raises:
        Refused, Unavailable: the landing root cannot be listed or read at all.
    """
    bound, now = limits or Limits(), dt.datetime.now(dt.UTC)
    seen = ledger.seen(spark, tables.ledger())
    judged = side_by_side(
        sources,
        lambda source: _into_bronze(
            spark, tables, source, sources[source], seen[source], bound, now
        ),
    )
    found = dict(zip(sources, judged, strict=True))
    news = {
        source: [entry for entry in entries if seen[source].is_news(entry)]
        for source, (entries, _) in found.items()
    }
    ledger.record(spark, tables.ledger(), news, now)
    return [
        _taken(source, entries, _lacking(tables.plan.usecase.sources[source], entries, there))
        for source, (entries, there) in found.items()
    ]


def _into_bronze(
    spark: SparkSession,
    tables: Tables,
    source: str,
    dates: Dates | None,
    seen: Seen,
    bound: Limits,
    now: dt.datetime,
) -> tuple[list[Entry], list[LandedFile]]:
    """What became of each file that is new, and all files that are there."""
    plan, bronze = tables.plan, tables.bronze(source)
    spec, store = plan.usecase.sources[source], landing_store(plan)
    there = landed(plan, source, dates)
    fresh = [file for file in there if not seen.is_settled(file)]
    inspected = reader.inspect(spark, store, spec, fresh, bound) if fresh else []
    inspected.sort(key=lambda each: (each.file.arrived_at, each.file.name))
    entries = ledger.judge(seen, inspected, now, by_day=dates is not None)
    taken = [entry.inspected for entry in entries if entry.outcome == "taken"]
    if taken:
        erased = Tombstones.read(tables.root)
        rows = reader.read(spark, store, spec, taken, bronze.schema, bound, erased)
        bronze.replace(rows, _contents(bronze, taken))
    return entries, there


def _lacking(spec: Source, entries: list[Entry], there: list[LandedFile]) -> tuple[dt.date, ...]:
    refused = {entry.inspected.file for entry in entries if entry.outcome == "refused"}
    if not spec.is_daily:
        days = {file.batch_date for file in refused}
        return tuple(sorted(days)) if refused.issuperset(there) else ()
    by_day: dict[dt.date, list[LandedFile]] = {}
    for file in there:
        by_day.setdefault(file.batch_date, []).append(file)
    return tuple(
        day
        for day, of in sorted(by_day.items())
        if _share(of, refused) > spec.budget.files and not refused.isdisjoint(of)
    )


def _share(files: list[LandedFile], refused: set[LandedFile]) -> float:
    """How much of some files was refused, by number or, if that is more, by bytes."""
    gone = [file for file in files if file in refused]
    sizes = sum(file.size for file in files)
    return max(len(gone) / len(files), sum(file.size for file in gone) / sizes if sizes else 0)


def _taken(source: str, entries: list[Entry], lacking: tuple[dt.date, ...]) -> Taken:
    taken = [entry.inspected for entry in entries if entry.outcome == "taken"]
    return Taken(
        source,
        len(taken),
        sum(each.rows for each in taken),
        _sentences(entries, "duplicate"),
        _sentences(entries, "refused"),
        lacking,
    )


def _contents(bronze: Table, taken: list[reader.Inspected]) -> str:
    """The predicate that names exactly the rows of some contents.

    File names are not in it: they are not ours to quote, and day, hash and arrival say as much.
    """
    named = {
        f"{each.file.batch_date}/{each.sha256}/{micros(each.file.arrived_at)}" for each in taken
    }
    content = "concat_ws('/', _batch_date, _sha256, unix_micros(_arrived_at))"
    dates = bronze.of_dates(sorted({each.file.batch_date for each in taken}))
    return f"{dates} and {content} in ({', '.join(repr(name) for name in sorted(named))})"


def _sentences(entries: list[Entry], outcome: str) -> tuple[str, ...]:
    return tuple(
        f"{entry.inspected.file.name} {entry.reason}."
        for entry in entries
        if entry.outcome == outcome
    )
