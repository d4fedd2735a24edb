"""Stage silver and quarantine for what has changed in bronze.

With the staged rows goes what they are made of: the contents of a batch date's files and the
source's declaration. A date is up to date if it was committed with its present inputs, so a kill
between any two writes only means work again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as f

from jobs.conform.budget import Judged, over_budget
from jobs.conform.conform import Conformed, conform, repeated
from jobs.conform.since import days_known
from jobs.errors import Refused
from jobs.lake import files
from jobs.lake.deliveries import Delivered, replaced
from jobs.lake.local_rows import local_rows
from jobs.lake.made import SINCE, UNSOUND, WHOLE, Inputs, Made
from jobs.lake.refused import Refusals
from jobs.lake.staging import Staged
from jobs.lake.tables import Tables
from jobs.plan import Dates
from jobs.usecase import Source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, GroupedData, SparkSession


# What of a source's declaration its silver does not depend on.
IRRELEVANT: Any = {
    "landing": True,
    "budget": True,
    "usual": True,
    "drift": True,
    "arrives": {"late"},
}
CODE = files.digest(Path(__file__).parent, "*.py")


@dataclass(frozen=True)
class Conforming:
    """What staging one source did.

    Attributes:
        source: which source.
        dates: how many batch dates were staged.
        rows: rows of silver staged, all versions.
        quarantined: bronze rows that went to quarantine instead.
        held_back: batch dates over the budget, whose silver stays as it was. Their quarantine is
            committed already, for people to look at.
    """

    source: str
    dates: int = 0
    rows: int = 0
    quarantined: int = 0
    held_back: Mapping[dt.date, Refused] = field(default_factory=dict)


def in_order(sources: Mapping[str, Source]) -> list[list[str]]:
    """The sources in two groups: those that others refer to, which go first, and the others."""
    referred = {
        column.references.partition(".")[0]
        for source in sources.values()
        for column in source.columns.values()
        if column.references
    }
    groups = [[name for name in sources if (name in referred) is first] for first in (True, False)]
    return [group for group in groups if group]


def stage(
    spark: SparkSession,
    tables: Tables,
    source: str,
    delivered: Mapping[str, Sequence[Delivered]],
    dates: Dates | None,
    batch: str,
    *,
    night: bool = True,
) -> Conforming:
    """Stage silver and quarantine of the batch dates whose bronze has changed.

    Nothing is staged if nothing has changed.

    Args:
        delivered: what was taken into bronze, by source.
        dates: file dates of a daily source; None takes a whole snapshot.
        batch: names the run, and the staging place.
        night: the run is of a single night, whose gate looks at its newest day with more care. A
            range does not take what such a gate has refused.
    """
    work = _Work(spark, tables, source, batch)
    stale = work.stale(delivered, dates)
    changed = [each for each in delivered[source] if work.part(each) in stale]
    kept_out = {} if night else work.refused_by_gate(changed)
    left = [each for each in changed if each.batch_date not in kept_out]
    if not left:
        # What an earlier run of this batch has staged is not wanted any more.
        for staged in (work.silver, work.quarantine):
            if not staged.is_committed():
                staged.discard()
        return Conforming(source, held_back=kept_out)
    parts = {part: stale[part] for part in {work.part(each) for each in left}}
    done = work.stage(parts, left)
    return replace(done, held_back={**done.held_back, **kept_out})


@dataclass(frozen=True)
class _Work:
    """The staging of one source for one batch."""

    spark: SparkSession
    tables: Tables
    source: str
    batch: str

    @property
    def spec(self) -> Source:
        return self.tables.plan.usecase.sources[self.source]

    @property
    def _zone(self) -> str:
        return self.tables.plan.usecase.timezone

    @property
    def silver(self) -> Staged:
        return self.tables.staged(self.tables.silver(self.source), self.batch)

    @property
    def quarantine(self) -> Staged:
        return self.tables.staged(self.tables.quarantine(self.source), self.batch)

    def part(self, each: Delivered) -> str:
        return str(each.batch_date) if self.spec.is_daily else WHOLE

    def stale(
        self, delivered: Mapping[str, Sequence[Delivered]], dates: Dates | None
    ) -> dict[str, Inputs]:
        """The parts whose silver was not made of what bronze holds now, and their inputs."""
        parts: dict[str, list[Delivered]] = {}
        wanted = set(dates or ())
        for each in delivered[self.source]:
            if dates is None or each.batch_date in wanted:
                parts.setdefault(self.part(each), []).append(each)
        declared = self._declared(delivered)
        inputs = {part: _inputs(declared, of) for part, of in parts.items()}
        return Made(self.tables.silver(self.source)).stale(inputs)

    def refused_by_gate(self, changed: list[Delivered]) -> dict[dt.date, Refused]:
        """The days whose newest contents the gate of a night has refused."""
        old = {each for each, _ in replaced(changed)}
        name = self.tables.silver(self.source).name
        days = {each.batch_date for each in self._refused(changed) - old}
        return {
            day: Refused(
                f"{name} of {day} was refused by the gate of its night, and its files have not "
                "come again since.",
                "Have them delivered again under the same names, or accept the day by its night: "
                "`daybreak run gate ... --unusual accept`.",
            )
            for day in days
        }

    def _refused(self, contents: Iterable[Delivered]) -> set[Delivered]:
        """Those of some contents that the gate of a night has refused."""
        refused = Refusals(self.tables.root, self.tables.silver(self.source).name).read()
        return {
            each
            for each in contents
            if [each.file, each.arrived_at] in refused.get(self.part(each), [])
        }

    def _declared(self, delivered: Mapping[str, Sequence[Delivered]]) -> str:
        """A digest of what the rows depend on beside their files: rules, and values referred to."""
        written = [self.spec.model_dump_json(exclude=IRRELEVANT), CODE]
        if self.spec.known is not None:
            written.append(self._zone)
        for reference in self._references().values():
            to = reference.partition(".")[0]
            written += [to, self.tables.plan.usecase.sources[to].model_dump_json()]
            written += sorted(f"{d.file} {d.arrived_at}" for d in delivered[to])
        return hashlib.sha256("\n".join(written).encode()).hexdigest()[:16]

    def _references(self) -> dict[str, str]:
        found = {name: column.references for name, column in self.spec.columns.items()}
        return {name: reference for name, reference in found.items() if reference}

    def stage(self, stale: Mapping[str, Inputs], changed: list[Delivered]) -> Conforming:
        old = {each for each, _ in replaced(changed)}
        unsound = self._refused(changed) & old
        rows, judged = self._staged(stale, [each for each in changed if each not in unsound])
        if over := {each.delivered for each in judged if self._is_over(each)} & old:
            unsound |= over
            rows, judged = self._staged(stale, [each for each in changed if each not in unsound])
        self._forget_replaced(stale, [each.delivered for each in judged])
        held_back = over_budget(self.tables.plan.name, self.source, self.spec.budget, judged)
        if held_back:
            good = [each for each in changed if each.batch_date not in held_back]
            self._hold_back(stale, [each for each in good if each not in unsound], set(held_back))
            rows = self.silver.count(self.spark) if self.silver.is_there() else 0
        if unsound and self.silver.is_there():
            self.silver.note(UNSOUND, self._by_part(unsound))
        if self.spec.known is not None and self.silver.is_there():
            self.silver.note(SINCE, days_known(self.silver.read(self.spark), self.spec))
        dates = len({each.batch_date for each in changed}) - len(held_back)
        quarantined = sum(each.quarantined for each in judged)
        return Conforming(self.source, dates, rows, quarantined, held_back)

    def _staged(
        self, parts: Mapping[str, Inputs], contents: list[Delivered]
    ) -> tuple[int, list[Judged]]:
        """Stage what some contents become; gives the rows of silver, and the contents judged."""
        dates = sorted({each.batch_date for each in contents})
        conformed = self._conformed(dates, contents)
        where = self._where(parts)
        self.silver.write(conformed.silver, where, parts)
        rows = self.silver.count(self.spark)
        # Most nights nothing fails, and then there is no need to look for it.
        clean = rows == sum(each.rows for each in contents)
        self.quarantine.write(None if clean else conformed.quarantine, where, parts)
        if clean:
            return rows, [Judged(each) for each in contents]
        return rows, _judged(self.quarantine.read(self.spark), contents)

    def _where(self, parts: Iterable[str]) -> str | None:
        if not self.spec.is_daily:
            return None
        return self.tables.silver(self.source).of_dates(sorted(parts))

    def _is_over(self, each: Judged) -> bool:
        return bool(over_budget(self.tables.plan.name, self.source, self.spec.budget, [each]))

    def _by_part(self, contents: Iterable[Delivered]) -> dict[str, list[list[object]]]:
        found: dict[str, list[list[object]]] = {}
        for each in sorted(contents, key=lambda each: (each.file, each.arrived_at)):
            found.setdefault(self.part(each), []).append([each.file, each.arrived_at])
        return found

    def _forget_replaced(self, parts: Mapping[str, Inputs], contents: list[Delivered]) -> None:
        """Take what newer content of the same file has mended out of the staged quarantine."""
        if not (old := [each for each, _ in replaced(contents)]):
            return
        rows = self.quarantine.read(self.spark)
        left = _of_contents(rows, old, how="left_anti")
        self.quarantine.write(left, self._where(parts), parts)

    def _hold_back(
        self, stale: Mapping[str, Inputs], good: list[Delivered], over: set[dt.date]
    ) -> None:
        """Show the quarantine of dates over their budget, and leave their silver as it is."""
        table = self.tables.quarantine(self.source)
        everything = self.quarantine.read(self.spark)
        if self.spec.is_daily:
            shown = table.of_dates(sorted(over))
            table.replace(everything.where(shown), shown)
        elif not good:
            table.replace(everything, None)
        if not good:
            self.silver.discard()
            self.quarantine.discard()
            return
        dates = sorted({each.batch_date for each in good})
        if self.spec.is_daily:
            parts = {str(date): stale[str(date)] for date in dates}
            for staged in (self.silver, self.quarantine):
                staged.narrow(staged.table.of_dates(dates), parts)
            return
        # A snapshot is made of its sound files. What it is said to be made of is not all that is
        # there, so the next night looks at it again.
        made = {WHOLE: _inputs(stale[WHOLE]["declared"], good)}
        self.silver.write(self._conformed(dates, good).silver, None, made)

    def _conformed(self, dates: list[dt.date], contents: list[Delivered]) -> Conformed:
        """Conform, and pay for telling versions apart only where a key comes twice."""
        bronze = self.tables.bronze(self.source)
        there = bronze.read(self.spark).where(bronze.of_dates(dates))
        rows = _of_contents(there, contents)
        corrected = replaced(contents) if self.spec.is_daily else []
        twice = {row[0] for row in repeated(rows, self.spec).collect()}
        twice |= {old.batch_date for old, _ in corrected}
        known = {name: self._values(to) for name, to in self._references().items()}

        def conformed(rows: DataFrame, *, once: bool) -> Conformed:
            return conform(
                rows, self.spec, once=once, known=known, replaced=corrected, zone=self._zone
            )

        if not self.spec.is_daily:
            return conformed(rows, once=not twice)
        return _both(rows, bronze.of_dates, dates, twice, conformed)

    def _values(self, reference: str) -> DataFrame:
        """The newest values of a snapshot's column: staged ones if this run has staged any."""
        source, _, column = reference.partition(".")
        table = self.tables.silver(source)
        staged = self.tables.staged(table, self.batch)
        waiting = staged.is_there() and not staged.is_committed()
        rows = staged.read(self.spark) if waiting else table.read(self.spark)
        return rows.where("_superseded_at is null").select(column)


def _both(
    rows: DataFrame,
    of_dates: Callable[[Iterable[dt.date]], str],
    dates: list[dt.date],
    twice: set[dt.date],
    conformed: Callable[..., Conformed],
) -> Conformed:
    """The dates with a key that comes twice, and those without, each in their own way."""
    once = [date for date in dates if date not in twice]
    parts = [
        conformed(rows.where(of_dates(of)), once=single)
        for of, single in ((once, True), (sorted(twice), False))
        if of
    ]
    first, rest = parts[0], parts[1:]
    for part in rest:
        first = Conformed(
            first.silver.unionByName(part.silver), first.quarantine.unionByName(part.quarantine)
        )
    return first


def _inputs(declared: str, delivered: Iterable[Delivered]) -> Inputs:
    # The arrival stands for the content: bronze has one content per name and arrival.
    files = sorted([each.file, each.arrived_at] for each in delivered)
    return {"declared": declared, "files": files}


def _of_contents(
    rows: DataFrame, contents: Iterable[Delivered], how: str = "left_semi"
) -> DataFrame:
    """The rows of some contents; with `left_anti` all others."""
    listed = [(each.batch_date, each.file, each.arrived_at) for each in contents]
    schema = "_batch_date date, _file string, _micros long"
    these = f.broadcast(local_rows(rows.sparkSession, listed, schema))
    numbered = rows.withColumn("_micros", f.unix_micros("_arrived_at"))
    found = numbered.join(these, on=["_batch_date", "_file", "_micros"], how=how)
    return found.select(*rows.columns)


def _by_file(rows: DataFrame, *by: str) -> GroupedData:
    # A moment as a number: the process's own time zone has an hour that is ambiguous.
    numbered = rows.withColumn("arrived", f.unix_micros("_arrived_at"))
    return numbered.groupBy("_batch_date", "_file", "arrived", *by)


def _judged(quarantine: DataFrame, delivered: list[Delivered]) -> list[Judged]:
    """The delivered files with their counts of quarantined rows."""
    rows = _by_file(quarantine).agg(f.countDistinct("_row")).collect()
    failures = _by_file(quarantine, "rule", "column").count().collect()
    counts = {tuple(row[:3]): row[3] for row in rows}
    named: dict[tuple[object, ...], Counter[tuple[str, str]]] = {}
    for row in failures:
        named.setdefault(tuple(row[:3]), Counter())[row[3], row[4] or ""] += row[5]
    found = []
    for each in delivered:
        place = (each.batch_date, each.file, each.arrived_at)
        failed = [(rule, column, n) for (rule, column), n in named.get(place, {}).items()]
        found.append(Judged(each, counts.get(place, 0), tuple(failed)))
    return found
