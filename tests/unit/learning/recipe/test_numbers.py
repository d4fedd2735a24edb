"""Steps over numbers, checked by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.unit.learning.recipe import rows

NAN = float("nan")


def done(values: list[Any], step: dict[str, Any], name: str = "a", **more: list[Any]) -> Any:
    """The column `name` after a step has learned from these rows and was applied to them."""
    table = rows.of({"a": values, **more})
    recipe = rows.learned(table, step, numeric=["a", *more])
    return pytest.approx(rows.column(recipe, table, name), nan_ok=True)


@pytest.mark.parametrize(("by", "filled"), [("mean", 4.0), ("median", 2.0), ("most_frequent", 1.0)])
def test_impute(by: str, filled: float) -> None:
    step = {"do": "impute", "of": "a", "by": by, "indicator": True}
    values = [1, 1, None, 2, 3, 13]
    assert [1, 1, filled, 2, 3, 13] == done(values, step)
    assert done(values, step, "a_missing") == [0, 0, 1, 0, 0, 0]


def test_impute_under_another_name_leaves_the_column() -> None:
    step = {"do": "impute", "of": "a", "by": "constant", "value": 7, "as": "full"}
    assert done([1, None], step) == [1, NAN]
    assert done([1, None], step, "full") == [1, 7]


def test_impute_of_categories() -> None:
    table = rows.of({"c": ["S", "M", "M", None]})
    step = {"do": "impute", "of": "c", "by": "most_frequent"}
    recipe = rows.learned(table, step, categorical=["c"])
    assert rows.column(recipe, table, "c=M") == [0, 1, 1, 1]


def test_nothing_to_learn_from_leaves_missing_what_is() -> None:
    table = rows.of({"a": [None, None]})
    recipe = rows.learned(table, {"do": "impute", "of": "a", "by": "median"}, numeric=["a"])
    found = rows.column(recipe, rows.of({"a": [5, None]}), "a")
    assert pytest.approx(found, nan_ok=True) == [5, NAN]


def test_clip() -> None:
    step = {"do": "clip", "of": "a", "low": 0, "high": 60}
    assert done([-3, 5, 61, None], step) == [0, 5, 60, NAN]
    assert done([-3, 5, 61], {"do": "clip", "of": "a", "high": 5}) == [-3, 5, 5]


def test_winsorise() -> None:
    step = {"do": "winsorise", "of": "a", "low": 0.25, "high": 0.75}
    # Of 0, 1, 2, 3, 100 the quartiles are 1 and 3.
    assert done([0, 1, 2, 3, 100, None], step) == [1, 1, 2, 3, 3, NAN]


def test_scale() -> None:
    root = math.sqrt(2 / 3)
    for by, expected in (
        ("standard", [-1 / root, 0, 1 / root, NAN]),
        ("min_max", [0, 0.5, 1, NAN]),
        # The quartiles of 1, 2, 3 are 1.5 and 2.5.
        ("robust", [-1, 0, 1, NAN]),
    ):
        assert expected == done([1, 2, 3, None], {"do": "scale", "of": "a", "by": by})
        assert done([0.1, 0.1], {"do": "scale", "of": "a", "by": by}) == [0, 0], by


def test_log() -> None:
    step = {"do": "log", "of": "a", "plus": 1}
    assert done([0, math.e - 1, -1, -5, None], step) == [0, 1, NAN, NAN, NAN]


def test_bins_of_declared_edges() -> None:
    table = rows.of({"a": [-1, 0, 9.9, 10, None]})
    recipe = rows.learned(table, {"do": "bin", "of": "a", "edges": [0, 10]}, numeric=["a"])
    names = ("a=(-inf, 0)", "a=[0, 10)", "a=[10, inf)")
    # The most frequent one first, then by name.
    assert recipe.columns == (names[1], names[0], names[2])
    found = [rows.column(recipe, table, name) for name in names]
    assert found == [[1, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 0]]


def test_bins_of_quantiles() -> None:
    table = rows.of({"a": [1, 2, 3, 4, 5, 5, 5, 5, 5]})
    recipe = rows.learned(table, {"do": "bin", "of": "a", "quantiles": 4}, numeric=["a"])
    # The quartiles are 3, 5 and 5.
    assert set(recipe.columns) == {"a=(-inf, 3)", "a=[3, 5)", "a=[5, inf)"}


def test_cyclic() -> None:
    step = {"do": "cyclic", "of": "a", "period": 24}
    values = [0, 6, 12, 18, 24, None]
    assert pytest.approx(rows.column(*_learned(values, step), "a_sin"), abs=1e-6, nan_ok=True) == [
        0,
        1,
        0,
        -1,
        0,
        NAN,
    ]
    assert pytest.approx(rows.column(*_learned(values, step), "a_cos"), abs=1e-6, nan_ok=True) == [
        1,
        0,
        -1,
        0,
        1,
        NAN,
    ]
    assert values[:5] == done(values, step).expected[:5]


def _learned(values: list[Any], step: dict[str, Any]) -> Any:
    table = rows.of({"a": values})
    return rows.learned(table, step, numeric=["a"]), table


def test_difference_and_ratio() -> None:
    a, b = [6, 6, None, 0], [4, 0, 1, 0]
    less = {"do": "difference", "of": ["a", "b"], "as": "less"}
    assert done(a, less, "less", b=b) == [2, 6, NAN, 0]
    by = {"do": "ratio", "of": ["a", "b"], "as": "by"}
    assert done(a, by, "by", b=b) == [1.5, NAN, NAN, NAN]
    # What float32 cannot hold is missing.
    assert done([1e38], by, "by", b=[1e-3]) == [NAN]


def test_what_is_learned_has_nine_digits() -> None:
    table = rows.of({"a": [1, 1, 2]})
    recipe = rows.learned(table, {"do": "impute", "of": "a", "by": "mean"}, numeric=["a"])
    assert recipe.to_json()["steps"][0]["state"] == {"a": {"value": 1.33333333}}
    assert np.isclose(1.33333333, 4 / 3)
