"""The sources of a draft: columns with their rules, and a first suite of expectations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from jobs.draft.keys import candidates
from jobs.draft.profile import Profile
from jobs.draft.sniff import Sheet
from jobs.quality.suite import NON_NULL_SHARE, ROWS_BETWEEN

# A set of so few texts is all there are, if each was seen so often.
FEW_TEXTS = 20
TIMES_SEEN = 5
# Room for what has not been seen yet, in multiples of what has.
SLACK = Decimal("0.5")
MOSTLY = 0.1
TIMES_ROWS = 0.5
# Of a name.
LONGEST = 48


@dataclass(frozen=True)
class Joined:
    """A file whose columns the rows get.

    Attributes:
        sheet: the file.
        on: its key, which the rows have, too.
        columns: what it brings, by the name that it has in the rows.
        found: share of the rows that have a partner in it.
    """

    sheet: Sheet
    on: tuple[str, ...]
    columns: dict[str, str]
    found: float


def joined(rows: Sheet, others: Sequence[Sheet]) -> tuple[list[Joined], dict[str, str]]:
    """The files that can be joined to the rows of the first one, and why others cannot."""
    found, left_out = [], {}
    taken = set(rows.columns)
    for other in others:
        shared = [name for name in other.columns if name in rows.columns]
        key = _key(other, shared)
        if key is None:
            said = (
                f"none of {', '.join(shared)} names one row of it"
                if shared
                else (f"it has no column in common with {rows.path.name}")
            )
            left_out[other.name] = said
            continue
        brings = {
            (name if name not in taken else f"{other.name}_{name}"[:LONGEST]): name
            for name in other.columns
            if name not in key
        }
        taken |= set(brings)
        both = rows.frame[list(key)].merge(other.frame[list(key)], on=list(key))
        found.append(Joined(other, key, brings, len(both) / max(1, len(rows.frame))))
    return found, left_out


def _key(other: Sheet, shared: Sequence[str]) -> tuple[str, ...] | None:
    """The fewest of some columns that name a row."""
    some = {name: other.columns[name] for name in shared}
    return next(iter(candidates(other.frame, some)), None)


def source(
    sheet: Sheet,
    name: str,
    key: Sequence[str],
    more: Mapping[str, Any],
    zone: str,
    target: str = "",
) -> dict[str, Any]:
    """A source as it is written in the file; rows without the target are there to be predicted.

    Args:
        zone: the time zone of moments that say none.
    """
    form = sheet.spec.format.model_dump(mode="json", exclude_defaults=True)
    return {
        "landing": landing(name, sheet),
        **({"format": form} if form else {}),
        "arrives": {"as": "snapshot"},
        "key": list(key),
        **more,
        **({"drift": sheet.spec.drift} if sheet.spec.drift != "refuse" else {}),
        "columns": {
            each.name: _column(each, sheet, key, zone, target) for each in sheet.columns.values()
        },
    }


def landing(name: str, sheet: Sheet) -> str:
    """The pattern below the landing root."""
    return f"{name}/{sheet.name}/*{_ending(sheet)}"


def _ending(sheet: Sheet) -> str:
    plain = sheet.path.name.removesuffix(".gz")
    return f".{plain.rpartition('.')[2]}" + (".gz" if plain != sheet.path.name else "")


def expectations(sheet: Sheet) -> list[dict[str, Any]]:
    """What a file like this one is expected to have: half of the rows, and most of the values."""
    drafted = [_expect(ROWS_BETWEEN, min_value=max(1, int(TIMES_ROWS * sheet.rows.total)))]
    for each in sheet.columns.values():
        least = 1 - each.share_missing - MOSTLY
        if each.missing and least > 0:
            drafted.append(
                _expect(NON_NULL_SHARE, column=each.name, min_value=math.floor(least * 100) / 100)
            )
    return drafted


def _expect(name: str, **arguments: Any) -> dict[str, Any]:
    return {"expect": name, "arguments": arguments}


def _column(
    each: Profile, sheet: Sheet, key: Sequence[str], zone: str, target: str
) -> dict[str, Any]:
    found: dict[str, Any] = {"type": each.type}
    if each.format:
        found["format"] = each.format
    if each.has_no_zone:
        found["zone"] = zone
    if each.header != each.name:
        found["header"] = each.header
    if each.missing == 0 and not each.mistakes and each.name != target:
        found["required"] = True
    if each.is_number and each.name not in key:
        found |= _ends(each)
    if values := _set(each, sheet):
        found["values"] = values
    return found


def _ends(each: Profile) -> dict[str, float | int]:
    """The ends of a number with room on both sides; what was never negative stays so."""
    if each.least is None or each.most is None:
        return {}
    least, most = Decimal(str(each.least)), Decimal(str(each.most))
    room = SLACK * (most - least)
    low = 0.0 if least >= 0 else _rounded(least - room, ROUND_FLOOR)
    high = _rounded(most + room, ROUND_CEILING)
    if each.type == "integer":
        low, high = float(math.floor(low)), float(math.ceil(high))
    return {"min": _plain(low), "max": _plain(high)}


def _rounded(value: Decimal, way: str) -> float:
    """To two significant digits."""
    return float(value.quantize(Decimal(1).scaleb(value.adjusted() - 1), rounding=way))


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _set(each: Profile, sheet: Sheet) -> list[str]:
    if each.type != "string" or not 0 < each.distinct <= FEW_TEXTS:
        return []
    counts = sheet.frame[each.name].value_counts()
    return sorted(counts.index) if counts.min() >= TIMES_SEEN else []
