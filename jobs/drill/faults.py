"""The faults of a drill: what goes wrong with files, and who should see it first.

Each is made from what the use case declares and from the file of a good night, so that a drill
asks of every use case the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from jobs.drill import damage
from jobs.drill.damage import IMPOSSIBLE, Plant
from jobs.usecase import Source, UseCase

INGEST, BUDGET, USUAL = "ingest", "conform", "gate silver"


@dataclass(frozen=True)
class Fault:
    """A way in which a file can be wrong.

    Attributes:
        name: for people.
        source: whose file it is.
        caught_by: the steps of which one should refuse the night.
        named: the column or rule that the refusal should name; empty if it is about the file.
        plant: makes the wrong file.
    """

    name: str
    source: str
    caught_by: tuple[str, ...]
    named: str
    plant: Plant

    def is_told_by(self, step: str, sentence: str, file: str) -> bool:
        """Whether a refusal comes from where it should, and is about this fault in that file."""
        words = [word for word in (self.named, file if step == INGEST else "") if word]
        return step in self.caught_by and all(
            re.search(rf"(?<!\w){re.escape(word)}(?!\w)", sentence) for word in words
        )


class _Wanted(NamedTuple):
    """A fault that may not be for every source: `named` is None if it cannot be planted."""

    name: str
    of: _Columns
    caught_by: tuple[str, ...]
    plant: Callable[[str], Plant]
    named: str | None = ""
    without: str = ""


def faults(
    usecase: UseCase, statistics: Mapping[str, Mapping[str, float]]
) -> tuple[list[Fault], list[str]]:
    """Those of the twenty faults that a use case can have, and why it cannot have the others.

    Each leaves alone what its owner lets jump.

    Args:
        statistics: by source, the profile of a good day, which says what its columns are like.
    """
    planted, left_out = [], []
    for each in _wanted(usecase, statistics):
        if each.of.spec.format.type == "delta":
            left_out.append(f"{each.name}: {each.of.source} is delivered as a Delta table")
        elif each.named is None:
            left_out.append(f"{each.name}: {each.of.source} {each.without}")
        else:
            plant = each.plant(each.named)
            planted.append(Fault(each.name, each.of.source, each.caught_by, each.named, plant))
    return planted, left_out


def _wanted(usecase: UseCase, statistics: Mapping[str, Mapping[str, float]]) -> list[_Wanted]:
    daily = [name for name, each in usecase.sources.items() if each.is_daily]
    taken = (usecase.entity.source, usecase.label.source)
    other_source = next((name for name in daily if name not in taken), taken[1])
    listed, outcome, other = (
        _Columns(name, usecase.sources[name], statistics[name]) for name in (*taken, other_source)
    )
    told = outcome.told(usecase.label.expression)
    leak = None if listed.spec.drift == "keep_extra" else _leak(told[0], listed.spec)
    amount = next((name for name in told if outcome.is_number(name)), None)
    # A number that is a key measures nothing.
    no_number, no_amount = "has no numeric column", "has no numeric column in its label"
    return [
        _Wanted("the file is cut off", outcome, (INGEST,), lambda _: damage.cut_off),
        _Wanted("the file is empty", listed, (INGEST,), lambda _: lambda *_: b""),
        _Wanted("only a header", outcome, (INGEST,), lambda _: lambda paper, _: paper.written([])),
        _Wanted("the wrong encoding", other, (INGEST,), lambda _: damage.wrong_encoding),
        _Wanted("a renamed column", listed, (INGEST,), lambda _: damage.renamed, listed.last),
        _Wanted("a dropped column", outcome, (INGEST,), lambda _: damage.dropped, outcome.last),
        _Wanted(
            "an added column: the label leaks",
            listed,
            (INGEST,),
            damage.leaked,
            leak,
            "keeps columns that nobody declared",
        ),
        _Wanted(
            "a retyped column",
            outcome,
            (BUDGET,),
            lambda column: damage.each(column, lambda value: f"ca. {value}"),
            next((n for n in (*told, *outcome.spec.columns) if not outcome.is_text(n)), None),
            "has no column but of text",
        ),
        _Wanted(
            "a burst of nulls in a key",
            listed,
            (BUDGET,),
            lambda column: damage.nulls(column, 0.3),
            listed.required,
            "has no required column but its date",
        ),
        _Wanted("duplicate keys", listed, (BUDGET,), lambda _: damage.duplicates, "duplicate_key"),
        _Wanted("a stale file", listed, (BUDGET,), lambda _: damage.stale, listed.spec.date),
        _Wanted("dates of next year", outcome, (BUDGET,), damage.next_year, outcome.spec.date),
        _Wanted(
            "impossible values",
            outcome,
            (BUDGET,),
            damage.impossible,
            outcome.bounded,
            "has no numeric column with a largest value",
        ),
        _Wanted(
            "a column of nulls",
            outcome,
            (BUDGET, USUAL),
            lambda column: damage.nulls(column, 1.0),
            told[0],
        ),
        _Wanted(
            "shifted units: times 60",
            outcome,
            (BUDGET, USUAL),
            lambda column: damage.scaled(column, 60, 0),
            amount,
            no_amount,
        ),
        _Wanted(
            "shifted units: plus 273",
            other,
            (BUDGET, USUAL),
            lambda column: damage.scaled(column, 1, 273.15),
            other.steady,
            no_number,
        ),
        _Wanted(
            "a drifted column",
            listed,
            (USUAL, BUDGET),
            lambda column: damage.scaled(column, 1.3, 0),
            listed.steady,
            no_number,
        ),
        _Wanted("a stuck sensor", other, (USUAL,), damage.stuck, other.moving, no_number),
        _Wanted(
            "a flood of categories",
            listed,
            (BUDGET, USUAL),
            damage.flood,
            listed.category,
            "has no free text column",
        ),
        _Wanted(
            "half of the rows are missing", listed, (USUAL,), lambda _: damage.half, "usual_rows"
        ),
    ]


class _Columns:
    """Columns of a source by what they are good for, by how they were on a good day; or None."""

    def __init__(self, source: str, spec: Source, profile: Mapping[str, float]) -> None:
        self.source, self.spec, self._profile = source, spec, profile
        self._free = spec.usual.leave_out if spec.usual else ()

    @property
    def last(self) -> str:
        """What files call the last column."""
        name, column = [*self.spec.columns.items()][-1]
        return column.headers(name)[0]

    @property
    def required(self) -> str | None:
        needed = (name for name in self.spec.columns if self.spec.is_required(name))
        return next((name for name in needed if name != self.spec.date), None)

    @property
    def steady(self) -> str | None:
        """The measured column whose spread is the smallest part of its mean."""
        return min(self._measured(), key=self._relative, default=None)

    @property
    def moving(self) -> str | None:
        return max(self._measured(), key=self._relative, default=None)

    @property
    def bounded(self) -> str | None:
        columns = self.spec.columns
        most = {name: columns[name].max for name in self._measured()}
        bounds = (n for n, largest in most.items() if largest is not None and largest < IMPOSSIBLE)
        return next(bounds, None)

    @property
    def category(self) -> str | None:
        """The text column that has the fewest values, but several."""
        columns = self.spec.columns.items()
        free = [n for n, c in columns if c.type == "string" and c.values is None]
        counts = {n: self._profile.get(f"distinct {n}", 0.0) for n in free if n not in self._free}
        several = [n for n, count in counts.items() if count > 1]
        return min(several or counts, key=lambda n: counts[n], default=None)

    def told(self, expression: str) -> list[str]:
        """The columns that an expression reads; the last one if it seems to read none."""
        words = set(re.findall(r"[a-z][a-z0-9_]*", expression))
        return [n for n in self.spec.columns if n in words] or [[*self.spec.columns][-1]]

    def is_number(self, name: str) -> bool:
        return self.spec.columns[name].type in ("integer", "number")

    def is_text(self, name: str) -> bool:
        return self.spec.columns[name].type == "string"

    def _measured(self) -> list[str]:
        numbers = [
            name
            for name in self.spec.columns
            if self.is_number(name)
            and self._profile.get(f"missing {name}", 0.0) < 0.5
            and name not in (*self._free, *self.spec.key)
        ]
        return [name for name in numbers if self._spread(name) > 0] or numbers

    def _relative(self, name: str) -> float:
        """A column's spread as a part of its mean."""
        return self._spread(name) / (abs(self._profile.get(f"mean {name}", 0.0)) + 1e-9)

    def _spread(self, name: str) -> float:
        return self._profile.get(f"spread {name}", 0.0)


def _leak(label: str, spec: Source) -> str:
    return f"{label}_final" if label in spec.columns else label
