"""From features to the matrix: without transforms, with some, dense and sparse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from scipy.sparse import issparse

from jobs.errors import Refused
from jobs.learning.recipe.fit import FOLD, fit, fold_of, learn
from jobs.learning.recipe.recipe import Recipe
from jobs.usecase import Features
from tests.unit.learning import parcels
from tests.unit.learning.recipe import rows

SPEC = Features(history=0, numeric=("hour", "rain"), categorical=("depot",), max_categories=2)
NAN = float("nan")


def plain(data: pd.DataFrame) -> Recipe:
    """A recipe without transforms."""
    table = pa.Table.from_pandas(data, preserve_index=False)
    return learn(table.append_column(FOLD, pa.array(range(len(data)))), SPEC, "UTC", {})


def test_only_frequent_categories_get_a_column_and_all_rows_count(spark: SparkSession) -> None:
    data = parcels.rows(days=2, per_day=200)
    data.loc[:40, "depot"] = None
    train = parcels.frame(spark, data).withColumn(FOLD, fold_of(("parcel",)))
    # The sample has the rarest depot only, and is not what categories are counted of.
    rare = data["depot"].value_counts().index[-1]
    found = fit(train, train.where(F.col("depot") == rare).toArrow(), SPEC, "UTC")
    most = data["depot"].value_counts().index[:2]
    assert found.columns == ("hour", "rain", f"depot={most[0]}", f"depot={most[1]}")


def test_values_that_a_step_has_made_are_counted_anew(spark: SparkSession) -> None:
    data = parcels.rows(days=1, per_day=50).assign(depot=None)
    train = parcels.frame(spark, data).withColumn("depot", F.lit(None).cast("string"))
    train = train.withColumn(FOLD, fold_of(("parcel",)))
    transform = {"do": "impute", "of": "depot", "by": "constant", "value": "none"}
    spec = Features.model_validate({**SPEC.model_dump(), "transforms": [transform]})
    assert fit(train, train.toArrow(), spec, "UTC").columns == ("hour", "rain", "depot=none")


def test_matrix_of_odd_values() -> None:
    train = parcels.rows(days=2, per_day=50).assign(depot=["north", "north", "south", "west"] * 25)
    odd = pd.DataFrame(
        {
            "depot": ["south", None, "never seen", "north"],
            "rain": [np.inf, None, -np.inf, 1e300],
            "hour": [1.0, np.nan, 3.0, 4.0],
        }
    )
    found = plain(train).matrix(parcels.batch(odd))
    assert found.dtype == np.float32
    expected = [[1, NAN, 0, 1], [NAN, NAN, 0, 0], [3, NAN, 0, 0], [4, NAN, 1, 0]]
    np.testing.assert_array_equal(found, np.array(expected, dtype=np.float32))


def test_numbers_come_first_and_blocks_where_their_columns_were() -> None:
    transforms = [
        {"do": "one_hot", "of": "c", "most": 2, "as": "e"},
        {"do": "frequency", "of": "d"},
        {"do": "difference", "of": ["a", "b"], "as": "less"},
    ]
    table = rows.of({"a": [1, 2], "b": [3, 5], "c": ["S", "M"], "d": ["S", "S"]})
    recipe = learn(table, rows.features(*transforms), rows.ZONE, {})
    assert recipe.numbers == ("a", "b", "d", "less")
    assert recipe.columns == ("a", "b", "d", "less", "c=M", "c=S", "e=M", "e=S")
    expected = [[1, 3, 1, -2, 0, 1, 0, 1], [2, 5, 1, -3, 1, 0, 1, 0]]
    np.testing.assert_array_equal(recipe.matrix(table), expected)


def test_a_later_step_learns_from_what_an_earlier_one_gave() -> None:
    transforms = [
        {"do": "impute", "of": "a", "by": "constant", "value": 9},
        {"do": "scale", "of": "a", "by": "min_max"},
    ]
    table = rows.of({"a": [1, 5, None]})
    recipe = rows.learned(table, *transforms, numeric=["a"])
    assert recipe.matrix(table).tolist() == [[0], [0.5], [1]]


def test_a_sparse_matrix_stores_numbers_that_are_zero() -> None:
    table = rows.of({"a": [0, None, 2], "c": ["S", None, "S"]})
    transform = {"do": "hash", "of": "c", "buckets": 1000}
    recipe = rows.learned(table, transform, numeric=["a"], categorical=["c"])
    found = recipe.matrix(table)
    assert issparse(found)
    assert found.shape == (3, 1001)
    # A number of each row, and the buckets of two.
    assert found.nnz == 5
    np.testing.assert_array_equal(found[:, [0]].toarray(), [[0], [NAN], [2]])


def test_a_date_is_its_local_midnight() -> None:
    recipe = rows.learned(
        rows.of({"t": [None]}),
        {"do": "calendar", "of": "t", "parts": ["hour", "day_of_month"]},
        timestamp=["t"],
    )
    dates = pa.table({"t": pa.array(["2024-01-05", "2024-07-05", None]).cast(pa.date32())})
    np.testing.assert_array_equal(recipe.matrix(dates), [[0, 5], [0, 5], [NAN, NAN]])


def test_folds_are_even_in_a_sample_that_was_chosen_by_the_key(spark: SparkSession) -> None:
    keys = spark.range(20_000).where(F.pmod(F.xxhash64("id"), F.lit(2)) == 0)
    folds = keys.select((fold_of(("id",)) % 4).alias("fold")).groupBy("fold").count().collect()
    assert len(folds) == 4
    assert min(row["count"] for row in folds) > 2200


def test_a_missing_feature_is_refused_by_name() -> None:
    data = parcels.rows(1, 5)
    with pytest.raises(Refused, match=r"1 of the model's 3 features .* rain"):
        plain(data).matrix(parcels.batch(data.drop(columns="rain")))
