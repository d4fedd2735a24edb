"""Rows and features for the tests of recipes: odd values, and an example of every step."""

from __future__ import annotations

import datetime as dt
from typing import Any, get_args

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import issparse

from jobs.learning.recipe.fit import FOLD, learn
from jobs.learning.recipe.recipe import Recipe
from jobs.transforms.recipe import Transform
from jobs.transforms.step import Step
from jobs.usecase import Features

ZONE = "America/New_York"
MOMENTS, TEXTS = ("t", "u"), ("x",)
SCHEMA = pa.schema(
    [
        *((name, pa.float64()) for name in "ab"),
        *((name, pa.string()) for name in "cd"),
        *((name, pa.timestamp("us", "UTC")) for name in MOMENTS),
        *((name, pa.string()) for name in TEXTS),
        ("label", pa.float64()),
        (FOLD, pa.int64()),
    ]
)

# At least one of every kind of step, in each of the ways that it can be written.
EXAMPLES: list[list[dict[str, Any]]] = [
    [{"do": "impute", "of": ["a", "b"], "by": "median", "indicator": True}],
    [{"do": "impute", "of": "a", "by": "mean"}, {"do": "impute", "of": "b", "by": "most_frequent"}],
    [{"do": "impute", "of": ["c", "d"], "by": "most_frequent", "as": ["e", "f"]}],
    [{"do": "impute", "of": "c", "by": "constant", "value": "none", "indicator": True}],
    [{"do": "clip", "of": "a", "low": -1, "high": 2.5}],
    [{"do": "winsorise", "of": ["a", "b"], "low": 0.1, "high": 0.9}],
    *([{"do": "scale", "of": ["a", "b"], "by": by}] for by in ("standard", "min_max", "robust")),
    [{"do": "log", "of": ["a", "b"], "plus": 1}],
    [{"do": "bin", "of": "a", "edges": [-1, 0, 10]}, {"do": "bin", "of": "b", "quantiles": 3}],
    [{"do": "cyclic", "of": ["a", "b"], "period": 24}],
    [{"do": "difference", "of": ["a", "b"], "as": "less"}],
    [{"do": "ratio", "of": ["a", "b"], "as": "by"}],
    [{"do": "one_hot", "of": ["c", "d"], "most": 2, "as": ["e", "f"]}],
    [{"do": "ordinal", "of": "c", "order": ["S", "M"]}, {"do": "ordinal", "of": "d"}],
    [{"do": "target", "of": ["c", "d"], "smoothing": 5, "folds": 3, "as": ["e", "f"]}],
    [{"do": "frequency", "of": ["c", "d"]}],
    [{"do": "hash", "of": ["c", "d"], "buckets": 4}],
    [{"do": "cross", "of": ["c", "d"], "as": "both"}, {"do": "target", "of": "both", "folds": 2}],
    [
        {
            "do": "calendar",
            "of": ["t", "u"],
            "parts": ["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "week"],
        },
        {"do": "calendar", "of": "t", "parts": ["month", "quarter", "year", "weekend"]},
    ],
    [{"do": "holidays", "of": ["t", "u"], "country": "US", "subdivision": "NY"}],
    *(
        [{"do": "between", "of": ["t", "u"], "unit": unit, "as": "passed"}]
        for unit in ("seconds", "minutes", "hours", "days")
    ),
    [{"do": "tfidf", "of": "x", "ngrams": [1, 2], "buckets": 32, "least_rows": 1}],
    [{"do": "tfidf", "of": "x", "by": "characters", "ngrams": [2, 3], "buckets": 64}],
    [{"do": "length", "of": "x"}, {"do": "length", "of": "x", "by": "words"}],
    [{"do": "count", "of": "x", "pattern": "[!?]", "as": "marks"}],
    [{"do": "drop", "of": ["a", "c", "t", "x"]}],
]


def step_types() -> set[type[Step]]:
    """Every member of the union, so that none can be forgotten."""
    return set(get_args(get_args(Transform)[0]))


def features(*transforms: dict[str, Any], **more: Any) -> Features:
    """Features with those timestamps and texts that some transforms use."""
    named = [step["of"] for step in transforms]
    used = {name for of in named for name in ([of] if isinstance(of, str) else of)}
    return Features.model_validate(
        {
            "history": 0,
            "numeric": ["a", "b"],
            "categorical": ["c", "d"],
            "timestamp": [name for name in MOMENTS if name in used],
            "text": [name for name in TEXTS if name in used],
            "max_categories": 3,
            "transforms": transforms,
            **more,
        }
    )


NUMBERS = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.0, 1.0, float("nan"), float("inf"), 1e300, -3.5]),
    st.floats(-100, 100),
)
CATEGORIES = st.one_of(st.none(), st.sampled_from(["S", "M", "L", "", "|", "ß"]))
UTC = st.just(dt.UTC)
MOMENT = st.datetimes(dt.datetime(1999, 1, 1), dt.datetime(2031, 1, 1), timezones=UTC)
WORDS = st.lists(st.sampled_from(["late", "Late", "ﬁne", "über", "snow!", "?", "1"]), max_size=6)
TEXT = st.one_of(st.none(), WORDS.map(" ".join), st.text(max_size=8))
ROW = st.tuples(
    *(NUMBERS for _ in "ab"),
    *(CATEGORIES for _ in "cd"),
    *(st.one_of(st.none(), MOMENT) for _ in MOMENTS),
    *(TEXT for _ in TEXTS),
    st.sampled_from([0.0, 1.0]),
    st.integers(0, 2**31 - 2),
)
TABLES = st.lists(ROW, min_size=1, max_size=25).map(lambda rows: table(rows))


def table(rows: list[tuple[Any, ...]]) -> pa.Table:
    """Rows of all columns."""
    columns = zip(*rows, strict=True)
    arrays = [pa.array(list(c), kind) for c, kind in zip(columns, SCHEMA.types, strict=True)]
    return pa.table(arrays, schema=SCHEMA)


def some(size: int, seed: int = 1) -> pa.Table:
    """Random rows, some values of which are missing."""
    rng = np.random.default_rng(seed)
    start = dt.datetime(2023, 6, 1, tzinfo=dt.UTC)
    words = ["late", "snow", "wind", "clear", "Über!", "again"]

    def one() -> tuple[Any, ...]:
        row = [
            *rng.normal(2, 3, 2).round(3).tolist(),
            *rng.choice(["S", "M", "L", "XL"], 2, p=[0.4, 0.3, 0.2, 0.1]).tolist(),
            *(start + dt.timedelta(minutes=int(n)) for n in rng.integers(0, 10**6, 2)),
            " ".join(rng.choice(words, int(rng.integers(0, 6)))),
        ]
        gone = rng.random(len(row)) < 0.15
        return tuple(None if no else value for no, value in zip(gone, row, strict=True))

    return table(
        [(*one(), float(rng.random() < 0.3), int(rng.integers(2**31))) for _ in range(size)]
    )


def of(values: dict[str, list[Any]], **more: list[Any]) -> pa.Table:
    """Rows of some columns, with labels and folds."""
    size = len(next(iter(values.values())))
    every = {"label": [0.0] * size, FOLD: list(range(size)), **values, **more}
    fields = [SCHEMA.field(name) for name in every]
    return pa.table(list(every.values()), schema=pa.schema(fields))


def learned(table: pa.Table, *transforms: dict[str, Any], **kinds: list[str]) -> Recipe:
    """A recipe over exactly the named columns."""
    none: dict[str, list[str]] = {"numeric": [], "categorical": [], "timestamp": [], "text": []}
    return learn(table, features(*transforms, **{**none, **kinds}), ZONE, {})


def column(recipe: Recipe, table: pa.Table, name: str, **fold: Any) -> list[float]:
    """One column of the matrix."""
    return dense(recipe.matrix(table, **fold))[:, recipe.columns.index(name)].tolist()


def dense(matrix: Any) -> NDArray[np.float32]:
    """A matrix as an array."""
    found: NDArray[np.float32] = matrix.toarray() if issparse(matrix) else matrix
    return found


def rows_of(matrix: Any) -> list[bytes]:
    """The bits of each row, and of a sparse one also which values it stores."""
    if not issparse(matrix):
        return [row.tobytes() for row in matrix]
    cuts = zip(matrix.indptr, matrix.indptr[1:], strict=False)
    return [
        matrix.indices[a:b].astype(np.int64).tobytes() + matrix.data[a:b].tobytes() for a, b in cuts
    ]
