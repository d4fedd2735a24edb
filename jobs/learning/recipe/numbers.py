"""What the steps over numbers learn and do."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.learning.recipe.categories import ranked_of
from jobs.learning.recipe.rows import Column, Columns, Numbers, Rows, Sample, rounded
from jobs.transforms.numbers import (
    Bin,
    Clip,
    Cyclic,
    Difference,
    Impute,
    Log,
    Ratio,
    Scale,
    Winsorise,
)

State = Mapping[str, Any]


def learn_impute(step: Impute, name: str, sample: Sample) -> State:
    """What to fill in; None where there was nothing to learn from."""
    column = sample.rows.columns[name]
    if step.by == "constant":
        return {"value": step.value}
    if not isinstance(column, np.ndarray):
        ranked, _ = ranked_of(column)
        return {"value": ranked[0] if ranked else None}
    there = column[~np.isnan(column)]
    if not len(there):
        return {"value": None}
    if step.by == "most_frequent":
        values, counts = np.unique(there, return_counts=True)
        return {"value": float(values[counts.argmax()])}
    return {"value": rounded(float(there.mean() if step.by == "mean" else np.median(there)))}


def impute(step: Impute, state: Mapping[str, State], rows: Rows) -> Columns:
    """The columns filled in, and the indicators."""
    found = {
        result: _filled(rows.columns[name], state[name]["value"])
        for name, result in zip(step.of, step.results, strict=True)
    }
    for name, flag in zip(step.of, step.flags, strict=False):
        found[flag] = _missing(rows.columns[name]).astype(np.float64)
    return found


def _filled(column: Column, value: float | str | None) -> Column:
    if value is None:
        return column
    if isinstance(column, np.ndarray):
        return np.where(np.isnan(column), value, column)
    return pc.fill_null(column, value)


def _missing(column: Column) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if isinstance(column, np.ndarray):
        return np.isnan(column)
    found: np.ndarray[Any, np.dtype[np.bool_]] = pc.is_null(column).to_numpy(zero_copy_only=False)
    return found


def clip(step: Clip, _: State, values: Numbers) -> Numbers:
    """Within the declared ends."""
    return np.clip(values, step.low, step.high)


def learn_winsorise(step: Winsorise, name: str, sample: Sample) -> State:
    """The two quantiles; none of a column without values."""
    there = _there(sample, name)
    if not len(there):
        return {"low": None, "high": None}
    low, high = np.quantile(there, [step.low, step.high])
    return {"low": rounded(low), "high": rounded(high)}


def winsorise(_: Winsorise, state: State, values: Numbers) -> Numbers:
    """Within the two quantiles."""
    # Without ends they stay as they are.
    found: Numbers = np.clip(values, state["low"], state["high"])
    return found


def learn_scale(step: Scale, name: str, sample: Sample) -> State:
    """Centre and spread; 0 and 1 of a column without values."""
    there = _there(sample, name)
    if not len(there):
        return {"centre": 0.0, "spread": 1.0}
    if step.by == "standard":
        # Of equal values the deviation is not exactly 0.
        centre, spread = there.mean(), there.std() if np.ptp(there) else 0.0
    elif step.by == "min_max":
        centre, spread = there.min(), np.ptp(there)
    else:
        low, centre, high = np.quantile(there, [0.25, 0.5, 0.75])
        spread = high - low
    return {"centre": rounded(centre), "spread": rounded(spread) or 1.0}


def scale(_: Scale, state: State, values: Numbers) -> Numbers:
    """By the centre and the spread of the training part."""
    found: Numbers = (values - state["centre"]) / state["spread"]
    return found


def log(step: Log, _: State, values: Numbers) -> Numbers:
    """The natural logarithm, where there is one."""
    moved = values + step.plus
    return np.log(np.where(moved > 0, moved, np.nan))


def learn_bin(step: Bin, name: str, sample: Sample) -> State:
    """Where the bins meet."""
    if step.edges is not None:
        return {"edges": list(step.edges)}
    there = _there(sample, name)
    if not len(there):
        return {"edges": []}
    assert step.quantiles is not None  # noqa: S101  # the spec has one of the two
    found = np.quantile(there, np.arange(1, step.quantiles) / step.quantiles)
    return {"edges": sorted({rounded(edge) for edge in found})}


def into_bins(_: Bin, state: State, values: Numbers) -> pa.Array:
    """The name of each value's interval."""
    edges = [np.format_float_positional(edge, trim="-") for edge in state["edges"]]
    ends = ["-inf", *edges, "inf"]
    names = [f"[{low}, {high})" for low, high in pairwise(ends)]
    names[0] = f"({names[0][1:]}"
    place = np.searchsorted(np.array(state["edges"]), values, side="right")
    return pa.array(names, pa.large_string()).take(pa.array(place, mask=np.isnan(values)))


def cyclic(step: Cyclic, _: Mapping[str, State], rows: Rows) -> Columns:
    """Sine and cosine of each column."""
    found: Columns = {}
    for name in step.of:
        angle = rows.columns[name] * (2 * np.pi / step.period)
        found |= {f"{name}_sin": np.sin(angle), f"{name}_cos": np.cos(angle)}
    return found


def difference(step: Difference, _: Mapping[str, State], rows: Rows) -> Columns:
    """The first less the second."""
    first, second = (rows.columns[name] for name in step.of)
    return {step.as_: first - second}


def ratio(step: Ratio, _: Mapping[str, State], rows: Rows) -> Columns:
    """The first by the second, where that is not 0."""
    first, second = (rows.columns[name] for name in step.of)
    return {step.as_: first / np.where(second == 0, np.nan, second)}


def _there(sample: Sample, name: str) -> Numbers:
    column: Numbers = sample.rows.columns[name]
    return column[~np.isnan(column)]
