"""What a person sees: lines, tables and errors on a terminal, or JSON for a program."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from jobs.errors import DaybreakError
from jobs.label_types import LABEL_TYPES

T = TypeVar("T")

# How folds are cut, in words.
CUT = {"stratified": "stratified", "random": "at random", "time": "by time"}
# So many classes need no table.
YES_AND_NO = 2


def say(line: str) -> None:
    """Print a line of progress or result."""
    print(line, flush=True)


def note(line: str) -> None:
    """Print a line of progress where the output itself is for a program."""
    print(line, file=sys.stderr, flush=True)


def fail(error: DaybreakError) -> None:
    """Print an error's sentence and its remedy."""
    print(f"{error.sentence}\n{error.remedy}", file=sys.stderr, flush=True)


def show(found: T, as_json: bool, draw: Callable[[T], None]) -> None:
    """Print `found` as JSON, or let `draw` print it for a person."""
    if as_json:
        say(json.dumps(plain(found), indent=2, sort_keys=True))
    else:
        draw(found)


def plain(value: Any) -> Any:
    """A value made of JSON's own types; dates and moments as ISO 8601 text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    return str(value)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; numbers are aligned to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    body = [list(row) for row in rows]
    drawn = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for index, name in enumerate(columns):
        numeric = bool(body) and all(isinstance(row[index], (int, float)) for row in body)
        drawn.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in body:
        drawn.add_row(*[_cell(cell) for cell in row])
    # What a person or a file wrote is shown as it is, brackets and all.
    width = None if sys.stdout.isatty() else 120
    Console(width=width, highlight=False, markup=False).print(drawn)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


class Stopwatch:
    """Times the parts of long work and prints each as it ends.

    Attributes:
        seconds: part -> seconds, in the order the parts ended.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.seconds: dict[str, float] = {}

    def time(self, part: str, work: Callable[[], T]) -> T:
        """Do `work`, and say how long it took."""
        started = time.monotonic()
        self._say(f"▸ {part}")
        found = work()
        self.seconds[part] = time.monotonic() - started
        self._say(f"✓ {part}: {self.seconds[part]:.1f} s")
        return found


def status(found: Any) -> None:
    """Draw the overview of services and use cases."""
    table(
        f"Services of {found.home}",
        ["service", "state", "healthy", "address", "what it said"],
        [(s.name, s.state, s.healthy, s.address, s.detail) for s in found.services],
    )
    table(
        "Use cases",
        ["name", "champion", "last batch", "for", "rows", "age, hours", "feedback waiting"],
        [
            (
                use_case.name,
                use_case.champion_version,
                batch and batch.batch_id,
                batch and str(batch.prediction_date),
                batch and batch.rows,
                use_case.age_hours,
                use_case.feedback_waiting,
            )
            for use_case in found.use_cases
            for batch in [use_case.last_batch]
        ],
    )
    gates = [gate for each in found.use_cases for gate in each.gates]
    if gates:
        table(
            f"Gates, as they were last asked; their pages are below {found.home}",
            ["table", "of", "passed", "rows", "page"],
            [
                (g.table, g.batch, g.passed, g.rows, g.page.removeprefix(f"{found.home}/"))
                for g in gates
            ],
        )
    for use_case in found.use_cases:
        for problem in use_case.problems:
            say(f"{use_case.name}: {problem}")


def checks(found: Any) -> None:
    """Draw what `doctor` examined."""
    for check in found:
        say(f"{'✓' if check.ok else '✗'} {check.name}: {check.found} {check.remedy}".rstrip())


def drafted(found: Any, landing: str) -> None:
    """Say what a new use case is made of, what was left out of it, and what comes next."""
    name, features = found.path.parent.name, found.draft.features
    say(f"{found.path} is written: {len(features.kinds)} features. Read it: its comments say why.")
    for column, why in features.left_out.items():
        if column != found.numbered:
            say(f"  left out: {column}, because {why}")
    for source, why in found.draft.not_joined.items():
        say(f"  not joined: {source}, because {why}")
    if found.numbered:
        say(f"  numbered: {found.numbered} counts the rows of the copy, because nothing names them")
    for file in found.delivered:
        say(f"  delivered: {file}")
    for path, pattern in found.wanted:
        say(f"  to do: put {path} to {landing}/{pattern}")
    say(
        f"Its first date is {found.draft.start}. Next: `daybreak check {name}`, then "
        f"`daybreak trigger {name} train` and `daybreak trigger {name} nightly`."
    )


def examined(found: Any) -> None:
    """Say what was looked at, and what does not fit."""
    say(f"{found.use_case}: the use-case file is sound.")
    for source, rows in found.sources.items():
        say(f"  {source}: {rows}")
    for problem in found.problems:
        say(f"{'✗' if problem.fails else '!'} {problem}")


def evaluation(found: Any) -> None:
    """Draw an evaluation: candidates, slices, decision."""
    judged = found.evaluation
    shown = _with_values(judged.target, [result.metrics for result in judged.candidates], "value")
    of_yes = "" if judged.yes is None else f", {judged.yes} of them yes"
    table(
        f"Holdout of {found.use_case}, {judged.first} to {judged.last}, {judged.rows} rows{of_yes}"
        f"; {judged.confidence:.0%} intervals",
        ["candidate", *[name.replace("_error", "") for name in shown]],
        [
            (
                result.name + (" ◀ challenger" if result.name == judged.challenger else ""),
                *[_estimate(result.metrics.get(name)) for name in shown],
            )
            for result in judged.candidates
        ],
    )
    classes = judged.of(judged.challenger).classes
    if len(classes) > YES_AND_NO:
        table(
            f"{judged.challenger} by class",
            ["class", "rows", "precision", "recall"],
            [(name, one.rows, one.precision, one.recall) for name, one in classes.items()],
        )
    table(
        f"{judged.challenger} by slice: {judged.metric}",
        ["slice", "value", "rows", *(["yes"] if of_yes else []), judged.metric],
        [
            (s.slice, s.value, s.rows, *([s.yes] if of_yes else []), _estimate(s.estimate))
            for s in judged.slices
        ],
    )
    if judged.remark is not None:
        say(judged.remark)
    if judged.labels is not None:
        say(judged.labels.sentence)
    for leak in judged.leaks:
        say(f"Warning: {leak}")
    if found.bought:
        say(found.bought)
    say(f"Decision: {found.decision}. {found.sentence}")
    say(f"Report: {found.page}\n")


def cross_validation(found: Any) -> None:
    """Draw a cross-validation: each candidate's mean and deviation of metrics, and the folds."""
    shown = _with_values(found.target, found.candidates.values(), "mean")
    table(
        f"{len(found.folds)} folds of {found.use_case}, {CUT[found.by]}, {found.rows} rows; mean ± "
        "standard deviation",
        ["candidate", *[name.replace("_error", "") for name in shown]],
        [
            (kind, *[_spread(metrics.get(name)) for name in shown])
            for kind, metrics in found.candidates.items()
        ],
    )
    table(
        f"Fold by fold: {found.metric}",
        ["fold", "learned from", "validated on", "tested on", "first", "last", *found.candidates],
        [
            (
                number + 1,
                *(fold.train, fold.validation, fold.test, fold.first, fold.last),
                *[each[found.metric].folds[number] for each in found.candidates.values()],
            )
            for number, fold in enumerate(found.folds)
        ],
    )


def decisions(found: Any) -> None:
    """Draw what was decided on champions, and each decision's sentence below."""
    table(
        "Decisions",
        ["at (UTC)", "outcome", "version", "champion before", "by", "reason"],
        [
            (d.decided_at, d.outcome, d.challenger_version, d.champion_version, d.by, d.reason)
            for d in found
        ],
    )
    for each in found:
        say(f"{each.decided_at:%Y-%m-%d %H:%M} {each.outcome}: {each.sentence}")
        if each.ruled:
            say(f"  The rules had said: {each.ruled}")


def _with_values(target: str, found: Iterable[Mapping[str, Any]], value: str) -> list[str]:
    """The metrics of a table that have a value of any candidate."""
    there = {n for each in found for n, one in each.items() if getattr(one, value) is not None}
    return [name for name in LABEL_TYPES[target].shown if name in there]


def _spread(spread: Any) -> str:
    if spread is None or spread.mean is None:
        return "-"
    return f"{spread.mean:.4f} ± {spread.deviation:.4f}"


def _estimate(estimate: Any) -> str:
    if estimate is None or estimate.value is None:
        return "-"
    if estimate.low is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} {estimate.low:.3f}–{estimate.high:.3f}"


def publications(found: Any) -> None:
    """Draw the batches of a use case."""
    table(
        "Batches",
        ["date", "batch", "attempt", "rows", "model", "state", "live", "published (UTC)", "note"],
        [
            (
                str(p.prediction_date),
                p.batch_id,
                p.attempt,
                p.rows,
                p.model_version,
                p.state,
                p.live,
                p.published_at,
                p.note,
            )
            for p in found
        ],
    )


def answer(found: Any) -> None:
    """Draw the answer to a lookup."""
    if not found.found:
        say(f"No prediction for {dict(found.key)} (batch {found.batch_id}).")
        return
    for name, value in {**plain(found), "age_seconds": found.age_seconds}.items():
        say(f"{name:16} {value}")


def quarantine(found: Any) -> None:
    """Draw counts of quarantined rows with an example of each."""
    table(
        "Quarantine",
        ["source", "date", "rule", "column", "rows", "example", "file"],
        [(q.source, str(q.date), q.rule, q.column, q.rows, q.example, q.file) for q in found],
    )


def drilled(found: Any) -> None:
    """Draw what became of each fault of a drill, and of the clean nights."""
    table(
        f"Fire drill of {found.use_case}, night of {found.date}",
        ["fault", "in", "caught by", "", "seconds", "what it said"],
        [
            (
                each.fault,
                each.source,
                each.caught_by or "NOBODY",
                "✓" if each.as_expected else "✗",
                round(each.seconds, 1),
                each.sentence[:60] + ("…" if len(each.sentence) > 60 else ""),
            )
            for each in found.outcomes
        ],
    )
    for why in found.not_planted:
        say(f"Not planted: {why}")
    for date, sentence in found.alarms.items():
        say(f"False alarm on the clean night of {date}: {sentence}")
    say(found.sentence)
