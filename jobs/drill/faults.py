"""The faults of a drill: what goes wrong with files, and who should see it first.

Each is made from what the use case declares and from the file of a good night, so that a drill
asks of every use case the same.
"""

from __future__ import annotations

import datetime as dt
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from jobs.drill.paper import Paper, Row
from jobs.usecase import Source, UseCase

INGEST, BUDGET, USUAL = "ingest", "conform", "gate silver"
SEED = 20130101


@dataclass(frozen=True)
class Fault:
    """A way in which a file can be wrong.

    Attributes:
        name: for people.
        source: whose file it is.
        caught_by: the steps of which one should refuse the night.
        plant: makes the wrong file of the night's good one and of that of the day before.
    """

    name: str
    source: str
    caught_by: tuple[str, ...]
    plant: Callable[[Paper, Paper], bytes]


def faults(usecase: UseCase, statistics: Mapping[str, Mapping[str, float]]) -> list[Fault]:
    """The twenty faults of a use case, of which each leaves alone what its owner lets jump.

    Args:
        statistics: by source, the profile of a good day, which says what its columns are like.
    """
    listed, outcome = usecase.entity.source, usecase.label.source
    daily = [name for name, each in usecase.sources.items() if each.is_daily]
    other = next((name for name in daily if name not in (listed, outcome)), outcome)
    listed_is, outcome_is, other_is = (
        _Columns(usecase.sources[name], statistics[name]) for name in (listed, outcome, other)
    )
    told = _in_expression(usecase.label.expression, usecase.sources[outcome])
    return [
        Fault("the file is cut off", outcome, (INGEST,), _cut_off),
        Fault("the file is empty", listed, (INGEST,), lambda *_: b""),
        Fault("only a header", outcome, (INGEST,), lambda paper, _: paper.written([])),
        Fault("the wrong encoding", other, (INGEST,), _wrong_encoding),
        Fault("a renamed column", listed, (INGEST,), _renamed(listed_is.last)),
        Fault("a dropped column", outcome, (INGEST,), _dropped),
        Fault("an added column: the label leaks", listed, (INGEST,), _leaked(told)),
        Fault("a retyped column", outcome, (BUDGET,), _each(told, lambda value: f"ca. {value}")),
        Fault("a burst of nulls in a key", listed, (BUDGET,), _nulls(listed_is.required, 0.3)),
        Fault("duplicate keys", listed, (BUDGET,), _duplicates),
        Fault("a stale file", listed, (BUDGET,), lambda _, before: before.written()),
        Fault("dates of next year", outcome, (BUDGET,), _next_year),
        Fault("impossible values", outcome, (BUDGET,), _impossible(outcome_is.bounded)),
        Fault("a column of nulls", outcome, (BUDGET, USUAL), _nulls(told, 1.0)),
        Fault("shifted units: times 60", outcome, (BUDGET, USUAL), _scaled(told, 60, 0)),
        Fault(
            "shifted units: plus 273", other, (BUDGET, USUAL), _scaled(other_is.steady, 1, 273.15)
        ),
        Fault("a drifted column", listed, (USUAL, BUDGET), _scaled(listed_is.steady, 1.3, 0)),
        Fault("a stuck sensor", other, (USUAL,), _stuck(other_is.moving)),
        Fault("a flood of categories", listed, (BUDGET, USUAL), _flood(listed_is.category)),
        Fault("half of the rows are missing", listed, (USUAL,), _half),
    ]


class _Columns:
    """Columns of a source by what they are good for, by how they were on a good day."""

    def __init__(self, spec: Source, profile: Mapping[str, float]) -> None:
        self._spec, self._profile = spec, profile
        names = list(spec.columns)
        self.required = next(
            name for name in names if spec.columns[name].required and name != spec.date
        )
        self.last = names[-1]

    @property
    def steady(self) -> str:
        """The measured column whose spread is the smallest part of its mean."""
        return min(self._measured(), key=lambda name: self._spread(name) / self._mean(name))

    @property
    def moving(self) -> str:
        return max(self._measured(), key=lambda name: self._spread(name) / self._mean(name))

    @property
    def bounded(self) -> str:
        measured = self._measured()
        return next((n for n in measured if self._spec.columns[n].max is not None), measured[0])

    @property
    def category(self) -> str:
        """The text column that has the fewest values, but several."""
        columns = self._spec.columns.items()
        free = [n for n, column in columns if column.type == "string" and column.values is None]
        counts = {name: self._profile.get(f"distinct {name}", 0.0) for name in free}
        return min((n for n in free if counts[n] > 1), key=lambda n: counts[n], default=free[0])

    def _measured(self) -> list[str]:
        numbers = [
            name
            for name, column in self._spec.columns.items()
            if column.type in ("integer", "number")
            and self._profile.get(f"missing {name}", 0.0) < 0.5
            and name not in (self._spec.usual.leave_out if self._spec.usual else ())
        ]
        return [n for n in numbers if n not in self._spec.key and self._spread(n) > 0] or numbers

    def _spread(self, name: str) -> float:
        return self._profile.get(f"spread {name}", 0.0)

    def _mean(self, name: str) -> float:
        return abs(self._profile.get(f"mean {name}", 0.0)) + 1e-9


def _in_expression(expression: str, spec: Source) -> str:
    words = set(re.findall(r"[a-z][a-z0-9_]*", expression))
    return next((name for name in spec.columns if name in words), list(spec.columns)[-1])


def _changed(column: str, change: Callable[[int, str | None], str | None]) -> Callable[..., bytes]:
    def plant(paper: Paper, _: Paper) -> bytes:
        return paper.written(
            [{**row, column: change(n, row[column])} for n, row in enumerate(paper.rows)]
        )

    return plant


def _each(column: str, change: Callable[[str], str]) -> Callable[..., bytes]:
    return _changed(column, lambda _, value: None if value is None else change(value))


def _scaled(column: str, factor: float, shift: float) -> Callable[..., bytes]:
    def scaled(value: str) -> str:
        number = float(value) * factor + shift
        return str(round(number)) if re.fullmatch(r"-?\d+", value) else f"{number:.2f}"

    return _each(column, scaled)


def _nulls(column: str, share: float) -> Callable[..., bytes]:
    chance = np.random.default_rng(SEED)
    return _changed(column, lambda _, value: None if chance.random() < share else value)


def _stuck(column: str) -> Callable[..., bytes]:
    def plant(paper: Paper, before: Paper) -> bytes:
        value = next(row[column] for row in paper.rows if row[column] is not None)
        return _each(column, lambda _: str(value))(paper, before)

    return plant


def _impossible(column: str) -> Callable[..., bytes]:
    return _changed(column, lambda n, value: "999999999" if n % 20 == 0 else value)


def _flood(column: str) -> Callable[..., bytes]:
    chance = np.random.default_rng(SEED)
    kinds = (string.ascii_uppercase, string.ascii_lowercase, string.digits)

    def another(value: str) -> str:
        # Of the same shape, so that no pattern sees it.
        alphabets = (next((kind for kind in kinds if letter in kind), letter) for letter in value)
        return "".join(alphabet[chance.integers(len(alphabet))] for alphabet in alphabets)

    return _each(column, another)


def _cut_off(paper: Paper, _: Paper) -> bytes:
    whole = paper.written()
    return whole[: int(len(whole) * 0.6) + 1]


def _wrong_encoding(paper: Paper, _: Paper) -> bytes:
    return b"\xff\xfe" + paper.written().decode(errors="replace").encode("utf-16-le")


def _renamed(column: str) -> Callable[..., bytes]:
    def plant(paper: Paper, _: Paper) -> bytes:
        place = list(paper.spec.columns).index(column)
        headers = [*paper.headers]
        headers[place] = f"{headers[place]}_v2"
        return paper.written(headers=headers)

    return plant


def _dropped(paper: Paper, _: Paper) -> bytes:
    columns = list(paper.spec.columns)[:-1]
    less = {name: paper.spec.columns[name] for name in columns}
    spec = paper.spec.model_copy(update={"columns": less})
    rows = tuple({name: row[name] for name in columns} for row in paper.rows)
    return Paper(paper.name, spec, paper.headers[:-1], rows).written()


def _leaked(label: str) -> Callable[..., bytes]:
    def plant(paper: Paper, _: Paper) -> bytes:
        extra = f"{label}_final" if label in paper.spec.columns else label
        return paper.written([{**row, extra: "1"} for row in paper.rows])

    return plant


def _duplicates(paper: Paper, _: Paper) -> bytes:
    key, date = paper.spec.key, paper.spec.date
    other = next((n for n in paper.spec.columns if n not in key and n != date), None)
    again = [dict(row) for row in paper.rows[::10]]
    for row, donor in zip(again, paper.rows[5::10], strict=False):
        if other:
            row[other] = donor[other]
    return paper.written([*paper.rows, *again])


def _next_year(paper: Paper, _: Paper) -> bytes:
    column = paper.spec.date or paper.spec.key[0]
    later = dt.timedelta(days=365)

    def moved(row: Row) -> Row:
        return {**row, column: str(dt.date.fromisoformat(str(row[column])) + later)}

    return paper.written([moved(row) for row in paper.rows])


def _half(paper: Paper, _: Paper) -> bytes:
    return paper.written(paper.rows[: len(paper.rows) // 2])
