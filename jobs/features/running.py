"""Sums that facts add up to on given dates, in memory: the part of `windows` that workers run.

Each sum enters a window on one date and leaves it on another, so that the window's value on a date
is the running total of what entered and left until then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from jobs.declared import DATE

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]

# Of the facts' sums: when a window has one, and whose it is.
GROUP, KEY, ENTERS = "_group", "_key", "_enters"


def last_of(days: int) -> str:
    """The column with the last date on which the window of so many days has a sum."""
    return f"_last_{days}"


def key_of(place: int) -> str:
    """The column with a row's key in the grouping of that number; null for none."""
    return f"_key_{place}"


def beside(
    rows: pa.Table,
    daily: pa.Table,
    columns: Sequence[str],
    groupings: Mapping[str, Mapping[str, tuple[str, int]]],
) -> pa.Table:
    """`columns` of the rows, and for each grouping a struct of its sums on the row's date.

    Args:
        rows: with `prediction_date` and a key for each grouping.
        daily: sums of facts by `_group` and `_key`, from `_enters` to `_last_N` in the window of N
            days, with measures as whole numbers.
        groupings: by name, the measure and the days of each sum by its name; a grouping's number
            is its place.
    """
    asked, group = _days(rows[DATE]), daily[GROUP].to_numpy()
    structs = []
    for place, sums in enumerate(groupings.values()):
        own = daily.filter(pa.array(group == place))
        found = dict(_sums(own, rows[key_of(place)], asked, sums))
        arrays = [pa.array(found[name], pa.int64()) for name in sums]
        structs.append(pa.StructArray.from_arrays(arrays, names=list(sums)))
    return pa.table([*(rows[name] for name in columns), *structs], names=[*columns, *groupings])


def _sums(
    daily: pa.Table, keys: pa.ChunkedArray, asked: Numbers, sums: Mapping[str, tuple[str, int]]
) -> Iterator[tuple[str, Numbers]]:
    """Each sum by its name, for every row."""
    codes = _codes(daily[KEY], keys)
    theirs, mine = codes[: daily.num_rows], codes[daily.num_rows :]
    enters = _days(daily[ENTERS])
    for days in sorted({length for _, length in sums.values()}):
        last = _days(daily[last_of(days)])
        counts = enters <= last
        when = np.concatenate([enters[counts], last[counts] + 1])
        # One number says whose a change is and when: keys lie as far apart as there are days.
        base = min(when.min(initial=asked.min(initial=0)), asked.min(initial=0))
        span = max(when.max(initial=0), asked.max(initial=0)) - base + 1
        places = np.tile(theirs[counts], 2) * span + when - base
        order = np.argsort(places, kind="stable")
        before = np.searchsorted(places[order], mine * span, "left")
        until = np.searchsorted(places[order], mine * span + asked - base, "right")
        for name, (measure, length) in sums.items():
            if length == days:
                values = daily[measure].to_numpy()[counts]
                changes = np.concatenate([values, -values])[order]
                totals = np.concatenate([[0], np.cumsum(changes)])
                yield name, totals[until] - totals[before]


def _codes(*keys: pa.ChunkedArray) -> Numbers:
    """A number for each key, the same for equal ones; -1 for null, which no fact has."""
    together = pa.chunked_array([chunk for each in keys for chunk in each.chunks], pa.string())
    encoded = together.combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.fill_null(-1).to_numpy(), dtype=np.int64)


def _days(dates: pa.ChunkedArray) -> Numbers:
    return np.asarray(dates.cast(pa.int32()).to_numpy(), dtype=np.int64)
