"""What the training data and the scores looked like: what a night is compared with for drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import functions as F

from jobs.learning.bins import bins_of, count
from jobs.learning.targets.target import Watched
from jobs.learning.weeks import usual
from jobs.usecase import Features

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Rows that the distributions are taken from; chosen by their keys' hash, so always the same.
SAMPLE_ROWS = 100_000
QUANTILES = np.arange(0.1, 0.95, 0.1)


def sample(train: DataFrame, key: tuple[str, ...], rows: int, columns: tuple[str, ...]) -> pa.Table:
    """Some 100 000 of a frame's `rows` rows, the same ones in the same order every time."""
    return taken(train, key, F.lit(every(rows)), columns)


def every(rows: int) -> int:
    """One row in how many is taken of so many rows."""
    return -(-rows // SAMPLE_ROWS)


def taken(
    train: DataFrame, key: tuple[str, ...], one_in: Column, columns: tuple[str, ...]
) -> pa.Table:
    """One row in so many, chosen by the keys' hash, in the order of the keys."""
    chosen = train.where(F.pmod(F.xxhash64(*key), one_in) == 0)
    found: pa.Table = chosen.select(*dict.fromkeys((*key, *columns))).toArrow()
    return found.sort_by([(name, "ascending") for name in key]).select(columns)


def seen(train: DataFrame, sampled: pa.Table, spec: Features) -> dict[str, Any]:
    """The distributions of the training part's features, and under `usual` how far its weeks lay
    apart (`jobs.learning.weeks.Usual`), in one pass over all of its rows.
    """
    found = describe(sampled, spec)
    weeks = usual(count(train, bins_of(found)))
    return {**found, "usual": {name: asdict(one) for name, one in weeks.items()}}


def with_scores(
    found: Mapping[str, Any], watched: Watched, dates: NDArray[np.datetime64]
) -> dict[str, Any]:
    """A reference with the distribution of a model's scores of some dates, and their weeks.

    Under `score`, and under `prediction` that of the predicted classes, if there are.
    """
    scored, columns = {**found, "score": numbers(watched.score)}, {"score": pa.array(watched.score)}
    if (said := watched.prediction) is not None:
        scored["prediction"] = _categories(said, len(pc.unique(said)))
        columns["prediction"] = said.combine_chunks()
    day = (dates - dates.min()).astype("timedelta64[D]").astype(np.int64)
    bins, days = bins_of(scored), int(day.max()) + 1
    rows = {name: bins[name].by_day(column, day, days) for name, column in columns.items()}
    weeks = usual({name: one.astype(np.float64) for name, one in rows.items()})
    return {**scored, "usual": {**found["usual"], **{n: asdict(one) for n, one in weeks.items()}}}


def describe(rows: pa.Table, spec: Features) -> dict[str, Any]:
    """Distributions of each number and category, under `numeric` and `categorical`.

    Numbers: `edges` between bins at the deciles (equal ones once), `shares` of the bins among the
    values there are (`numpy.searchsorted(edges, value, side="right")` is a value's bin), and
    `missing`, a share of all rows. Categories: `values` with their shares among the values there
    are, `other`, the share of the rarer ones, and `missing`. Both: `rows`, how many were looked at.
    """
    numeric = {name: numbers(_floats(rows[name])) for name in spec.numeric}
    categorical = {name: _categories(rows[name], spec.max_categories) for name in spec.categorical}
    return {"numeric": numeric, "categorical": categorical}


def numbers(values: NDArray[np.float64]) -> dict[str, Any]:
    """The distribution of numbers; NaN and infinity count as missing."""
    there = values[np.isfinite(values)]
    if not len(there):
        return {"edges": [], "shares": [1.0], "missing": 1.0, "rows": len(values)}
    edges = np.unique(np.quantile(there, QUANTILES))
    counts = np.bincount(np.searchsorted(edges, there, side="right"), minlength=len(edges) + 1)
    return {
        "edges": edges.tolist(),
        "shares": (counts / len(there)).tolist(),
        "missing": 1 - len(there) / len(values),
        "rows": len(values),
    }


def _categories(column: pa.ChunkedArray, most: int) -> dict[str, Any]:
    counted = pc.value_counts(column.combine_chunks().drop_null()).to_pylist()
    ranked = sorted((-row["counts"], row["values"]) for row in counted)
    there = sum(-count for count, _ in ranked)
    shares = {value: -count / there for count, value in ranked[:most]}
    return {
        "values": shares,
        "other": sum(-count for count, _ in ranked[most:]) / there if there else 0.0,
        "missing": 1 - there / len(column) if len(column) else 1.0,
        "rows": len(column),
    }


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    found: NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    return found
