"""Which columns name a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from math import prod

import numpy as np
import pandas as pd

from jobs.draft.profile import Profile

MOST_TOGETHER = 3
# Columns that are tried together; of more there are too many combinations.
MOST_TRIED = 10


def candidates(frame: pd.DataFrame, profiles: Mapping[str, Profile]) -> list[tuple[str, ...]]:
    """Columns, or some together, that are unique and never missing, the likeliest first.

    Of single columns those that are called like an identifier come first. Several together are
    looked for only if no single one is unique, and have an identifier or a date among them: other
    values can be unique by chance.
    """
    possible = [each for each in profiles.values() if _names_something(each)]
    single = sorted(
        (each for each in possible if each.is_unique), key=lambda each: not each.is_id_like
    )
    if single:
        return [(each.name,) for each in single]
    tried = sorted(
        (each for each in possible if each.distinct > 1), key=lambda each: not _leads(each)
    )[:MOST_TRIED]
    for size in range(2, MOST_TOGETHER + 1):
        if found := list(_together(frame, tried, size)):
            return found
    return []


def is_unique_by_chance(each: Profile) -> bool:
    """Whether a column of whole numbers may be unique as amounts are: it does not count the rows,
    and is not called like an identifier.
    """
    if not each.is_unique or each.is_id_like or each.least is None or each.most is None:
        return False
    return each.most - each.least + 1 > each.rows


def repeated(frame: pd.DataFrame, key: Iterable[str]) -> pd.Series:
    """Which rows have the same key as one before them; a missing part is no key."""
    columns = list(key)
    return frame.duplicated(columns) & frame[columns].notna().all(axis="columns")


def _names_something(each: Profile) -> bool:
    return each.missing == 0 and each.type != "number" and not each.mistakes and not each.is_text


def _leads(each: Profile) -> bool:
    return each.is_id_like or each.type in ("date", "timestamp")


def _together(frame: pd.DataFrame, tried: list[Profile], size: int) -> Iterable[tuple[str, ...]]:
    codes = {each.name: pd.factorize(frame[each.name])[0].astype(np.int64) for each in tried}
    for some in combinations(tried, size):
        enough = prod(each.distinct for each in some) >= len(frame)
        if enough and any(map(_leads, some)):
            mixed = np.zeros(len(frame), np.int64)
            for each in some:
                mixed = mixed * (each.distinct + 1) + codes[each.name]
            if len(np.unique(mixed)) == len(frame):
                yield tuple(each.name for each in some)
