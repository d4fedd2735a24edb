"""Write the first draft of a use case from files."""

from __future__ import annotations

import datetime as dt
import getpass
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pandas as pd

from jobs.draft.draft import Answers, Draft, draft
from jobs.draft.keys import candidates, is_unique_by_chance, repeated
from jobs.draft.numbered import NUMBER, numbered
from jobs.draft.profile import Profile, as_written, names_of
from jobs.draft.sniff import Sheet, sheet
from jobs.draft.sources import landing
from jobs.draft.target import likely, target
from jobs.errors import Refused, WrongUsage
from jobs.fields import NAME
from jobs.guess import guess
from jobs.ingest.store import store
from jobs.lake.moments import moment
from jobs.settings import Settings
from jobs.spec.read import checked

# A question and the answer that is taken if there is none.
Ask = Callable[[str, str], str]
NONE = "none"


@dataclass(frozen=True)
class Wishes:
    """What was said beside the files; what is None or empty is asked, or chosen.

    Attributes:
        target: the column that is to be predicted.
        type: the label's type.
        key: the columns that name an entity; `none` if the rows are to be numbered.
        date: the column with an entity's day; `none` if it has no day.
        copy: whether the files are put where the use case looks for them.
    """

    target: str | None = None
    type: str | None = None
    key: tuple[str, ...] = ()
    date: str | None = None
    question: str | None = None
    owner: str | None = None
    timezone: str | None = None
    copy: bool | None = None


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        path: the use case's file.
        draft: what it says.
        delivered: the files that were put into the landing root, by their names in it.
        wanted: what is still to be put there: the file and the pattern it must match.
        numbered: the column that was added to the copy of the first file; empty if none was.
    """

    path: Path
    draft: Draft
    delivered: tuple[str, ...]
    wanted: tuple[tuple[Path, str], ...]
    numbered: str = ""


def new(
    settings: Settings, name: str, files: Sequence[Path], wishes: Wishes, ask: Ask | None
) -> Written:
    """Look at the files, ask what is not said, and write `usecase.yaml`.

    Args:
        ask: None if there is nobody to be asked; then what was not said is chosen, but for the
            target.

    Raises:
        WrongUsage: the name or an answer cannot be.
        Refused: there is such a use case already, or the files are no rows to learn from.
    """
    folder = settings.usecases / name
    _require_new(folder)
    answers = _Asked(wishes, ask or (lambda question, default: default), ask is None)
    with tempfile.TemporaryDirectory() as place:
        rows, *others = _sheets(files)
        said, rows = answers.all(name, rows, Path(place))
        sheets = [rows, *others]
        made = draft(said, sheets)
        _require_sound(name, made.text, settings.usecases)
        copies = answers.copies(settings.landing)
        if said.numbered and not copies:
            raise _no_key(rows)
        folder.mkdir(parents=True)
        path = folder / "usecase.yaml"
        path.write_text(made.text, encoding="utf-8")
        if not copies:
            wanted = tuple((each.path, landing(name, each)) for each in sheets)
            return Written(path, made, (), wanted)
        delivered = tuple(_deliver(settings, name, each) for each in sheets)
        added = NUMBER if said.numbered else ""
        return Written(path, made, delivered, (), added)


def _require_new(folder: Path) -> None:
    if not re.fullmatch(NAME, folder.name):
        raise WrongUsage(
            f"{folder.name!r} cannot be the name of a use case.",
            "Use up to 48 small letters, digits and underscores, beginning with a letter.",
        )
    if folder.exists():
        raise Refused(
            f"There is a use case {folder.name!r} already: {folder}.",
            "Choose another name, or take that folder away.",
        )


def _sheets(files: Sequence[Path]) -> list[Sheet]:
    if not files:
        raise WrongUsage("A use case is drafted from files.", "Give --from FILE.")
    stems = [file.name.partition(".")[0] or "file" for file in files]
    names = list(names_of(stems))
    if len(names) < len(files):
        raise WrongUsage("Two of the files have the same name.", "Rename one of them.")
    return [sheet(file, name) for file, name in zip(files, names, strict=True)]


@dataclass(frozen=True)
class _Asked:
    """What was said, or is asked for."""

    wishes: Wishes
    ask: Ask
    nobody: bool

    def all(self, name: str, rows: Sheet, place: Path) -> tuple[Answers, Sheet]:
        """The answers, and the rows with their numbers and the column of days as they are meant.

        Args:
            place: a folder for a copy with numbers, if nothing names the rows.
        """
        column = self._column("target", "Which column is to be predicted?", rows)
        found = target(rows.columns[column], rows.frame[column], self.wishes.type)
        key = self._key(rows, column)
        if is_numbered := key is None:
            rows, key = numbered(rows, place), (NUMBER,)
        day = self._day(rows, key, column)
        if day:
            rows = replace(rows, columns={**rows.columns, day.name: day})
        date = day.name if day else None
        question = self.wishes.question or self.ask(
            "Which question do the predictions answer?", f"What will {column} be?"
        )
        owner = self.wishes.owner or self.ask("Which team is told of failures?", getpass.getuser())
        zone = self._zone()
        at = moment(max(each.st_mtime_ns for each in [rows.path.stat()]) // 1000)
        arrived = at.astimezone(ZoneInfo(zone))
        return Answers(name, question, owner, zone, found, key, date, arrived, is_numbered), rows

    def copies(self, landing: str) -> bool:
        """Whether the files are to be put where the use case looks for them."""
        if self.wishes.copy is not None:
            return self.wishes.copy
        said = self.ask(f"Copy into {landing}? yes or no", "yes").strip().lower()
        if said not in ("y", "yes", "n", "no"):
            raise WrongUsage(
                f"{said!r} is neither yes nor no.", "Give --copy or --no-copy, or answer yes or no."
            )
        return said in ("y", "yes")

    def _column(self, flag: str, question: str, rows: Sheet) -> str:
        if self.wishes.target is None and self.nobody:
            raise WrongUsage(
                f"{question} {rows.path.name} has {', '.join(rows.columns)}.",
                f"Give --{flag} COLUMN.",
            )
        said = self.wishes.target or self.ask(question, likely(list(rows.columns)))
        return _one_of(rows, said, flag)

    def _key(self, rows: Sheet, target: str) -> tuple[str, ...] | None:
        """The columns that name a row; None if they are to be numbered."""
        others = {
            name: each
            for name, each in rows.columns.items()
            if name != target and not is_unique_by_chance(each)
        }
        found = candidates(rows.frame, others)
        if not (said := self.wishes.key):
            default = ",".join(found[0]) if found else NONE
            said = tuple(
                self.ask("Which columns name a row? none: number them", default).split(",")
            )
        if said == (NONE,):
            return None
        key = tuple(_one_of(rows, each.strip(), "key") for each in said)
        if target in key:
            raise WrongUsage(f"{target!r} is to be predicted.", "Leave it out of --key.")
        _require_unique(rows, key)
        return key

    def _day(self, rows: Sheet, key: Sequence[str], target: str) -> Profile | None:
        """The column with the day that a row is of, as a date: of a moment in no zone its day."""
        said = self.wishes.date
        if said is None and self.nobody:
            # A date may as well be a birthday: what a row is of, only a person knows.
            return None
        if said is None:
            days = [
                each.name
                for each in rows.columns.values()
                if each.type == "date" and each.distinct > 1 and not each.missing
            ]
            possible = (name for name in (*key, *days) if name in days and name != target)
            said = self.ask("Which column is the day that a row is of?", next(possible, NONE))
        if said == NONE:
            return None
        column = rows.columns[_one_of(rows, said, "date")]
        is_day = column.type == "date" or column.has_no_zone
        if not is_day or column.missing or column.mistakes:
            wrong = f"such as {column.examples[0]!r}" if column.examples else "without any value"
            lacks = f", and {column.missing:,} rows without one" if column.missing else ""
            raise Refused(
                f"{column.name!r} of {rows.path.name} is a {column.type}, {wrong}{lacks}; the day "
                "of a row is a date such as 2013-01-31, or a time in no zone, in every row.",
                "Write it so in the file, or give --date none: then every night predicts all rows.",
            )
        meant = self._written(column, rows.frame[column.name])
        return replace(meant, type="date")

    def _written(self, column: Profile, texts: pd.Series) -> Profile:
        """The column by the one of its two formats that is meant, if there are two."""
        if self.nobody or column.format is None or column.also is None:
            return column
        ways = (column.format, column.also.format)
        said = self.ask(f"Is {column.also.example} written as {' or '.join(ways)}?", ways[0])
        if said not in ways:
            raise WrongUsage(f"{said!r} is not {' or '.join(ways)}.", "Answer one of the two.")
        return as_written(column, texts, said)

    def _zone(self) -> str:
        zone = self.wishes.timezone or self.ask("In which time zone are its dates?", "UTC")
        if zone not in (zones := available_timezones()):
            raise WrongUsage(
                f"{zone!r} is not an IANA time zone{guess(zone, zones)}.",
                "Write one such as Europe/Vienna.",
            )
        return zone


def _one_of(rows: Sheet, said: str, flag: str) -> str:
    """A column, by its name or by its header."""
    by_header = {each.header: name for name, each in rows.columns.items()}
    if said in rows.columns:
        return said
    if said in by_header:
        return by_header[said]
    known: Iterable[str] = (*rows.columns, *by_header)
    raise WrongUsage(
        f"{rows.path.name} has no column {said!r}{guess(said, known)}.",
        f"Its columns: {', '.join(rows.columns)}. Give one of them with --{flag}.",
    )


def _no_key(rows: Sheet) -> Refused:
    return Refused(
        f"No column of {rows.path.name} names a row, and only in a copy its rows are numbered.",
        f"Give --copy, or add a column {NUMBER} to the file, or name columns with --key.",
    )


def _require_unique(rows: Sheet, key: tuple[str, ...]) -> None:
    named = ", ".join(key)
    if empty := int(rows.frame[list(key)].isna().any(axis="columns").sum()):
        raise Refused(
            f"{named} is missing in {empty:,} rows of {rows.path.name}, so it names no row.",
            "Give other columns with --key.",
        )
    twice = repeated(rows.frame, key)
    if twice.any():
        first = rows.frame[twice].iloc[0]
        example = ", ".join(str(first[name]) for name in key)
        raise Refused(
            f"{int(twice.sum()):,} rows of {rows.path.name} have the same {named} as one before "
            f"them, such as {example}.",
            "Give more columns with --key, take the repeated rows out, or number all: --key none.",
        )


def _require_sound(name: str, text: str, usecases: Path) -> None:
    """Read the draft as any use case is read, before it is where others see it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / name
        folder.mkdir()
        (folder / "usecase.yaml").write_text(text, encoding="utf-8")
        try:
            checked(folder)
        except Refused as refused:
            said = refused.sentence.replace(f"{folder}/usecase.yaml", "the draft")
            raise Refused(
                f"These files cannot be declared as they are: {said}",
                f"Rename what is named in the file; nothing was written to {usecases}.",
            ) from refused


def _deliver(settings: Settings, name: str, of: Sheet) -> str:
    """Put a file into the landing root, with the time that it was last written as its arrival."""
    to = landing(name, of).replace("*", of.name, 1)
    at: dt.datetime = moment(of.path.stat().st_mtime_ns // 1000)
    with of.path.open("rb") as content:
        store(settings.landing, settings.s3_endpoint).deliver(to, content, at)
    return to
