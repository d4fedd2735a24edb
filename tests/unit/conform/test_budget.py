"""How much quarantine may take of a day."""

from __future__ import annotations

import datetime as dt

import pytest

from jobs.conform.budget import Delivered, check_budget
from jobs.errors import Refused

DAY = dt.date(2024, 1, 2)
T0 = 1_704_263_400_000_000
BAD = Delivered(DAY, "a.csv", T0, 10, 3, (("range of x", 2), ("malformed", 1)))


def test_a_day_within_its_budget_passes() -> None:
    check_budget("visits", "sales", 0.3, [BAD])


def test_a_day_over_its_budget_is_refused_by_name() -> None:
    other = Delivered(dt.date(2024, 1, 1), "b.csv", T0, 1000)
    with pytest.raises(Refused) as refused:
        check_budget("visits", "sales", 0.25, [other, BAD])
    assert refused.value.sentence == (
        "Quarantine would take 3 of 10 rows (30.0%) of visits's sales of 2024-01-02, more than its "
        "budget of 25.0%; most frequent: range of x (2 rows), malformed (1 rows)."
    )
    assert "daybreak quarantine list visits --date 2024-01-02" in refused.value.remedy


def test_a_corrected_file_heals_the_day() -> None:
    mended = Delivered(DAY, "a.csv", T0 + 1, 10)
    check_budget("visits", "sales", 0.0, [mended, BAD])
