"""What facts add up to on given dates, in memory: the part of `windows` that workers run.

Each sum enters a window on one date and leaves it on another, so that the window's value on a date
is the running total of what entered and left until then. The smallest and the largest cannot be
taken back like that, and are looked for date by date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from jobs.declared import DATE

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]

# Of the facts' sums: when a window has one, and whose it is.
GROUP, KEY, ENTERS = "_group", "_key", "_enters"
# Of no facts, what the smallest or the largest stands at.
NONE = {"min": 2**63 - 1, "max": -(2**63 - 1)}
BETTER = {"min": np.minimum, "max": np.maximum}


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
    groupings: Mapping[str, Mapping[str, tuple[str, int, str]]],
) -> pa.Table:
    """`columns` of the rows, and for each grouping a struct of its values on the row's date.

    Args:
        rows: with `prediction_date` and a key for each grouping.
        daily: sums of facts by `_group` and `_key`, from `_enters` to `_last_N` in the window of N
            days, with measures as whole numbers.
        groupings: by name, the measure, the days, and `sum`, `min` or `max` of each value by its
            name; a grouping's number is its place.
    """
    asked, group = _days(rows[DATE]), daily[GROUP].to_numpy()
    structs = []
    for place, wanted in enumerate(groupings.values()):
        own = daily.filter(pa.array(group == place))
        found = dict(_values(own, rows[key_of(place)], asked, wanted))
        arrays = [_array(found[name], do) for name, (_, _, do) in wanted.items()]
        structs.append(pa.StructArray.from_arrays(arrays, names=list(wanted)))
    return pa.table([*(rows[name] for name in columns), *structs], names=[*columns, *groupings])


def _values(
    daily: pa.Table,
    keys: pa.ChunkedArray,
    asked: Numbers,
    wanted: Mapping[str, tuple[str, int, str]],
) -> Iterator[tuple[str, Numbers]]:
    """Each value by its name, for every row."""
    codes = _codes(daily[KEY], keys)
    theirs, mine = codes[: daily.num_rows], codes[daily.num_rows :]
    enters = _days(daily[ENTERS])
    for days in sorted({length for _, length, _ in wanted.values()}):
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
        for name, (measure, length, do) in wanted.items():
            if length != days:
                continue
            values = daily[measure].to_numpy()[counts]
            if do == "sum":
                changes = np.concatenate([values, -values])[order]
                totals = np.concatenate([[0], np.cumsum(changes)])
                yield name, totals[until] - totals[before]
            else:
                of = (theirs[counts], enters[counts], last[counts], values)
                yield name, _ends(*of, mine, asked, do)


def _ends(
    theirs: Numbers,
    enters: Numbers,
    last: Numbers,
    values: Numbers,
    mine: Numbers,
    asked: Numbers,
    do: str,
) -> Numbers:
    """The smallest or the largest of each row's facts on its date, or `NONE`.

    Args:
        theirs, enters, last, values: of facts: the key, first and last date, and value.
        mine, asked: of rows: the key and the date.
    """
    found = np.full(len(asked), NONE[do])
    # One place more than there are keys, which is what -1 finds.
    places = max(theirs.max(initial=-1), mine.max(initial=-1)) + 2
    for date in np.unique(asked):
        seen, here = (enters <= date) & (date <= last), asked == date
        ends = np.full(places, NONE[do])
        BETTER[do].at(ends, theirs[seen], values[seen])
        found[here] = ends[mine[here]]
    return found


def _array(values: Numbers, do: str) -> pa.Array:
    """Values as they are handed over, null where an end is of no facts."""
    return pa.array(values, pa.int64(), mask=None if do == "sum" else values == NONE[do])


def _codes(*keys: pa.ChunkedArray) -> Numbers:
    """A number for each key, the same for equal ones; -1 for null, which no fact has."""
    together = pa.chunked_array([chunk for each in keys for chunk in each.chunks], pa.string())
    encoded = together.combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.fill_null(-1).to_numpy(), dtype=np.int64)


def _days(dates: pa.ChunkedArray) -> Numbers:
    return np.asarray(dates.cast(pa.int32()).to_numpy(), dtype=np.int64)
