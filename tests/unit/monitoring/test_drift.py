"""Drift of data whose rows of a day are alike, as most features' are."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from scipy import stats

from jobs.learning.bins import bins_of
from jobs.learning.reference import numbers
from jobs.learning.weeks import FEWEST_ROWS, WEEK, Usual, usual
from jobs.monitoring.drift import Drift, compare, compare_entities
from jobs.usecase import Monitor

Days = NDArray[np.float64]

RULES = Monitor()
ROWS_A_DAY = 60
GAP = 56


def weather(rng: np.random.Generator, days: int) -> Days:
    """The same number in all rows of a day, and much of it still there on the next day."""
    drawn, value = rng.normal(size=days), 0.0
    found = []
    for each in drawn:
        value = 0.7 * value + 0.71 * float(each)
        found.append(value)
    return np.repeat(np.array(found)[:, None], ROWS_A_DAY, axis=1)


def rate(rng: np.random.Generator, days: int) -> Days:
    """A number that each row has for itself, but more of it on some days."""
    return weather(rng, days) / 4 + rng.normal(size=(days, ROWS_A_DAY))


def hour(rng: np.random.Generator, days: int) -> Days:
    """Rows that know nothing of each other."""
    return rng.normal(size=(days, ROWS_A_DAY))


KINDS = (weather, rate, hour)


def learned(train: dict[str, Days]) -> dict[str, Any]:
    """A model's reference of features of some days."""
    found = {"numeric": {n: numbers(days.ravel()) for n, days in train.items()}, "categorical": {}}
    weeks = usual({name: counts(found, name, days) for name, days in train.items()})
    return {**found, "usual": {name: asdict(one) for name, one in weeks.items()}}


def counts(reference: dict[str, Any], name: str, days: Days) -> Days:
    day = np.repeat(np.arange(len(days)), days.shape[1])
    found = bins_of(reference)[name].by_day(pa.array(days.ravel()), day, len(days))
    return found.astype(np.float64)


def compared(reference: dict[str, Any], now: dict[str, Days]) -> dict[str, Drift]:
    counted = {name: counts(reference, name, days) for name, days in now.items()}
    return {one.feature: one for one in compare(reference, counted, RULES)}


def drawn(seed: int, days: int, each: int) -> dict[str, Days]:
    rng = np.random.default_rng(seed)
    return {f"{kind.__name__}_{n}": kind(rng, days) for kind in KINDS for n in range(each)}


def cut(data: dict[str, Days], first: int, last: int) -> dict[str, Days]:
    return {name: days[first:last] for name, days in data.items()}


@pytest.mark.parametrize("days", [40, 180])
def test_false_alarms_stay_below_the_chosen_rate(days: int) -> None:
    alarms, over, significant = 0, [], 0
    for seed in range(60):
        data = drawn(seed, days + GAP + WEEK, 8)
        found = compared(learned(cut(data, 0, days)), cut(data, days + GAP, days + GAP + WEEK))
        over += [one.psi >= RULES.psi for one in found.values() if "weather" in one.feature]
        alarms += any(one.drifted for one in found.values())
        significant += any(one.q_value < RULES.false_discovery for one in found.values())
    # What a fixed threshold would have said of a feature that is constant within a day.
    assert np.mean(over) > 0.9
    # At 5 % sixty nights give 3 on average, and more than 9 once in a thousand times.
    assert significant <= 9
    assert alarms <= 9


def test_real_shifts_are_found_among_others() -> None:
    others = 0
    for seed in range(10):
        data = drawn(seed, 180 + GAP + WEEK, 8)
        reference = learned(cut(data, 0, 180))
        now = cut(data, 180 + GAP, 180 + GAP + WEEK)
        now["hour_0"] = now["hour_0"] + 0.8
        now["rate_0"] = now["rate_0"] * 10
        now["weather_0"] = np.full_like(now["weather_0"], np.nan)
        found = compared(reference, now)
        drifted = {name for name, one in found.items() if one.drifted}
        assert drifted >= {"hour_0", "rate_0", "weather_0"}
        others += len(drifted) - 3
    # Thirty true alarms allow 1.6 false ones on average, and more than 6 once in a thousand times.
    assert others <= 6


def test_a_short_training_still_sees_that_a_feature_is_gone() -> None:
    data = drawn(1, 40 + WEEK, 1)
    now = cut(data, 40, 40 + WEEK)
    now["hour_0"] = np.full_like(now["hour_0"], np.nan)
    found = compared(learned(cut(data, 0, 40)), now)
    assert [name for name, one in found.items() if one.drifted] == ["hour_0"]


def test_an_alarm_takes_more_than_any_week_of_the_training() -> None:
    data = drawn(3, 180, 1)
    # A single week of the training was as far off as tonight's.
    data["hour_0"][60:67] += 3
    reference = learned(data)
    assert reference["usual"]["hour_0"]["most"] > 1
    found = compared(reference, {"hour_0": data["hour_0"][60:67]})["hour_0"]
    assert found.bound == reference["usual"]["hour_0"]["most"]
    assert found.psi > RULES.psi
    assert not found.drifted


@pytest.mark.parametrize(
    ("days", "rows", "tells"),
    [(WEEK, ROWS_A_DAY, True), (WEEK - 1, ROWS_A_DAY, False), (WEEK, FEWEST_ROWS // 8, False)],
)
def test_fewer_days_or_rows_than_a_week_has_never_alarm(days: int, rows: int, tells: bool) -> None:
    data = drawn(4, 100, 1)
    now = {"hour_0": data["hour_0"][:days, :rows] + 9}
    found = compared(learned(data), now)["hour_0"]
    assert found.psi > found.bound
    assert found.drifted is tells


def test_nothing_is_known_of_a_training_of_two_weeks() -> None:
    data = drawn(5, 2 * WEEK, 1)
    reference = learned(data)
    assert reference["usual"] == {}
    found = compared(reference, {"hour_0": data["hour_0"][:WEEK] + 9})["hour_0"]
    assert (found.p_value, found.drifted) == (1.0, False)


def test_no_rows_do_not_drift() -> None:
    data = drawn(6, 60, 1)
    found = compared(learned(data), cut(data, 0, 0))
    assert not any(one.drifted for one in found.values())
    assert {one.rows for one in found.values()} == {0}


def test_a_feature_that_never_changed_drifts_when_it_does() -> None:
    train = {"always": np.ones((60, ROWS_A_DAY))}
    reference = learned(train)
    same = compared(reference, {"always": np.ones((WEEK, ROWS_A_DAY))})["always"]
    assert (same.psi, same.drifted) == (0.0, False)
    assert compared(reference, {"always": np.zeros((WEEK, ROWS_A_DAY))})["always"].drifted


def of_entities(rng: np.random.Generator, rows: int, shift: float = 0.0) -> dict[str, Days]:
    """Numbers of entities without a date, as one night sees them; the first are shifted."""
    found = {f"hour_{n}": rng.normal(size=(1, rows)) for n in range(8)}
    found["hour_0"] += shift
    return found


def told(train: dict[str, Days], now: dict[str, Days]) -> dict[str, Drift]:
    found = {"numeric": {n: numbers(each.ravel()) for n, each in train.items()}, "categorical": {}}
    counted = {name: counts(found, name, each) for name, each in now.items()}
    return {one.feature: one for one in compare_entities(found, counted, RULES)}


@pytest.mark.parametrize("rows", [FEWEST_ROWS, 2000])
def test_entities_without_a_date_drift_against_the_training_s(rows: int) -> None:
    significant = alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = told(of_entities(rng, 2000), of_entities(rng, rows)).values()
        significant += any(one.q_value < RULES.false_discovery for one in found)
        alarms += any(one.drifted for one in found)
        # A difference that does not matter is none, however sure one may be of it.
        assert not told(of_entities(rng, 2000), of_entities(rng, 50_000, 0.2))["hour_0"].drifted
        shifted = told(of_entities(rng, 2000), of_entities(rng, rows, 0.8))
        assert [name for name, one in shifted.items() if one.drifted][:1] == ["hour_0"]
    # As for weeks: 3 on average, and more than 9 once in a thousand times.
    assert significant <= 9
    assert alarms <= significant


def test_too_few_entities_never_alarm() -> None:
    rng = np.random.default_rng(1)
    few, many = FEWEST_ROWS - 1, FEWEST_ROWS
    assert told(of_entities(rng, many), of_entities(rng, many, 9.0))["hour_0"].drifted
    assert not told(of_entities(rng, few), of_entities(rng, many, 9.0))["hour_0"].drifted
    found = told(of_entities(rng, many), of_entities(rng, few, 9.0))["hour_0"]
    assert (found.drifted, found.p_value, found.rows) == (False, 1.0, few)
    steady = {"always": np.ones((1, many))}
    assert not told(steady, steady)["always"].drifted


def test_what_is_usual_by_hand() -> None:
    rng = np.random.default_rng(7)
    rows = rng.integers(1, 90, (30, 4)).astype(float)
    found = Usual.of(rows)
    assert found is not None
    logs = []
    for first in range(24):
        week = rows[first : first + 7].sum(axis=0)
        rest = rows.sum(axis=0) - week
        a, e = week / week.sum(), rest / rest.sum()
        logs.append(np.log(np.maximum(1e-4, ((a - e) * np.log(a / e)).sum())))
    assert found.mean == pytest.approx(np.mean(logs), abs=2e-3)
    assert found.spread == pytest.approx(np.std(logs, ddof=1), rel=1e-2)
    assert found.most == pytest.approx(np.exp(max(logs)), rel=1e-2)
    assert (found.weeks, found.days) == (24 / 7, 7)


def test_the_p_value_is_that_of_one_more_of_a_normal_sample() -> None:
    """Drawn, not looked up: a t-test of one observation against a sample of eight."""
    rng = np.random.default_rng(8)
    sample, other = rng.normal(size=(20_000, 8)), rng.normal(size=20_000)
    p_values = [
        Usual(float(s.mean()), float(s.std(ddof=1)), 1.0, 8, 7).test(float(np.exp(o)))[1]
        for s, o in zip(sample - 4, other - 4, strict=True)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_the_correction_is_benjamini_and_hochbergs() -> None:
    data = drawn(9, 100, 2)
    now = {name: days[:WEEK] + n / 4 for n, (name, days) in enumerate(data.items())}
    found = compared(learned(data), now).values()
    p = sorted(one.p_value for one in found)
    by_hand = [min(p[j] * len(p) / (j + 1) for j in range(i, len(p))) for i in range(len(p))]
    assert sorted(one.q_value for one in found) == pytest.approx(by_hand)
