"""Steps over categories, checked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jobs.learning.recipe.fit import FOLD
from tests.unit.learning.recipe import rows

NAN = float("nan")
TRAIN = rows.of({"c": ["S", "S", "M", "S", "M", "L", None]})
ODD = rows.of({"c": ["L", "M", "S", "XL", None]})


def done(step: dict[str, Any], table: pa.Table = ODD, train: pa.Table = TRAIN) -> Any:
    """The column after a step has learned from `train`."""
    recipe = rows.learned(train, {"of": "c", **step}, categorical=["c"])
    return pytest.approx(rows.column(recipe, table, "c"), nan_ok=True)


def test_one_hot_of_the_most_frequent() -> None:
    step = {"do": "one_hot", "of": "c", "most": 2}
    recipe = rows.learned(TRAIN, step, categorical=["c"])
    assert recipe.columns == ("c=S", "c=M")
    assert recipe.matrix(ODD).tolist() == [[0, 0], [0, 1], [1, 0], [0, 0], [0, 0]]


def test_ordinal_in_a_declared_order_and_by_frequency() -> None:
    assert done({"do": "ordinal", "order": ["S", "M", "L"]}) == [2, 1, 0, NAN, NAN]
    assert done({"do": "ordinal"}) == [2, 1, 0, NAN, NAN]
    assert done({"do": "ordinal", "order": ["M", "S"]}) == [NAN, 0, 1, NAN, NAN]


def test_frequency_among_the_values_there_are() -> None:
    assert done({"do": "frequency"}) == [1 / 6, 2 / 6, 3 / 6, 0, NAN]


def test_target_is_shrunk_and_another_for_rows_that_were_learned_from() -> None:
    train = rows.of(
        {"c": ["S", "S", "S", "M", None, "M"]},
        label=[1, 1, 0, 0, 1, 0],
        **{FOLD: [0, 2, 1, 1, 3, 0]},
    )
    step = {"do": "target", "of": "c", "smoothing": 2, "folds": 2}
    recipe = rows.learned(train, step, categorical=["c"])
    # Overall 3 of 6; S: 2 of 3; M: 0 of 2.
    assert done(step, train=train) == [0.5, (0 + 1) / 4, (2 + 1) / 5, 0.5, NAN]
    # The rows of fold 0 (1st, 2nd, 6th) have what the others (3rd, 4th, 5th) say: overall 1 of 3,
    # S: 0 of 1; M: 0 of 1. Those of fold 1: overall 2 of 3, S: 2 of 2, M: 0 of 1.
    first, second = (0 + 2 / 3) / 3, (2 + 4 / 3) / 4
    others = [first, first, second, (0 + 4 / 3) / 3, NAN, first]
    found = rows.column(recipe, train, "c", fold=train[FOLD])
    assert others == pytest.approx(found, nan_ok=True)
    # A row that was not learned from, among those that were.
    mixed = pa.array([0, None, 1, 1, None, 0])
    assert rows.column(recipe, train, "c", fold=mixed)[1] == pytest.approx(3 / 5)


def test_no_rows_label_is_in_its_own_target() -> None:
    names = [f"row {n}" for n in range(200)]
    labels = (np.arange(200) % 3 == 0).astype(float)
    train = rows.of({"c": names}, label=labels.tolist())
    step = {"do": "target", "of": "c", "smoothing": 1}
    recipe = rows.learned(train, step, categorical=["c"])
    found = np.array(rows.column(recipe, train, "c", fold=train[FOLD]))
    # Every name is of its own, so the other folds know nothing of it but the mean.
    assert abs(np.corrcoef(found, labels)[0, 1]) < 0.4
    assert np.corrcoef(rows.column(recipe, train, "c"), labels)[0, 1] > 0.99


def test_hashed_values_have_a_sign_and_one_bucket_each() -> None:
    step = {"do": "hash", "of": "c", "buckets": 64}
    recipe = rows.learned(TRAIN, step, categorical=["c"])
    assert recipe.columns[:2] == ("c:0", "c:1")
    many = rows.of({"c": [f"value {n}" for n in range(200)]})
    found = rows.dense(recipe.matrix(many))
    assert (np.abs(found).sum(axis=1) == 1).all()
    assert set(np.unique(found)) == {-1, 0, 1}
    assert (np.abs(found).sum(axis=0) > 0).sum() > 50
    # By MurmurHash3 of `S`, which is -2087052588, the remainder by 64 and the sign.
    (place,) = np.flatnonzero(rows.dense(recipe.matrix(ODD))[2])
    assert (place, rows.dense(recipe.matrix(ODD))[2, place]) == (44, -1)
    assert not rows.dense(recipe.matrix(ODD))[4].any()


def test_cross_is_missing_where_one_is() -> None:
    table = rows.of({"c": ["JFK", "JFK", None], "d": ["UA", "UA", "UA"]})
    step = {"do": "cross", "of": ["c", "d"], "as": "both"}
    recipe = rows.learned(table, step, categorical=["c", "d"])
    assert rows.column(recipe, table, "both=JFK|UA") == [1, 1, 0]
    assert recipe.columns == ("c=JFK", "d=UA", "both=JFK|UA")
