"""How much a model predicts, and how long it takes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from jobs.learning.holdout import Scored
from jobs.learning.scoring import microseconds
from jobs.learning.targets.binary import Binary
from jobs.learning.targets.multiclass import Multiclass
from jobs.learning.targets.regression import Regression
from tests.unit.learning.test_model_files import MODEL


def test_yes_is_counted_from_the_threshold_on():
    found = Binary().volumes(Scored(np.array([0.1, 0.3, 0.5]), 0.3))
    assert found == {
        "number of rows said to be yes": 2.0,
        "sum of scores": pytest.approx(0.9),
    }


def test_every_class_is_counted_also_one_that_is_never_said():
    scores = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1]])
    assert Multiclass(("a", "b", "c")).volumes(Scored(scores)) == {
        "number of rows said to be a": 2.0,
        "number of rows said to be b": 1.0,
        "number of rows said to be c": 0.0,
    }


def test_where_errors_cost_something_the_cheapest_class_is_counted():
    costly = Multiclass(("a", "b"), ((0.0, 20.0), (1.0, 0.0)))
    assert costly.volumes(Scored(np.array([[0.1, 0.9], [0.01, 0.99]]))) == {
        "number of rows said to be a": 1.0,
        "number of rows said to be b": 1.0,
    }


def test_numbers_are_added_up_without_their_signs():
    found = Regression().volumes(Scored(np.array([-2.0, 2.0, 1.0])))
    assert found == {"sum of predictions without their signs": 5.0}


def test_scoring_a_row_takes_the_quickest_of_some_times(monkeypatch):
    clock = iter([0.0, 0.004, 1.0, 1.002, 2.0, 2.009, 3.0, 3.005, 4.0, 4.006])
    monkeypatch.setattr("jobs.learning.scoring.time.perf_counter", lambda: next(clock))
    batch = pa.RecordBatch.from_pydict({"weight": np.zeros(1000)})
    assert microseconds(MODEL, batch) == pytest.approx(2.0)
