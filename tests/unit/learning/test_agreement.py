"""Agreement between people: published examples, and what is counted of it in rows."""

from __future__ import annotations

from collections import Counter

import pytest
from pyspark.sql import SparkSession

from jobs.lake.local_rows import local_rows
from jobs.learning.agreement import Agreement, cohen, krippendorff, said_of

# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), C: four observers, twelve units.
OBSERVERS = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
UNITS = [
    tuple(each for each in unit if each != ".")
    for unit in zip(*(observer.split() for observer in OBSERVERS), strict=True)
]
SEVERAL = Counter(unit for unit in UNITS if len(unit) > 1)
# The same paper, A: two observers, ten units of yes and no.
FIRST, SECOND = "0100000000", "1110010100"


def test_alpha_is_that_of_published_examples():
    assert krippendorff(SEVERAL) == pytest.approx(0.743, abs=0.0005)
    assert krippendorff(Counter(zip(FIRST, SECOND, strict=True))) == pytest.approx(
        0.095, abs=0.0005
    )


def test_kappa_by_hand():
    # They agree in 35 of 50, and by chance in 0.5 * 0.6 + 0.5 * 0.4 = half of them.
    said = {("yes", "yes"): 20, ("yes", "no"): 5, ("no", "yes"): 10, ("no", "no"): 15}
    assert cohen(said) == pytest.approx(0.4)
    found = Agreement.of_two(said)
    assert found is not None
    assert (found.rows, found.same) == (50, pytest.approx(0.7))
    assert found.sentence == (
        "50 rows were labelled by two or more, who agree in 70.0% (Cohen's kappa 0.40)"
    )


def test_the_share_that_agrees_is_of_pairs_of_a_row():
    found = Agreement.of_several({("a", "a", "b"): 1, ("a", "a"): 3})
    assert found is not None
    assert found.same == pytest.approx((1 / 3 + 3) / 4)


def test_of_one_class_chance_says_nothing():
    for of in (Agreement.of_two, Agreement.of_several):
        found = of({("a", "a"): 7})
        assert found is not None
        assert (found.same, found.value) == (1, None)
        assert found.sentence.endswith("agree in 100.0% (all are of one class)")
        assert of({}) is None


def test_rows_are_counted_by_what_they_were_labelled(spark: SparkSession):
    rows = [("a", "b", None), ("b", "a", None), (None, "a", "b"), ("a", None, None), ("a",) * 3]
    frame = local_rows(spark, rows, "ann string, bob string, cid string")
    assert said_of(frame, ("ann", "bob", "cid")) == {("a", "b"): 3, ("a", "a", "a"): 1}
    # Who said what matters where there are but two.
    assert said_of(frame, ("ann", "bob")) == {("a", "b"): 1, ("b", "a"): 1, ("a", "a"): 1}
    numbers = local_rows(spark, [(1, 2), (1, 1)], "ann long, bob long")
    assert said_of(numbers, ("ann", "bob")) == {("1", "2"): 1, ("1", "1"): 1}


def test_counted_rows_give_what_the_units_do(spark: SparkSession):
    values = [[None if each == "." else each for each in row.split()] for row in OBSERVERS]
    rows = list(zip(*values, strict=True))
    frame = local_rows(spark, rows, "a string, b string, c string, d string")
    found = Agreement.of_several(said_of(frame, ("a", "b", "c", "d")))
    assert found is not None
    assert (found.rows, found.value) == (11, pytest.approx(0.743, abs=0.0005))
