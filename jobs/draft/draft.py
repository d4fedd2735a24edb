"""The first draft of a use case, from files and a few answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from jobs.draft.features import Chosen, choose
from jobs.draft.profile import Profile
from jobs.draft.sniff import Sheet
from jobs.draft.sources import Joined, expectations, joined, source
from jobs.draft.target import Target
from jobs.draft.written import Noted, text
from jobs.errors import Refused
from jobs.usecase import Format

HEAD = "# yaml-language-server: $schema=../../usecase.schema.json\n# {question}"
CRON = "0 2 * * *"
CUTOFF = dt.time(2)
# Of the days that there are, for each of validation and holdout.
SHARE = 0.15


@dataclass(frozen=True)
class Answers:
    """What a person says of a use case.

    Attributes:
        key: the columns that name an entity.
        date: the column with its day, if it has one.
        arrived: when the files arrive, which is the first moment that they can be known.
        numbered: whether the key is a number that the file does not have.
    """

    name: str
    question: str
    owner: str
    timezone: str
    target: Target
    key: tuple[str, ...]
    date: str | None
    arrived: dt.datetime
    numbered: bool = False


@dataclass(frozen=True)
class Draft:
    """A use case that is not written yet.

    Attributes:
        text: of its file.
        features: what is learned from, and what is left out.
        joined: the files that are joined to the first.
        not_joined: why others are not, by the name of their source.
        start: the first prediction date.
    """

    text: str
    features: Chosen
    joined: Sequence[Joined]
    not_joined: Mapping[str, str]
    start: dt.date


def draft(answers: Answers, sheets: Sequence[Sheet]) -> Draft:
    """Write a use case of which the first file lists the entities.

    Raises:
        Refused: nothing is left to learn from.
    """
    rows, others = sheets[0], sheets[1:]
    partners, alone = joined(rows, others)
    frame, columns = _together(rows, partners)
    features = choose(frame, columns, answers.key, answers.target)
    if not features.rule:
        why = "; ".join(f"{name}: {said}" for name, said in features.left_out.items())
        raise Refused(
            f"No column of {rows.path.name} is left to learn from ({why}).",
            "Name another target, or give files with more columns.",
        )
    start = _start(answers, rows)
    fields = {
        "name": answers.name,
        "about": {"question": answers.question, "owner": answers.owner},
        "entity": _entity(answers, rows),
        "timezone": Noted(answers.timezone, "Dates are local to it."),
        "schedule": _schedule(answers, rows, start),
        "cutoff": Noted(f"{CUTOFF:%H:%M}", "Only what had arrived by then is used for a date."),
        "sources": _sources(answers, rows, partners, alone, start),
        "label": _label(answers, rows.name),
        "features": _features(features, partners),
        "gates": Noted(
            {"silver": {each.name: expectations(each) for each in (rows, *_sheets(partners))}},
            "A file with fewer rows or values than these stops the night. Once some days are in "
            "silver, `daybreak check NAME --suggest` drafts more.".replace("NAME", answers.name),
        ),
        "split": _split(answers, rows),
        "model": {
            "rule": Noted({"by": [features.rule]}, "The rule of thumb that a model has to beat.")
        },
    }
    head = HEAD.format(question=answers.question)
    return Draft(text(fields, head), features, partners, alone, start)


def _sheets(partners: Sequence[Joined]) -> list[Sheet]:
    return [each.sheet for each in partners]


def _together(rows: Sheet, partners: Sequence[Joined]) -> tuple[pd.DataFrame, dict[str, Profile]]:
    """The rows with the columns that they get, and what each column holds."""
    frame, columns = rows.frame, dict(rows.columns)
    for each in partners:
        brought = each.sheet.frame[[*each.on, *each.columns.values()]]
        renamed = brought.rename(columns={theirs: name for name, theirs in each.columns.items()})
        frame = frame.merge(renamed.drop_duplicates(list(each.on)), on=list(each.on), how="left")
        columns |= {name: each.sheet.columns[theirs] for name, theirs in each.columns.items()}
    return frame, columns


def _entity(answers: Answers, rows: Sheet) -> Noted:
    found: dict[str, Any] = {"key": list(answers.key)}
    said = f"{', '.join(answers.key)}: no two of the {rows.rows.said} looked at have the same."
    if answers.numbered:
        said = (
            f"{answers.key[0]} is the row's number in {rows.path.name}, added to the copy that was "
            "delivered, because nothing in it names a row. A file that comes later has to have it "
            "too: the same number for the same row, or write what names a row here."
        )
    if answers.date:
        found["date"] = answers.date
        said += f" Each is predicted for its {answers.date}."
    else:
        said += " It is of no day: every night predicts all that are known."
    return Noted({**found, "source": rows.name}, said)


def _start(answers: Answers, rows: Sheet) -> dt.date:
    """The first day of the rows; without days, the first one whose cutoff is after the arrival."""
    if answers.date:
        return _days(answers.date, rows)[0]
    local = answers.arrived
    return local.date() + dt.timedelta(days=int(local.timetz().replace(tzinfo=None) >= CUTOFF))


def _days(name: str, rows: Sheet) -> tuple[dt.date, dt.date]:
    """The first and the last day of a column of dates, which has some."""
    column = rows.columns[name]
    if column.first is None or column.last is None:
        raise AssertionError(f"{name} has no days")
    return column.first, column.last


def _schedule(answers: Answers, rows: Sheet, start: dt.date) -> Noted:
    found: dict[str, Any] = {"cron": CRON, "start": start}
    if not answers.date:
        return Noted(found, "Every night at two, from the first one that the file was there for.")
    found["end"] = _days(answers.date, rows)[1]
    return Noted(
        found,
        f"Every night at two, from the first to the last {answers.date} in the file: a training "
        "without a date is of the last one. Take `end` out once files of newer days come.",
    )


def _sources(
    answers: Answers,
    rows: Sheet,
    partners: Sequence[Joined],
    alone: Mapping[str, str],
    start: dt.date,
) -> Noted:
    more: dict[str, Any] = {}
    if answers.date:
        more["date"] = answers.date
        more["known"] = Noted(
            answers.date,
            "The file comes long after most of its days: a row counts as known from its day's "
            "midnight on. Only take as features what is really known by then.",
        )
    found: dict[str, Any] = {
        rows.name: Noted(
            source(rows, answers.name, answers.key, more, answers.timezone, answers.target.column),
            _said(rows),
        )
    }
    for each in partners:
        known: dict[str, Any] = {}
        if answers.date:
            known["known"] = Noted(
                f"date '{start}'", "As if it had been there from the first day on."
            )
        said = f"{_said(each.sheet)} {each.found:.0%} of {rows.name} have a row in it."
        found[each.sheet.name] = Noted(
            source(each.sheet, answers.name, each.on, known, answers.timezone), said
        )
    left = [f"{name} is not joined: {why}." for name, why in alone.items()]
    return Noted(found, "\n".join(left))


def _said(sheet: Sheet) -> str:
    """What the columns' rules are drafted from."""
    said = [f"From {sheet.path.name}: {sheet.rows.said}. min and max have room on either side."]
    if sheet.rows.malformed:
        said.append(f"{len(sheet.rows.malformed):,} records could not be split.")
    form = sheet.spec.format
    if nothing := form.nothing[len(Format(type=form.type).nothing) :]:
        texts = ", ".join(each.strip() or "an empty text" for each in nothing)
        said.append(f"{texts} means in every column that there is no value.")
    said += [
        f"In {each.name} some values are no {each.type}, such as {each.mistakes[0]!r}: these rows "
        "go to quarantine."
        for each in sheet.columns.values()
        if each.mistakes
    ]
    said += [
        f"In {each.name}, days and months cannot be told apart (such as {each.also.example}): it "
        f"may be {each.also.format!r} as well."
        for each in sheet.columns.values()
        if each.also
    ]
    if without := [each.name for each in sheet.columns.values() if each.has_no_zone]:
        said.append(f"The time zone of {', '.join(without)} is not in the file: say which it is.")
    return " ".join(said)


def _label(answers: Answers, source: str) -> Noted:
    target = answers.target
    found: dict[str, Any] = {
        "source": source,
        "expression": target.expression,
        "type": target.kind,
    }
    if target.classes:
        found["classes"] = list(target.classes)
    said = target.why
    if answers.date:
        found["maturity"] = "1 day"
        said += " It is final a day after the date: say more if it comes later."
    return Noted(found, said)


def _features(features: Chosen, partners: Sequence[Joined]) -> Noted:
    out = [f"Left out: {name}, because {why}." for name, why in features.left_out.items()]
    found: dict[str, Any] = {"history": "0 days"}
    if joins := [_join(each, brought) for each in partners if (brought := _used(each, features))]:
        found["joins"] = joins
    if features.expressions:
        found["expressions"] = features.expressions
    for field, kind in (
        ("numeric", "number"),
        ("categorical", "category"),
        ("timestamp", "timestamp"),
        ("text", "text"),
    ):
        if names := features.of(kind):  # type: ignore[arg-type]
            found[field] = names
    if features.transforms:
        found["transforms"] = features.transforms
    return Noted(found, "\n".join(out))


def _used(partner: Joined, features: Chosen) -> dict[str, str]:
    return {name: of for name, of in partner.columns.items() if name in features.kinds}


def _join(partner: Joined, brought: dict[str, str]) -> dict[str, Any]:
    alike = all(name == theirs for name, theirs in brought.items())
    columns = list(brought) if alike else brought
    return {"source": partner.sheet.name, "by": list(partner.on), "columns": columns}


def _split(answers: Answers, rows: Sheet) -> Noted:
    if not answers.date:
        split: dict[str, Any] = {"by": "random", "validation": 0.2, "holdout": 0.2}
        if answers.target.kind != "regression":
            split["stratify"] = True
        return Noted(split, "Rows of no day are divided by chance, the same way each time.")
    first, last = _days(answers.date, rows)
    days = max(1, round(SHARE * ((last - first).days + 1)))
    part = f"{days} {'day' if days == 1 else 'days'}"
    return Noted(
        {"by": "time", "validation": part, "holdout": part},
        f"The file's days go from {first} to {last}; what is judged on comes last.",
    )
