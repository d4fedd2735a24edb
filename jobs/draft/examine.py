"""What the files that have landed say against a use case, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jobs.draft.features import as_values
from jobs.draft.keys import repeated
from jobs.draft.labels import labels
from jobs.draft.leaks import Suspect, suspects
from jobs.draft.parts import parts
from jobs.draft.profile import ID
from jobs.draft.rows import FILE, ROW, Rows, look, spread
from jobs.draft.texts import numbers, reads, typed
from jobs.errors import Unavailable
from jobs.ingest.landing import landed, landing_store
from jobs.plan import Plan
from jobs.spec.document import Document
from jobs.transforms.categories import OneHot
from jobs.usecase import Source

# So small a share of the rows may have values that no column stands for.
SPARED = 0.1
SHOWN = 60


@dataclass(frozen=True)
class Finding:
    """Something that does not fit.

    Attributes:
        fails: whether a night or a training would stop at it, or a feature is certain to give the
            answer away; else it is only worth knowing.
        where: the file and the number of the record in it, or the line of `usecase.yaml`.
        said: what it is, as a sentence without its end.
        remedy: what to do.
    """

    fails: bool
    where: str
    said: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.said}. {self.remedy}"


@dataclass(frozen=True)
class Examined:
    """What was looked at, and what was found.

    Attributes:
        sources: how many rows of how many files were looked at, by source.
    """

    use_case: str
    sources: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Finding, ...] = ()

    @property
    def fails(self) -> bool:
        return any(each.fails for each in self.problems)


def examine(plan: Plan, document: Document) -> Examined:
    """Compare the landed files with what is declared of them.

    Args:
        document: the use case's file, for the numbers of its lines.

    Raises:
        Refused: the landing store lets nobody in, or a pattern leads out of it.
    """
    seen, said, found = {}, {}, []
    for name, spec in plan.usecase.sources.items():
        where = _line(document, f"sources.{name}.landing")
        try:
            files = landed(plan, name, None)
        except Unavailable as gone:
            found.append(Finding(False, where, gone.sentence.removesuffix("."), gone.remedy))
            continue
        if not files:
            pattern = f"{plan.settings.landing}/{spec.landing}"
            found.append(
                Finding(False, where, f"no file of {name} is there yet", f"Put one at {pattern}.")
            )
            continue
        rows = look(landing_store(plan), spec, files)
        seen[name] = rows
        read = f"{len(spread(files))} of " if len(spread(files)) < len(files) else ""
        said[name] = f"{rows.said} of {read}{len(files):,} file{'s' * (len(files) > 1)}"
        found += _Source(name, spec, rows, len(spread(files))).findings()
    found += _Together(plan, document, seen).findings()
    return Examined(plan.name, said, tuple(found))


@dataclass(frozen=True)
class _Source:
    """The rows of one source, of so many files, against its columns and their rules."""

    name: str
    spec: Source
    rows: Rows
    files: int

    def findings(self) -> Iterator[Finding]:
        refused = len(self.rows.unreadable)
        # Of a snapshot, one file that can be read is enough for a night.
        all_that_may = self.spec.budget.files * self.files if self.spec.is_daily else self.files - 1
        for file, why in self.rows.unreadable:
            fails = refused > all_that_may
            remedy = "Have it delivered again, or mend the declaration."
            yield Finding(fails, file, f"the file {why}", remedy)
        for file, row, why in self.rows.malformed[:1]:
            said = f"{len(self.rows.malformed):,} records cannot be split ({why[:SHOWN]})"
            where = f"{file}, record {row:,}"
            remedy = "Mend them; they go to quarantine."
            yield Finding(self._is_over(len(self.rows.malformed)), where, said, remedy)
        for name in self.spec.columns:
            yield from self._of_column(name)
        twice = repeated(self.rows.frame, (*self.spec.key, FILE))
        named = ", ".join(self.spec.key)
        yield from self._bad(twice, self.spec.key, f"have a key ({named}) that came before")

    def _of_column(self, name: str) -> Iterator[Finding]:
        column, texts = self.spec.columns[name], self.rows.frame[name]
        good = reads(texts, column)
        written = f" written as {column.format}" if column.format else ""
        yield from self._bad(~good, (name,), f"have a {name} that is no {column.type}{written}")
        if self.spec.is_required(name) and not column.is_partly_there:
            yield from self._bad(texts.isna(), (name,), f"have no {name}, which is required")
        values = numbers(texts) if (column.min, column.max) != (None, None) else np.array(np.nan)
        low, high = column.min, column.max
        if low is not None:
            yield from self._bad(values < low, (name,), f"have a {name} below {low:g}")
        if high is not None:
            yield from self._bad(values > high, (name,), f"have a {name} above {high:g}")
        if column.values is not None:
            others = texts.notna() & ~texts.isin(column.values)
            yield from self._bad(others, (name,), f"have a {name} that is none of its values")

    def _bad(
        self, which: pd.Series | NDArray[np.bool_], columns: tuple[str, ...], said: str
    ) -> Iterator[Finding]:
        """Rows that go to quarantine, with the first of them."""
        places = np.flatnonzero(np.asarray(which))
        if not len(places):
            return
        first = self.rows.frame.iloc[places[0]]
        example = ", ".join("nothing" if pd.isna(first[n]) else str(first[n]) for n in columns)
        share = len(places) / max(1, len(self.rows.frame))
        whole = (
            f"{len(places):,} of {self.rows.said} ({share:.1%}) {said}, such as {example[:SHOWN]}"
        )
        yield Finding(
            self._is_over(len(places)),
            f"{first[FILE]}, record {first[ROW]:,}",
            whole,
            "Mend the file or the declaration; such rows go to quarantine.",
        )

    def _is_over(self, rows: int) -> bool:
        return rows > self.spec.budget.share * (len(self.rows.frame) + len(self.rows.malformed))


@dataclass(frozen=True)
class _Together:
    """Entities, labels and features, as far as plain columns show them."""

    plan: Plan
    document: Document
    seen: Mapping[str, Rows]

    def findings(self) -> Iterator[Finding]:
        usecase = self.plan.usecase
        if usecase.entity.source in self.seen:
            yield from self._dates()
            yield from self._categories()
            yield from self._names()
        if usecase.label.source in self.seen and len(self._frame(usecase.label.source)):
            yield from self._labels()

    def _frame(self, source: str) -> pd.DataFrame:
        return self.seen[source].frame

    def _dates(self) -> Iterator[Finding]:
        usecase = self.plan.usecase
        start, end = usecase.schedule.start, usecase.schedule.end
        if not usecase.entity.date:
            return
        name, source = usecase.entity.date, usecase.entity.source
        days = typed(self._frame(source)[name], usecase.sources[source].columns[name]).dropna()
        outside = (days < start) | (days > end if end else False)
        if not outside.any():
            return
        where = _line(self.document, "schedule.start")
        said = (
            f"{int(outside.sum()):,} of {len(days):,} rows of {usecase.entity.source} are of days "
            f"outside of {start} to {end or 'now'}, such as {days[outside].iloc[0]}"
        )
        yield Finding(
            bool(outside.all()), where, said, "Change schedule.start or end, if they should count."
        )

    def _categories(self) -> Iterator[Finding]:
        """Categories of which many rows would have no column of their own."""
        features = self.plan.usecase.features
        frame = self._frame(self.plan.usecase.entity.source)
        for step in features.steps:
            if not isinstance(step, OneHot):
                continue
            for name in (each for each in step.of if self._is_column(each)):
                counts = frame[name].value_counts()
                without = counts.iloc[step.most :].sum() / max(1, len(frame))
                if without > SPARED:
                    said = (
                        f"{name} has {len(counts):,} values, and the {step.most} that get a column "
                        f"leave out {without:.0%} of the rows"
                    )
                    remedy = "Add a transform such as hash, frequency or target."
                    yield Finding(False, self._feature_line(name), said, remedy)

    def _names(self) -> Iterator[Finding]:
        """Features that only name rows."""
        frame = self._frame(self.plan.usecase.entity.source)
        for name in filter(self._is_column, self.plan.usecase.features.names):
            if ID.search(name) and len(frame) > 1 and frame[name].is_unique:
                said = f"{name} names the row, so nothing is learned from it for others"
                yield Finding(False, self._feature_line(name), said, "Take it out of the features.")

    def _is_column(self, name: str) -> bool:
        usecase = self.plan.usecase
        return (
            name in usecase.features.kinds
            and name in usecase.sources[usecase.entity.source].columns
        )

    def _labels(self) -> Iterator[Finding]:
        label = self.plan.usecase.label
        found = labels(self.plan.usecase, self._frame(label.source))
        where = _line(self.document, "label.expression")
        for fails, said, remedy in found.problems:
            yield Finding(fails, where, said, remedy)
        if found.values is not None:
            yield from self._parts(found.values)
            yield from self._leaks(found.values, found.columns)

    def _parts(self, values: pd.Series) -> Iterator[Finding]:
        usecase = self.plan.usecase
        if problem := parts(usecase, self.seen[usecase.label.source], values):
            yield Finding(True, _line(self.document, "split"), *problem)

    def _leaks(self, values: pd.Series, of: tuple[str, ...]) -> Iterator[Finding]:
        """Features that give the label away, which is made of some columns."""
        usecase = self.plan.usecase
        entities, label = usecase.entity.source, usecase.label
        if entities not in self.seen:
            return
        frame = self._frame(entities)
        if entities != label.source:
            key = list(usecase.entity.key)
            known = self._frame(label.source)[key].assign(_label=values).drop_duplicates(key)
            values = frame[key].merge(known, on=key, how="left")["_label"]
        columns = {
            name: as_values(frame[name], column.type)
            for name, column in usecase.sources[entities].columns.items()
            if self._is_column(name) or (column.type in ("integer", "number") and name not in of)
        }
        for suspect in suspects(columns, values, label.type, label.expression):
            if learned := [name for name in suspect.columns if self._is_column(name)]:
                yield self._leak(suspect, learned)

    def _leak(self, suspect: Suspect, learned: list[str]) -> Finding:
        return Finding(
            suspect.is_certain,
            self._feature_line(learned[0]),
            f"{suspect.said}, and {' and '.join(learned)} would give the answer away",
            "Take it out of the features unless it is known before the cutoff.",
        )

    def _feature_line(self, name: str) -> str:
        features = self.plan.usecase.features
        for part in ("numeric", "categorical", "timestamp", "text"):
            names = getattr(features, part)
            if name in names:
                return _line(self.document, f"features.{part}[{names.index(name)}]")
        return _line(self.document, "features")


def _line(document: Document, of: str) -> str:
    return f"{document.path.name}:{document.field(of).line}"
