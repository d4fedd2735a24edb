"""What gives a label away, and what only helps to predict it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from jobs.draft.leaks import LabelKind, suspects

ROWS = 1000
CHANCE = np.random.default_rng(7)
A, B, C = (CHANCE.integers(1, 100, ROWS).astype(float) for _ in range(3))


def found(columns: dict[str, object], label: object, kind: LabelKind = "regression") -> list[str]:
    some = {name: pd.Series(values) for name, values in columns.items()}
    return [each.said for each in suspects(some, pd.Series(label), kind, "y")]


def test_columns_that_add_up_to_it() -> None:
    assert found({"a": A, "b": B, "c": C}, A + B) == ["a + b is y in every row"]
    assert found({"a": A, "b": B, "c": C}, B - A) == ["b - a is y in every row"]
    assert found({"a": A, "b": B, "c": C}, A + B - C) == ["a + b - c is y in every row"]
    assert found({"a": A, "b": B, "c": C}, (A + B) / 2) == ["a + b is 2 times y in every row"]
    assert found({"a": A, "b": B, "c": C}, A + B + CHANCE.normal(size=ROWS)) == []
    # As of shops that are closed at first.
    closed = np.arange(ROWS) < 100
    a, b = (np.where(closed, 0, each) for each in (A, B))
    assert found({"a": a, "b": b, "c": C}, a + b) == ["a + b is y in every row"]


def test_a_copy_and_what_rises_or_falls_with_it() -> None:
    assert found({"a": A, "b": B}, np.log(A)) == ["a rises with y in every row"]
    assert found({"a": A, "b": B}, 3 - A) == ["a falls as y rises, in every row"]
    code = pd.Series(A > 50).map({True: "Q", False: "R"})
    assert found({"code": code, "b": B}, A > 50, "binary") == [
        "code has a value of its own for each y"
    ]


def test_what_is_filled_only_for_one_class() -> None:
    yes = (A > 50).astype(float)
    reason = pd.Series(B).where(yes == 1)
    (said,) = found({"reason": reason, "b": B}, yes, "binary")
    assert said.startswith("reason is filled only where y is 1 (in 100.0% of ")


def test_what_may_be_filled_for_one_class_by_chance_is_none() -> None:
    """Four of five are yes, so the chance that all of twenty are is one in a hundred."""
    yes = pd.Series([1.0] * 80 + [0.0] * 20)
    note = pd.Series(B[:100]).where(yes.index < 20)
    assert found({"note": note}, yes, "binary") == []
    more = pd.concat([yes] * 5, ignore_index=True)
    (said,) = found({"note": pd.concat([note] * 5, ignore_index=True)}, more, "binary")
    assert said.startswith("note is filled only where y is 1 (in 100.0% of 100 rows")


def test_one_that_tells_nearly_everything_by_itself() -> None:
    near = A + CHANCE.normal(0, 0.5, ROWS)
    (said,) = found({"near": near, "b": B}, A)
    assert said.startswith("near alone explains 99.")
    (said,) = found({"near": near, "b": B}, (A > 50).astype(float), "binary")
    assert said.startswith("near alone tells y in ")


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_honest_columns_and_names_are_none(kind: LabelKind) -> None:
    label = A + CHANCE.normal(0, 20, ROWS)
    label = (label > 50).astype(float) if kind == "binary" else label
    names = pd.Series([f"row {n}" for n in range(ROWS)])
    assert found({"a": A, "b": B, "names": names}, label, kind) == []


def test_rows_without_a_label_do_not_count() -> None:
    label = pd.Series(A + B).where(C > 10)
    assert found({"a": A, "b": B}, label) == ["a + b is y in every row"]
    assert found({"a": A[:30], "b": B[:30]}, (A + B)[:30]) == []
