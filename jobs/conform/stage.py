"""Stage silver and quarantine for what has changed in bronze.

Beside the staged rows lies what they were made of: a digest of each batch date's files and of
the source's declaration. A date is up to date if a committed batch was made of its present
digest; the commit's own mark decides, so a kill between any two writes only means work again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as f

from jobs.conform.budget import Delivered, check_budget
from jobs.conform.conform import Conformed, conform, repeated
from jobs.errors import Refused
from jobs.lake import files
from jobs.lake.staging import Staged
from jobs.lake.tables import Tables
from jobs.plan import Dates
from jobs.usecase import Source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, GroupedData, SparkSession

MADE_OF = "made_of.json"
WHOLE = "whole"  # a snapshot's silver is made of all its files, whatever their dates


@dataclass(frozen=True)
class Conforming:
    """What staging one source did.

    Attributes:
        source: which source.
        dates: how many batch dates were staged.
        rows: rows of silver staged, all versions.
        quarantined: bronze rows that went to quarantine instead.
    """

    source: str
    dates: int
    rows: int
    quarantined: int


def stage(
    spark: SparkSession, tables: Tables, source: str, dates: Dates | None, batch: str
) -> Conforming:
    """Stage silver and quarantine of the batch dates whose bronze has changed.

    Nothing is staged if nothing has changed.

    Args:
        dates: file dates of a daily source; None takes a whole snapshot.
        batch: names the run, and the staging place.

    Raises:
        Refused: a batch date is over the source's budget. Its quarantine is committed all the
            same, for people to look at; its silver is not.
    """
    spec = tables.plan.usecase.sources[source]
    silver = tables.staged(tables.silver(source), batch)
    quarantine = tables.staged(tables.quarantine(source), batch)
    delivered = _delivered(spark, tables, source, dates)
    stale = _stale(tables, source, delivered)
    if not stale:
        _forget_unfinished(silver, quarantine)
        return Conforming(source, 0, 0, 0)
    changed = [each for each in delivered if _part(spec, each) in stale]
    of_dates = sorted({each.batch_date for each in changed})
    where = tables.silver(source).of_dates(of_dates) if spec.arrives.as_ == "daily" else None
    conformed = _conformed(tables.bronze(source).read(spark), tables, source, of_dates)
    quarantine.discard()
    silver.discard()
    files.write_json(f"{silver.path}/{MADE_OF}", stale)
    silver.write(conformed.silver, where)
    rows = silver.read(spark).count()
    # Most nights nothing fails, and then there is no need to look for it.
    clean = rows == sum(each.rows for each in changed)
    quarantine.write(conformed.quarantine.limit(0) if clean else conformed.quarantine, where)
    judged = changed if clean else _judged(quarantine.read(spark), changed)
    try:
        check_budget(tables.plan.name, source, spec.budget, judged)
    except Refused:
        # Silver stays as it was, and no gate may find it staged; but people must be able to see
        # what is wrong.
        quarantine.commit(spark)
        silver.discard()
        raise
    return Conforming(source, len(of_dates), rows, sum(each.quarantined for each in judged))


def stale_dates(
    spark: SparkSession, tables: Tables, source: str, dates: Dates | None
) -> list[dt.date]:
    """The batch dates whose silver was not made of all that bronze holds now, sorted."""
    spec = tables.plan.usecase.sources[source]
    delivered = _delivered(spark, tables, source, dates)
    stale = _stale(tables, source, delivered)
    return sorted({each.batch_date for each in delivered if _part(spec, each) in stale})


def _delivered(
    spark: SparkSession, tables: Tables, source: str, dates: Dates | None
) -> list[Delivered]:
    bronze = tables.bronze(source)
    if not bronze.exists():
        return []
    rows = bronze.read(spark)
    if dates is not None:
        rows = rows.where(bronze.of_dates(dates))
    found = _by_file(rows).count().collect()
    return [Delivered(*row) for row in found]


def _by_file(rows: DataFrame, *by: str) -> GroupedData:
    # A moment as a number: the process's own time zone has an hour that is ambiguous.
    numbered = rows.withColumn("arrived", f.unix_micros("_arrived_at"))
    return numbered.groupBy("_batch_date", "_file", "arrived", *by)


def _part(spec: Source, each: Delivered) -> str:
    return str(each.batch_date) if spec.arrives.as_ == "daily" else WHOLE


def _stale(tables: Tables, source: str, delivered: list[Delivered]) -> dict[str, str]:
    """The digest of each part of a source that no committed batch was made of."""
    spec = tables.plan.usecase.sources[source]
    parts: dict[str, list[Delivered]] = {}
    for each in delivered:
        parts.setdefault(_part(spec, each), []).append(each)
    digests = {part: _digest(spec, of) for part, of in parts.items()}
    made = _made_of(tables, source)
    return {part: digest for part, digest in digests.items() if (part, digest) not in made}


def _digest(spec: Source, delivered: Iterable[Delivered]) -> str:
    # The arrival stands for the content: bronze has one content per name and arrival.
    contents = sorted(f"{d.file} {d.arrived_at} {d.rows}" for d in delivered)
    whole = "\n".join([spec.model_dump_json(exclude={"landing", "budget"}), *contents])
    return hashlib.sha256(whole.encode()).hexdigest()


def _made_of(tables: Tables, source: str) -> set[tuple[str, str]]:
    table = tables.silver(source)
    if not table.exists():
        return set()
    anywhere = tables.staged(table, "_")
    made: set[tuple[str, str]] = set()
    for folder in files.list_folder(anywhere.path.rsplit("/", 1)[0]):
        if replace(anywhere, batch=folder.rsplit("/", 1)[1]).is_committed():
            made |= set((files.read_json(f"{folder}/{MADE_OF}") or {}).items())
    return made


def _forget_unfinished(silver: Staged, quarantine: Staged) -> None:
    for staged in (silver, quarantine):
        if not staged.is_committed():
            staged.discard()


def _conformed(bronze: DataFrame, tables: Tables, source: str, dates: list[dt.date]) -> Conformed:
    """Conform, and pay for telling versions apart only where a key comes twice."""
    spec, table = tables.plan.usecase.sources[source], tables.bronze(source)
    rows = bronze.where(table.of_dates(dates))
    twice = sorted(row[0] for row in repeated(rows, spec).collect())
    if spec.arrives.as_ != "daily":
        return conform(rows, spec, unique=not twice)
    once = [date for date in dates if date not in set(twice)]
    parts = [
        conform(bronze.where(table.of_dates(of)), spec, unique=unique)
        for of, unique in ((once, True), (twice, False))
        if of
    ]
    first, rest = parts[0], parts[1:]
    for part in rest:
        first = Conformed(
            first.silver.unionByName(part.silver), first.quarantine.unionByName(part.quarantine)
        )
    return first


def _judged(quarantine: DataFrame, delivered: list[Delivered]) -> list[Delivered]:
    """The delivered files with their counts of quarantined rows."""
    rows = _by_file(quarantine).agg(f.countDistinct("_row")).collect()
    rules = _by_file(quarantine, "rule", "column").count().collect()
    counts = {(row[0], row[1], row[2]): row[3] for row in rows}
    named: dict[tuple[dt.date, str, int], list[tuple[str, int]]] = {}
    for row in rules:
        rule = f"{row[3]} of {row[4]}" if row[4] else row[3]
        named.setdefault((row[0], row[1], row[2]), []).append((rule, row[5]))
    return [
        replace(
            each,
            quarantined=counts.get((each.batch_date, each.file, each.arrived_at), 0),
            rules=tuple(named.get((each.batch_date, each.file, each.arrived_at), ())),
        )
        for each in delivered
    ]
