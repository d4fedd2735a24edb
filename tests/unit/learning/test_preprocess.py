from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from jobs.errors import Refused
from jobs.learning.preprocess import Encoding, Scaling, fit_encoding, fit_scaling
from jobs.usecase import Features
from tests.unit.learning import parcels

SPEC = Features(history=0, numeric=("hour", "rain"), categorical=("depot",), max_categories=2)
ENCODING = Encoding(("hour", "rain"), (("depot", ("north", "south")),))


def test_only_frequent_categories_get_a_column(spark):
    data = parcels.rows(days=2, per_day=200)
    data.loc[:40, "depot"] = None
    found = fit_encoding(parcels.frame(spark, data), SPEC)
    most = data["depot"].value_counts().index[:2]
    assert found.categories == (("depot", tuple(most)),)
    assert found.columns == ("hour", "rain", f"depot={most[0]}", f"depot={most[1]}")


def test_matrix_of_odd_values():
    rows = pd.DataFrame(
        {
            "depot": ["south", None, "never seen", "north"],
            "rain": [np.inf, None, -np.inf, 1e300],
            "hour": [1.0, np.nan, 3.0, 4.0],
        }
    )
    found = ENCODING.matrix(parcels.batch(rows))
    assert found.dtype == np.float32
    nan = np.nan
    expected = [[1, nan, 0, 1], [nan, nan, 0, 0], [3, nan, 0, 0], [4, nan, 1, 0]]
    np.testing.assert_array_equal(found, np.array(expected, dtype=np.float32))


def test_the_same_in_spark_and_out(spark):
    data = parcels.rows(days=2, per_day=100)
    encoding = fit_encoding(parcels.frame(spark, data), SPEC)

    def encode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = pa.array(list(encoding.matrix(batch)), pa.list_(pa.float32()))
            columns = [batch.column("parcel"), rows]
            yield pa.RecordBatch.from_arrays(columns, ["parcel", "x"])

    there = parcels.frame(spark, data).mapInArrow(encode, "parcel long, x array<float>")
    table = there.orderBy("parcel").toArrow()
    found = np.array(table["x"].to_pylist(), dtype=np.float32)
    np.testing.assert_array_equal(found, encoding.matrix(parcels.batch(data)))


def test_scaling_tells_missing_values_apart():
    data = parcels.rows(days=2, per_day=200)
    matrix = ENCODING.matrix(parcels.batch(data))
    scaling = fit_scaling(matrix, ENCODING)
    assert scaling.missing == (1,)
    found = scaling.apply(matrix)
    assert found.shape == (400, 5)
    assert np.allclose(found[:, :2].mean(axis=0), 0, atol=1e-6)
    hours = data["hour"].to_numpy()
    assert np.allclose(found[:, 0], (hours - hours.mean()) / hours.std(), atol=1e-6)
    absent = data["rain"].isna().to_numpy()
    assert np.array_equal(found[:, 4] == 1, absent)
    assert (found[absent, 1] == 0).all()


def test_an_infinite_value_does_not_spoil_the_mean():
    data = parcels.rows(days=1, per_day=50)
    data.loc[0, "rain"] = np.inf
    scaling = fit_scaling(ENCODING.matrix(parcels.batch(data)), ENCODING)
    assert np.isfinite(scaling.means).all()
    assert np.isfinite(scaling.scales).all()


def test_a_missing_feature_is_refused_by_name():
    rows = parcels.batch(parcels.rows(1, 5).drop(columns="rain"))
    with pytest.raises(Refused, match=r"1 of the model's 3 features .* rain"):
        ENCODING.matrix(rows)


def test_no_rows_give_no_rows():
    assert ENCODING.matrix(parcels.batch(parcels.rows(1, 5).head(0))).shape == (0, 4)


def test_both_survive_json():
    scaling = Scaling((0.1, 0.2), (1.0, 2.0), (1,))
    for thing in (ENCODING, scaling):
        assert type(thing).from_json(json.loads(json.dumps(thing.to_json()))) == thing
