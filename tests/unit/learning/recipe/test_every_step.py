"""What holds of every step, whatever it does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from jobs.learning import reference
from jobs.learning.recipe.fit import FOLD, fit, fold_of, learn
from jobs.learning.recipe.recipe import Recipe
from jobs.learning.recipe.work import WORK
from tests.unit.learning.recipe import rows

EXAMPLE = pytest.mark.parametrize(
    "example", rows.EXAMPLES, ids=lambda steps: " ".join(step["do"] for step in steps)
)
FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def again(recipe: Recipe) -> Recipe:
    """What a model's files give."""
    return Recipe.from_json(json.loads(json.dumps(recipe.to_json())), recipe.files())


def test_every_step_has_an_example_and_its_work() -> None:
    there = {type(step) for example in rows.EXAMPLES for step in rows.features(*example).transforms}
    assert there == rows.step_types() == set(WORK)


@EXAMPLE
@FEW
@given(train=rows.TABLES, other=rows.TABLES, data=st.data())
def test_batches_and_files_give_the_same_rows(
    example: list[dict[str, Any]], train: pa.Table, other: pa.Table, data: st.DataObject
) -> None:
    recipe = learn(train, rows.features(*example), rows.ZONE, {})
    restored = again(recipe)
    assert restored.columns == recipe.columns
    assert restored.files() == recipe.files()
    # As learned from, and as scored.
    for table, fold in ((train, train[FOLD]), (other, None)):
        whole = rows.rows_of(recipe.matrix(table, fold))
        assert rows.rows_of(restored.matrix(table, fold)) == whole
        cuts = data.draw(st.lists(st.integers(0, table.num_rows), max_size=3))
        ends = sorted({0, *cuts, table.num_rows})
        parts = []
        for start, end in pairwise(ends):
            part = table.slice(start, end - start)
            some = None if fold is None else fold.slice(start, end - start)
            parts += rows.rows_of(recipe.matrix(part.to_batches()[0], some))
        assert parts == whole


@EXAMPLE
@FEW
@given(train=rows.TABLES, other=rows.TABLES)
def test_a_matrix_has_its_columns_and_nothing_infinite(
    example: list[dict[str, Any]], train: pa.Table, other: pa.Table
) -> None:
    recipe = learn(train, rows.features(*example), rows.ZONE, {})
    for table in (train, other, other.slice(0, 0)):
        matrix = rows.dense(recipe.matrix(table))
        assert matrix.shape == (table.num_rows, len(recipe.columns))
        assert matrix.dtype == np.float32
        assert not np.isinf(matrix).any()
    assert len(set(recipe.columns)) == len(recipe.columns)


@EXAMPLE
def test_no_value_at_all_can_be_learned_from(example: list[dict[str, Any]]) -> None:
    nothing = rows.table([(*[None] * 7, float(n % 2), n) for n in range(6)])
    recipe = again(learn(nothing, rows.features(*example), rows.ZONE, {}))
    matrix = rows.dense(recipe.matrix(rows.some(20)))
    assert matrix.shape == (20, len(recipe.columns))


def test_in_spark_as_in_process(spark: SparkSession) -> None:
    table = rows.some(300).append_column("place", pa.array(range(300)))
    recipes = [
        learn(table.slice(0, 200), rows.features(*example), rows.ZONE, {})
        for example in rows.EXAMPLES
    ]

    def apply(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            found = [rows.rows_of(recipe.matrix(batch, batch.column(FOLD))) for recipe in recipes]
            together = pa.array([list(each) for each in zip(*found, strict=True)])
            yield pa.RecordBatch.from_arrays([batch.column("place"), together], ["place", "rows"])

    frame = spark.createDataFrame(table).repartition(3)
    found = frame.mapInArrow(apply, "place long, rows array<binary>").orderBy("place").toArrow()
    there = list(zip(*found["rows"].to_pylist(), strict=True))
    for recipe, example, each in zip(recipes, rows.EXAMPLES, there, strict=True):
        assert list(each) == rows.rows_of(recipe.matrix(table, table[FOLD])), example


def test_rows_outside_of_training_cannot_influence_a_fit(spark: SparkSession) -> None:
    table = rows.some(300).append_column("key", pa.array(range(300)))
    poison = rows.table([(1e9, -1e9, "poison", "poison", None, None, "poison", 1.0, 1)] * 200)
    poison = poison.append_column("key", pa.array(range(300, 500)))

    def fitted(every: DataFrame) -> Iterator[tuple[Any, dict[str, bytes]]]:
        train = every.where("key < 300").drop(FOLD).withColumn(FOLD, fold_of(("key",)))
        sampled = reference.sample(train, ("key",), 300, tuple(rows.SCHEMA.names))
        for example in rows.EXAMPLES:
            recipe = fit(train, sampled, rows.features(*example), rows.ZONE)
            yield recipe.to_json(), recipe.files()

    clean, poisoned = (
        spark.createDataFrame(some) for some in (table, pa.concat_tables([poison, table]))
    )
    for example, one, two in zip(rows.EXAMPLES, fitted(clean), fitted(poisoned), strict=True):
        assert one == two, example
