"""What the steps over categories learn and do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.feature_extraction import FeatureHasher

from jobs.learning.recipe.rows import Block, Columns, Numbers, Rows, Sample, rounded
from jobs.transforms.categories import Cross, Frequency, Hash, OneHot, Ordinal, Target

State = Mapping[str, Any]
# Between the values of crossed categories.
BETWEEN = "|"


def ranked_of(column: pa.Array) -> tuple[list[str], list[int]]:
    """The values of a column and how often each is there; the most frequent first, then by name."""
    counted = pc.value_counts(column.drop_null()).to_pylist()
    ranked = sorted((-row["counts"], row["values"]) for row in counted)
    return [value for _, value in ranked], [-count for count, _ in ranked]


def learn_one_hot(step: OneHot, name: str, sample: Sample) -> State:
    """The values that get a column."""
    known = sample.ranked.get(name)
    ranked = ranked_of(sample.rows.columns[name])[0] if known is None else list(known)
    return {"values": ranked[: step.most]}


def one_hot(_: OneHot, state: State, column: pa.Array) -> Block:
    """A 1 in the column of each row's value, if it has one."""
    place = _places(column, state["values"])
    rows = np.flatnonzero(place >= 0)
    ones = (np.ones(len(rows), dtype=np.float32), (rows, place[rows]))
    shape = (len(column), len(state["values"]))
    return Block(csr_array(ones, shape=shape), state["values"], hashed=False)


def learn_ordinal(step: Ordinal, name: str, sample: Sample) -> State:
    """The values in their order."""
    return {"values": list(step.order or ranked_of(sample.rows.columns[name])[0])}


def ordinal(_: Ordinal, state: State, column: pa.Array) -> Numbers:
    """Each value's place."""
    place = _places(column, state["values"])
    return np.where(place < 0, np.nan, place)


def learn_frequency(_: Frequency, name: str, sample: Sample) -> State:
    """Each value's share."""
    values, counts = ranked_of(sample.rows.columns[name])
    total = sum(counts)
    return {"values": values, "shares": [rounded(count / total) for count in counts]}


def frequency(_: Frequency, state: State, column: pa.Array) -> Numbers:
    """Each row's value's share."""
    # The last one is for what was never seen, whose place is -1.
    shares = np.array([*state["shares"], 0.0])
    return _known(column, shares[_places(column, state["values"])])


def learn_target(step: Target, name: str, sample: Sample) -> State:
    """The rates of all folds, and for each fold the rates of the others."""
    column, labels = sample.rows.columns[name], sample.labels
    values = sorted(ranked_of(column)[0])
    place, fold = _places(column, values), sample.rows.fold % step.folds
    # The last column is of rows without a value, which count for the overall rate.
    width = len(values) + 1
    cell = fold * width + np.where(place < 0, len(values), place)
    rows = np.bincount(cell, minlength=step.folds * width).reshape(step.folds, width)
    yes = np.bincount(cell, labels, minlength=step.folds * width).reshape(step.folds, width)
    every = _rates(yes.sum(axis=0), rows.sum(axis=0), step.smoothing, labels.mean())
    others = [
        _rates(yes.sum(axis=0) - y, rows.sum(axis=0) - n, step.smoothing, labels.mean())
        for y, n in zip(yes, rows, strict=True)
    ]
    return {"values": values, "rates": every, "others": others}


def _rates(yes: Numbers, rows: NDArray[np.int64], smoothing: float, default: float) -> list[float]:
    """The rate of each value, shrunk, and last the overall one (`default` if there are no rows)."""
    overall = float(yes.sum() / rows.sum()) if rows.sum() else default
    shrunk = (yes[:-1] + smoothing * overall) / (rows[:-1] + smoothing)
    return [rounded(rate) for rate in (*shrunk, overall)]


def target(step: Target, state: Mapping[str, State], rows: Rows) -> Columns:
    """Rates: of the other folds for rows that are learned from, of all folds for others."""
    # The tables of the folds, and last that of all, so that a row without a fold finds it by -1.
    table = np.where(rows.fold < 0, -1, rows.fold % step.folds)
    found: Columns = {}
    for name, result in zip(step.of, step.results, strict=True):
        column, known = rows.columns[name], state[name]
        rates = np.array([*known["others"], known["rates"]])
        found[result] = _known(column, rates[table, _places(column, known["values"])])
    return found


def hashed(step: Hash, _: State, column: pa.Array) -> Block:
    """Each value's bucket; every distinct value is hashed once."""
    coded = column.dictionary_encode()
    values = coded.dictionary.to_pylist()
    hasher = FeatureHasher(step.buckets, input_type="string", dtype=np.float32)
    # Last, an empty row for a missing value; it also keeps the hasher from refusing no rows.
    each = csr_array(hasher.transform([*([value] for value in values), []]))
    place = pc.fill_null(coded.indices, len(values)).to_numpy(zero_copy_only=False)
    return Block(each[place], range(step.buckets), hashed=True)


def cross(step: Cross, _: Mapping[str, State], rows: Rows) -> Columns:
    """The columns' values as one."""
    columns = [rows.columns[name] for name in step.of]
    between = pa.scalar(BETWEEN, pa.large_string())
    return {step.as_: pc.binary_join_element_wise(*columns, between)}


def _places(column: pa.Array, values: list[str]) -> NDArray[np.int64]:
    """Where each row's value is among some; -1 for a missing or an unknown one."""
    found = pc.index_in(column, value_set=pa.array(values, pa.large_string()), skip_nulls=True)
    places: NDArray[np.int64] = pc.fill_null(found, -1).to_numpy().astype(np.int64)
    return places


def _known(column: pa.Array, values: Numbers) -> Numbers:
    """Values of the rows whose category is not missing."""
    return np.where(pc.is_null(column).to_numpy(zero_copy_only=False), np.nan, values)
