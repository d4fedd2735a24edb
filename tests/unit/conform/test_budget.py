"""How much quarantine may take of a day."""

from __future__ import annotations

import datetime as dt

import pytest

from jobs.conform.budget import Judged, over_budget
from jobs.lake.deliveries import Delivered
from jobs.usecase import Bound, Budget

DAY = dt.date(2024, 1, 2)
T0 = 1_704_263_400_000_000
BAD = Judged(Delivered(DAY, "a.csv", T0, 10), 3, (("range", "x", 2), ("malformed", "", 1)))


def over(budget: Budget, *files: Judged) -> dict[dt.date, str]:
    found = over_budget("visits", "sales", budget, files)
    return {date: refused.sentence for date, refused in found.items()}


def test_a_day_within_its_budget_passes() -> None:
    assert over(Budget(share=0.3), BAD) == {}


def test_each_day_over_its_budget_is_refused_by_name() -> None:
    other = Judged(Delivered(dt.date(2024, 1, 1), "b.csv", T0, 1000))
    assert over(Budget(share=0.25), other, BAD) == {
        DAY: "Quarantine would take 3 of 10 rows (30.0%) of visits's sales of 2024-01-02, more "
        "than its budget of 25.0%; most frequent: range of x (2 rows), malformed (1 rows)."
    }
    remedy = over_budget("visits", "sales", Budget(share=0.25), [BAD])[DAY].remedy
    assert "daybreak quarantine list visits --day 2024-01-02" in remedy


@pytest.mark.parametrize(
    ("budget", "why"),
    [
        (Budget(share=1, rows=2), "more than its budget of 2 rows"),
        (
            Budget(share=1, rules={"range": Bound(share=0.1)}),
            "and 2 by rule range, more than its budget of 10.0%",
        ),
        (
            Budget(share=1, rules={"malformed": Bound(rows=0)}),
            "and 1 by rule malformed, more than its budget of 0 rows",
        ),
    ],
)
def test_a_bound_may_be_a_number_of_rows_and_of_one_rule(budget: Budget, why: str) -> None:
    assert why in over(budget, BAD)[DAY]


def test_bounds_that_are_kept_do_not_stop_a_day() -> None:
    rules = {"range": Bound(share=0.2, rows=2), "pattern": Bound(rows=0)}
    assert over(Budget(share=0.3, rows=3, rules=rules), BAD) == {}


def test_most_of_a_column_of_the_wrong_type_is_asked_about() -> None:
    retyped = Judged(Delivered(DAY, "a.csv", T0, 10), 9, (("type", "x", 9),))
    assert "type of x (9 rows; was it retyped?)" in over(Budget(), retyped)[DAY]


def test_a_corrected_file_heals_the_day() -> None:
    mended = Judged(Delivered(DAY, "a.csv", T0 + 1, 10))
    assert over(Budget(share=0), mended, BAD) == {}
