"""A recipe's matrix made ready for a linear model."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array, issparse

from jobs.learning.candidates.scaling import Scaling, fit_scaling
from jobs.learning.recipe.recipe import Recipe, beside
from tests.unit.learning import parcels

RECIPE = Recipe((("hour", "number"), ("rain", "number")), "UTC", ())


def test_scaling_tells_missing_values_apart() -> None:
    data = parcels.rows(days=2, per_day=200)
    matrix = RECIPE.matrix(parcels.batch(data))
    scaling = fit_scaling(matrix, RECIPE)
    assert scaling.missing == (1,)
    assert scaling.columns(RECIPE) == ("hour", "rain", "rain is missing")
    found = scaling.apply(matrix)
    assert np.allclose(found[:, :2].mean(axis=0), 0, atol=1e-6)
    hours = data["hour"].to_numpy()
    assert np.allclose(found[:, 0], (hours - hours.mean()) / hours.std(), atol=1e-6)
    absent = data["rain"].isna().to_numpy()
    assert np.array_equal(found[:, 2] == 1, absent)
    assert (found[absent, 1] == 0).all()


def test_a_sparse_matrix_stays_sparse_and_is_the_same() -> None:
    numbers = RECIPE.matrix(parcels.batch(parcels.rows(days=1, per_day=50)))
    block = np.eye(50, 4, dtype=np.float32)
    dense, sparse = np.hstack([numbers, block]), beside(numbers, csr_array(block))
    scaling = fit_scaling(dense, RECIPE)
    assert fit_scaling(sparse, RECIPE) == scaling
    found = scaling.apply(sparse)
    assert issparse(found)
    np.testing.assert_array_equal(found.toarray(), scaling.apply(dense))


def test_an_infinite_value_does_not_spoil_the_mean() -> None:
    data = parcels.rows(days=1, per_day=50)
    data.loc[0, "rain"] = np.inf
    scaling = fit_scaling(RECIPE.matrix(pa.Table.from_pandas(data)), RECIPE)
    assert np.isfinite(scaling.means).all()
    assert np.isfinite(scaling.scales).all()


def test_it_survives_json() -> None:
    scaling = Scaling((0.1, 0.2), (1.0, 2.0), (1,))
    assert Scaling.from_json(json.loads(json.dumps(scaling.to_json()))) == scaling
