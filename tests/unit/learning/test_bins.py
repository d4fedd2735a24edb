"""Rows in a reference's bins, and the index of two samples' rows."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.lake.local_rows import local_rows
from jobs.learning import reference
from jobs.learning.bins import FLOOR, bins_of, count, psi
from jobs.usecase import Features

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SPEC = Features(history=1, numeric=("hours", "seats"), categorical=("carrier",), max_categories=2)
COUNTS = st.lists(st.integers(0, 500), min_size=2, max_size=12)
MONDAY = dt.date(2024, 1, 1)


def rows(seed: int, size: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    hours = rng.normal(12, 4, size)
    hours[::20] = np.nan
    carriers = rng.choice(["AA", "UA", "DL", "B6"], size, p=[0.4, 0.3, 0.2, 0.1])
    return pa.table(
        {
            "hours": pa.array(hours),
            "seats": pa.array(rng.integers(1, 4, size).astype(float)),
            "carrier": pa.array([None if n % 50 == 0 else c for n, c in enumerate(carriers)]),
        }
    )


def described() -> dict[str, Any]:
    return reference.describe(rows(1, 2000), SPEC)


def test_a_reference_is_its_own_counts() -> None:
    sample = rows(1, 2000)
    one_day = np.zeros(2000, dtype=np.int64)
    for name, bins in bins_of(described()).items():
        counted = bins.by_day(sample[name].combine_chunks(), one_day, 1)
        assert counted[0] == pytest.approx(np.array(bins.rows)), name


def test_spark_counts_the_same_bins_by_day(spark: SparkSession) -> None:
    bins, found = bins_of(described()), rows(2, 900)
    # The second of three days has no rows.
    day = np.where(np.arange(900) % 3 == 0, 0, 2)
    dates = pa.array([MONDAY + dt.timedelta(days=int(n)) for n in day])
    # In another order of columns than the reference's.
    table = found.select(["carrier", "seats", "hours"]).append_column("prediction_date", dates)
    counted = count(spark.createDataFrame(table).repartition(3), bins)
    assert set(counted) == set(bins)
    for name, one in bins.items():
        wanted = one.by_day(found[name].combine_chunks(), day, 3)
        assert counted[name].tolist() == wanted.tolist(), name


def test_no_rows_are_counted_as_no_days(spark: SparkSession) -> None:
    bins = bins_of(described())
    empty = local_rows(spark, [], "prediction_date date, hours double, carrier string")
    counted = count(empty, bins)
    assert {name: each.shape for name, each in counted.items()} == {
        name: (0, len(bins[name].rows)) for name in ("hours", "carrier")
    }


def test_values_never_seen_infinity_and_nulls_have_their_bins() -> None:
    bins = bins_of(described())
    places = bins["carrier"].place(pa.array(["AA", "UA", "ZZ", None]))
    assert places.tolist() == [*(bins["carrier"].values.index(one) for one in ("AA", "UA")), 2, 3]
    missing = len(bins["hours"].rows) - 1
    numbers = pa.array([float("inf"), float("nan"), None, -1e9])
    assert bins["hours"].place(numbers).tolist() == [missing, missing, missing, 0]


@given(COUNTS, COUNTS)
def test_the_index_follows_its_definition(first: list[int], second: list[int]) -> None:
    size = min(len(first), len(second))
    one, two = np.array(first[:size], float), np.array(second[:size], float)
    e = [(n / (sum(one) or 1) + FLOOR) / (1 + FLOOR * size) for n in one]
    a = [(n / (sum(two) or 1) + FLOOR) / (1 + FLOOR * size) for n in two]
    by_hand = sum((x - y) * math.log(x / y) for x, y in zip(a, e, strict=True))
    assert psi(one, two) == pytest.approx(by_hand, abs=1e-12)


def test_twice_as_many_rows_of_the_same_shares_have_the_same_index() -> None:
    usual, now = np.array([10.0, 20.0, 30.0]), np.array([0.0, 50.0, 10.0])
    assert psi(usual, 2 * now) == pytest.approx(psi(usual, now), abs=1e-15)
