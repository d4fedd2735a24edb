"""Fitting a recipe on the training part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import Window
from pyspark.sql import functions as F

from jobs.learning.recipe.recipe import Fitted, Recipe
from jobs.learning.recipe.rows import Sample, read
from jobs.learning.recipe.work import WORK
from jobs.transforms.categories import OneHot
from jobs.usecase import Features

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# The column of training rows by whose remainder a row belongs to a fold of a cross-fitting; null
# for rows that are not learned from.
FOLD = "_fold"


def fold_of(key: tuple[str, ...]) -> Column:
    """`FOLD` of an entity, by its key: the same on every machine, and at every time.

    Hashed with a word of its own, because a sample is chosen by the hash of the key alone: every
    second row would lie in one of two folds.
    """
    return F.pmod(F.xxhash64(F.lit("fold"), *key), F.lit(2**31))


def fit(train: DataFrame, sampled: pa.Table, spec: Features, timezone: str) -> Recipe:
    """A recipe that has learned from the training part.

    Args:
        train: all of its rows, of which only the most frequent categories are counted.
        sampled: rows of it in memory, with `label` and `FOLD`, for all else.
        timezone: the use case's.
    """
    return learn(sampled, spec, timezone, _ranked(train, spec))


def learn(
    sampled: pa.Table, spec: Features, timezone: str, ranked: Mapping[str, tuple[str, ...]]
) -> Recipe:
    """A recipe that has learned from rows in memory, step after step.

    Args:
        ranked: the most frequent values of categories, where they are known of more rows.
    """
    rows = read(sampled, spec.kinds, timezone, sampled[FOLD])
    labels = sampled["label"].to_numpy()
    steps: list[Fitted] = []
    for step in spec.steps:
        sample = Sample(rows, labels, ranked)
        found = Fitted(step, {name: WORK[type(step)].learn(step, name, sample) for name in step.of})
        # What was counted of a column is not true of another in its place.
        after = found.apply(rows)
        same = [n for n, c in after.columns.items() if c is rows.columns.get(n)]
        ranked = {name: values for name, values in ranked.items() if name in same}
        rows, steps = after, [*steps, found]
    return Recipe(tuple(spec.kinds.items()), timezone, tuple(steps))


def _ranked(train: DataFrame, spec: Features) -> dict[str, tuple[str, ...]]:
    """The most frequent values of the features that get 0/1 columns (ties: the first by name)."""
    one_hots = [step for step in spec.steps if isinstance(step, OneHot)]
    names = [name for name in spec.categorical if any(name in step.of for step in one_hots)]
    if not names:
        return {}
    pairs = [
        F.struct(F.lit(name).alias("name"), F.col(name).cast("string").alias("value"))
        for name in names
    ]
    counts = (
        train.select(F.explode(F.array(*pairs)).alias("pair"))
        .groupBy("pair.name", "pair.value")
        .count()
        .where(F.col("value").isNotNull())
    )
    order = Window.partitionBy("name").orderBy(F.desc("count"), "value")
    ranked = counts.withColumn("rank", F.row_number().over(order))
    most = max(step.most for step in one_hots)
    kept: dict[str, list[str]] = {name: [] for name in names}
    for row in ranked.where(F.col("rank") <= most).orderBy("rank").collect():
        kept[row["name"]].append(row["value"])
    return {name: tuple(values) for name, values in kept.items()}
