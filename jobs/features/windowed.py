"""The columns of declared windows.

What a window says of a fact is brought to whole thousandths, added up or compared by
`jobs.features.windows`, and is divided only then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pyspark.sql import functions as f

from jobs.declared import Window
from jobs.features.inputs import FeatureInputs
from jobs.features.known import FIRST, LAST
from jobs.features.windows import DAY, End, Grouping, Sum, lagged, quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SCALE = 1000
ENDS: Mapping[str, Literal["min", "max"]] = {"min": "min", "max": "max"}
# Nearer to the end of what a long holds, thousands of facts could not be added up.
MOST = 1e12


def windowed(inputs: FeatureInputs, rows: DataFrame) -> DataFrame:
    """`rows` with the columns of every window that the use case declares."""
    windows, columns = inputs.usecase.features.windows, rows.columns
    entity = inputs.usecase.entity
    spread = tuple(map(quoted, entity.key)) if entity.date is None else ()
    placed: dict[int, _Sums] = {}
    for source in dict.fromkeys(window.source for window in windows):
        own = {place: each for place, each in enumerate(windows) if each.source == source}
        theirs = _placed(own, first=len(placed))
        facts = _facts(inputs, source, own, theirs)
        rows = lagged(rows, facts, _groupings(own, theirs), inputs.dates, spread)
        placed |= theirs
    made: dict[str, str] = {}
    for place, window in enumerate(windows):
        for name, days in window.columns.items():
            made[name] = _value(window, placed[place], days, made)
    values = [f.expr(value).alias(name) for name, value in made.items()]
    return rows.select(*columns, *values)


@dataclass(frozen=True)
class _Sums:
    """Where the sums of a window are.

    Attributes:
        group: the column with the sums of its grouping, a struct.
        total: the measure of the facts, in thousandths.
        number: the measure that is 1 for each fact that counts.
    """

    group: str
    total: str
    number: str

    def of(self, measure: str, days: int) -> str:
        """A sum over some days, in SQL."""
        return f"{self.group}.{Sum(measure, days).name}" if days else "0L"


def _placed(windows: Mapping[int, Window], first: int) -> dict[int, _Sums]:
    """Where the sums of some windows will be: those that measure or group alike share.

    Args:
        windows: of one source, by their places.
        first: the number of the first group.
    """
    measures = list(dict.fromkeys((each.measure, each.where) for each in windows.values()))
    groups = list(dict.fromkeys(tuple(each.by.items()) for each in windows.values()))
    placed = {}
    for place, window in windows.items():
        measure = measures.index((window.measure, window.where))
        group = first + groups.index(tuple(window.by.items()))
        placed[place] = _Sums(f"_group_{group}", f"_total_{measure}", f"_number_{measure}")
    return placed


def _facts(
    inputs: FeatureInputs, source: str, windows: Mapping[int, Window], placed: Mapping[int, _Sums]
) -> DataFrame:
    """A source's facts with what the windows are grouped by, and their measures."""
    facts, expressions = inputs.facts(source), inputs.usecase.features.expressions
    names = dict.fromkeys(name for window in windows.values() for name in window.by.values())
    for name in names:
        if name not in facts.columns:
            facts = facts.withColumn(name, f.expr(expressions[name]))
    measures = {}
    for place, window in windows.items():
        value = f"cast(({window.measure or 'true'}) as double)"
        # A number that is not finite does not count either.
        counts = f"({window.where or 'true'}) and abs({value}) < {MOST}D"
        scaled = f"cast(round({value} * {SCALE}) as long)"
        measures[placed[place].total] = f"if({counts}, {scaled}, null)"
        measures[placed[place].number] = f"if({counts}, 1L, null)"
    made = [f.expr(value).alias(name) for name, value in measures.items()]
    return facts.select(*dict.fromkeys([DAY, FIRST, LAST, *names]), *made)


def _groupings(windows: Mapping[int, Window], placed: Mapping[int, _Sums]) -> list[Grouping]:
    """What is to be made of the facts, each value once."""
    by: dict[str, Mapping[str, str]] = {}
    wanted: dict[str, dict[Sum | End, None]] = {}
    for place, window in windows.items():
        each = placed[place]
        by[each.group] = window.by
        wanted.setdefault(each.group, {}).update(dict.fromkeys(_needed(window, each)))
    # Where nothing must be equal, all facts are one group.
    return [
        Grouping(
            group,
            tuple(map(quoted, of.values())) or ("true",),
            tuple(map(quoted, of)) or ("true",),
            tuple(wanted[group]),
        )
        for group, of in by.items()
    ]


def _needed(window: Window, sums: _Sums) -> list[Sum | End]:
    """What a window is made of."""
    if window.do in ENDS:
        return [End(sums.total, days, ENDS[window.do]) for days in window.days]
    # A lag is what two windows differ by.
    before = [days - 1 for days in window.days if window.do == "lag" and days > 1]
    return [
        Sum(name, days) for days in (*window.days, *before) for name in (sums.total, sums.number)
    ]


def _value(window: Window, sums: _Sums, days: int, before: Mapping[str, str]) -> str:
    """A window's column in SQL over the sums.

    Args:
        before: the columns of the windows before, which it may be shrunk towards.
    """
    if window.do in ENDS:
        return f"{sums.group}.{End(sums.total, days, ENDS[window.do]).name} / {SCALE}"
    total, number = sums.of(sums.total, days), sums.of(sums.number, days)
    if window.do == "count":
        return number
    if window.do == "sum":
        return f"{total} / {SCALE}"
    if window.do == "lag":
        total = f"({total} - {sums.of(sums.total, days - 1)})"
        number = f"({number} - {sums.of(sums.number, days - 1)})"
    if window.shrink is None:
        return f"try_divide({total}, {number} * {SCALE})"
    rows, to = window.shrink.rows, before[window.shrink.to]
    return f"try_divide({total} / {SCALE} + {rows}D * {to}, {number} + {rows}D)"
