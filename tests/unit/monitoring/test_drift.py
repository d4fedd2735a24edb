from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.lake.local_rows import local_rows
from jobs.learning import reference
from jobs.monitoring.drift import bins_of, chi_square, compare, count, psi
from jobs.usecase import Features, Monitor

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SPEC = Features(history=1, numeric=("hours", "seats"), categorical=("carrier",), max_categories=2)
RULES = Monitor()
COUNTS = st.lists(st.integers(0, 500), min_size=2, max_size=12)


def _rows(seed: int, size: int, shift: float = 0.0) -> pa.Table:
    rng = np.random.default_rng(seed)
    hours = rng.normal(12 + shift, 4, size)
    hours[::20] = np.nan
    carriers = rng.choice(["AA", "UA", "DL", "B6"], size, p=[0.4, 0.3, 0.2, 0.1])
    return pa.table(
        {
            "hours": pa.array(hours),
            "seats": pa.array(rng.integers(1, 4, size).astype(float)),
            "carrier": pa.array([None if n % 50 == 0 else c for n, c in enumerate(carriers)]),
        }
    )


def _counted(rows: pa.Table, seen: dict[str, object]) -> dict[str, np.ndarray]:
    bins = bins_of(seen)
    return {
        name: np.bincount(one.place(rows[name].combine_chunks()), minlength=len(one.rows)).astype(
            float
        )
        for name, one in bins.items()
    }


def test_a_reference_is_its_own_counts() -> None:
    rows = _rows(1, 2000)
    seen = reference.describe(rows, SPEC)
    for name, counts in _counted(rows, seen).items():
        assert counts == pytest.approx(np.array(bins_of(seen)[name].rows)), name


def test_spark_counts_the_same_bins(spark: SparkSession) -> None:
    seen = reference.describe(_rows(1, 2000), SPEC)
    rows = _rows(2, 300, shift=5)
    # In another order of columns and types as gold has them.
    frame = spark.createDataFrame(rows.select(["carrier", "seats", "hours"]))
    found = count(frame, bins_of(seen))
    wanted = _counted(rows, seen)
    assert set(found) == set(wanted)
    for name, counts in wanted.items():
        assert found[name].tolist() == counts.tolist(), name


def test_no_rows_are_counted_as_none(spark: SparkSession) -> None:
    bins = bins_of(reference.describe(_rows(1, 500), SPEC))
    empty = local_rows(spark, [], "hours double, seats double, carrier string")
    counted = count(empty, bins)
    assert {name: counts.sum() for name, counts in counted.items()} == dict.fromkeys(counted, 0)
    assert not any(one.drifted for one in compare(bins, counted, RULES))


def test_values_never_seen_infinity_and_nulls_have_their_bins() -> None:
    bins = bins_of(reference.describe(_rows(1, 2000), SPEC))
    places = bins["carrier"].place(pa.array(["AA", "UA", "ZZ", None]))
    assert places.tolist() == [*(bins["carrier"].values.index(one) for one in ("AA", "UA")), 2, 3]
    missing = len(bins["hours"].rows) - 1
    numbers = pa.array([float("inf"), float("nan"), None, -1e9])
    assert bins["hours"].place(numbers).tolist() == [missing, missing, missing, 0]


def test_the_same_distribution_does_not_drift_and_a_shifted_one_does() -> None:
    seen = reference.describe(_rows(1, 20_000), SPEC)
    bins = bins_of(seen)
    clean = compare(bins, _counted(_rows(2, 3000), seen), RULES)
    assert [one.drifted for one in clean] == [False, False, False]
    assert max(one.psi for one in clean) < 0.02
    shifted = {one.feature: one for one in compare(bins, _counted(_rows(3, 3000, 3), seen), RULES)}
    assert shifted["hours"].drifted
    assert shifted["hours"].psi > RULES.psi
    assert shifted["hours"].cramers_v > shifted["seats"].cramers_v
    assert not shifted["seats"].drifted
    assert not shifted["carrier"].drifted


def test_a_feature_that_went_missing_drifts() -> None:
    seen = reference.describe(_rows(1, 5000), SPEC)
    rows = _rows(2, 1000)
    gone = rows.set_column(0, "hours", pa.nulls(1000, pa.float64()))
    drifted = [
        one.feature for one in compare(bins_of(seen), _counted(gone, seen), RULES) if one.drifted
    ]
    assert drifted == ["hours"]


def test_few_rows_never_alarm() -> None:
    seen = reference.describe(_rows(1, 5000), SPEC)
    few = compare(bins_of(seen), _counted(_rows(2, 150, shift=9), seen), RULES)
    assert few[0].psi > RULES.psi
    assert not few[0].drifted


def test_false_alarms_stay_below_the_chosen_rate() -> None:
    seen = reference.describe(_rows(1, 20_000), SPEC)
    bins = bins_of(seen)
    nights = [compare(bins, _counted(_rows(seed, 400), seen), RULES) for seed in range(10, 110)]
    significant = sum(any(one.q_value < RULES.false_discovery for one in night) for night in nights)
    # At 5 % a hundred nights give 5 on average, and more than 12 once in a thousand times.
    assert significant <= 12


@given(COUNTS, COUNTS)
def test_the_index_and_the_test_follow_their_definitions(
    first: list[int], second: list[int]
) -> None:
    size = min(len(first), len(second))
    one, two = np.array(first[:size], float), np.array(second[:size], float)
    e = [(n + 0.5) / (sum(one) + 0.5 * size) for n in one]
    a = [(n + 0.5) / (sum(two) + 0.5 * size) for n in two]
    by_hand = sum((x - y) * math.log(x / y) for x, y in zip(a, e, strict=True))
    assert psi(one, two) == pytest.approx(by_hand, abs=1e-12)
    statistic, effect, p_value = chi_square(one, two)
    assert statistic == pytest.approx(_chi_square_by_hand(one, two), rel=1e-9, abs=1e-9)
    assert 0 <= effect <= 1 + 1e-12
    assert 0 <= p_value <= 1


def _chi_square_by_hand(one: np.ndarray, two: np.ndarray) -> float:
    total, found = one.sum() + two.sum(), 0.0
    if not one.sum() or not two.sum():
        return 0.0
    for row in (one, two):
        for n, both in zip(row, one + two, strict=True):
            if both:
                expected = row.sum() * both / total
                found += (n - expected) ** 2 / expected
    return found


def test_a_p_value_of_a_two_by_two_table() -> None:
    # One degree of freedom: the p-value is erfc(sqrt(x / 2)).
    statistic, effect, p_value = chi_square(np.array([30.0, 70.0]), np.array([50.0, 50.0]))
    assert statistic == pytest.approx(25 / 3)
    assert effect == pytest.approx(math.sqrt(25 / 3 / 200))
    assert p_value == pytest.approx(math.erfc(math.sqrt(25 / 6)))


def test_the_correction_is_benjamini_and_hochbergs() -> None:
    bins = {name: bins_of(reference.describe(_rows(1, 5000), SPEC))["seats"] for name in "abcd"}
    base = np.array(bins["a"].rows)
    tilt = np.zeros(len(base))
    tilt[0], tilt[1] = 1, -1
    counted = {name: base / 5 + tilt * k for name, k in zip("abcd", (0, 12, 25, 60), strict=True)}
    found = compare(bins, counted, RULES)
    p = sorted(one.p_value for one in found)
    by_hand = [min(p[j] * len(p) / (j + 1) for j in range(i, len(p))) for i in range(len(p))]
    assert sorted(one.q_value for one in found) == pytest.approx(by_hand)
