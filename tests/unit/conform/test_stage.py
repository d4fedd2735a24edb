"""What is staged, when it is stale, and what happens to a day over its budget."""

from __future__ import annotations

import datetime as dt

from pyspark.sql import SparkSession

from jobs.conform.stage import Conforming, stage
from jobs.lake.deliveries import taken
from jobs.lake.made import UNSOUND, Made
from jobs.lake.moments import micros
from jobs.lake.refused import Refusals
from jobs.lake.tables import Tables
from jobs.plan import Dates, Plan
from jobs.usecase import UseCase
from tests.unit.conform.visits import T0, arrive

FIRST, SECOND = dt.date(2024, 1, 2), dt.date(2024, 1, 3)
BOTH = Dates(FIRST, SECOND)
HOUR = dt.timedelta(hours=1)


def staged(spark: SparkSession, tables: Tables, dates: Dates, batch: str) -> Conforming:
    return stage(spark, tables, "visits", taken(spark, tables), dates, batch)


def commit(spark: SparkSession, tables: Tables, batch: str) -> None:
    tables.staged(tables.quarantine("visits"), batch).commit(spark)
    tables.staged(tables.silver("visits"), batch).commit(spark)


def spent(spark: SparkSession, tables: Tables) -> list[tuple[str, float]]:
    rows = tables.silver("visits").read(spark).where("_superseded_at is null").collect()
    return sorted((row["who"], row["spent"]) for row in rows)


def with_rule(tables: Tables, **ends: float) -> Tables:
    """The same tables, with other ends for what somebody spent."""
    written = tables.plan.usecase.model_dump(mode="json", by_alias=True)
    written["sources"]["visits"]["columns"]["spent"] = {"type": "number", **ends}
    return Tables(Plan(UseCase.model_validate(written), tables.plan.settings))


def test_only_the_date_whose_bronze_changed_is_staged_again(
    spark: SparkSession, tables: Tables
) -> None:
    arrive(spark, tables, FIRST, [("ann", "1"), ("bob", "-1")])
    arrive(spark, tables, SECOND, [("ann", "2")])
    assert staged(spark, tables, BOTH, "one") == Conforming("visits", 2, 2, 1)
    # Staged is not committed: until the gate has let it through, the dates stay stale.
    assert staged(spark, tables, BOTH, "one") == Conforming("visits", 2, 2, 1)
    commit(spark, tables, "one")
    assert staged(spark, tables, BOTH, "two") == Conforming("visits")
    assert not tables.staged(tables.silver("visits"), "two").is_there()

    # A redelivery of ann and a correction of bob.
    arrive(spark, tables, FIRST, [("ann", "1"), ("bob", "5")], T0 + HOUR)
    assert staged(spark, tables, BOTH, "three") == Conforming("visits", 1, 2, 1)
    commit(spark, tables, "three")
    assert spent(spark, tables) == [("ann", 1.0), ("ann", 2.0), ("bob", 5.0)]
    assert staged(spark, tables, BOTH, "four") == Conforming("visits")


def test_what_was_staged_before_a_newer_commit_does_not_overwrite_it(
    spark: SparkSession, tables: Tables
) -> None:
    arrive(spark, tables, FIRST, [("ann", "1")])
    arrive(spark, tables, SECOND, [("bob", "1")])
    staged(spark, tables, BOTH, "of the range")
    arrive(spark, tables, FIRST, [("ann", "9")], T0 + HOUR)
    staged(spark, tables, Dates.one(FIRST), "of the night")
    commit(spark, tables, "of the night")
    commit(spark, tables, "of the range")
    assert spent(spark, tables) == [("ann", 9.0), ("bob", 1.0)]
    assert staged(spark, tables, BOTH, "again") == Conforming("visits")


def test_a_clean_newer_day_keeps_an_older_quarantine_out(
    spark: SparkSession, tables: Tables
) -> None:
    """Nothing was written for the clean day, and yet it is known that it came later."""
    arrive(spark, tables, FIRST, [("ann", "1"), ("bob", "-1")])
    arrive(spark, tables, SECOND, [("ann", "2")])
    mended = with_rule(tables, min=-9.0)
    assert staged(spark, tables, BOTH, "of the range").quarantined == 1
    staged(spark, mended, Dates.one(FIRST), "of the night")
    commit(spark, mended, "of the night")
    staged(spark, mended, Dates.one(SECOND), "of the next")
    commit(spark, mended, "of the next")
    commit(spark, tables, "of the range")
    assert spent(spark, tables) == [("ann", 1.0), ("ann", 2.0), ("bob", -1.0)]
    assert tables.quarantine("visits").read(spark).count() == 0


def test_a_day_over_its_budget_is_held_back_and_the_others_go_on(
    spark: SparkSession, tables: Tables
) -> None:
    arrive(spark, tables, FIRST, [("ann", "1"), ("bob", "-1"), ("cid", "x")])
    arrive(spark, tables, SECOND, [("ann", "2"), ("bob", "3"), ("cid", "-4")])
    found = staged(spark, tables, BOTH, "one")
    assert (found.dates, found.rows, found.quarantined) == (1, 2, 3)
    ((day, refused),) = found.held_back.items()
    assert day == FIRST
    assert "2 of 3 rows (66.7%) of visits's visits of 2024-01-02" in refused.sentence
    # People can look at what is wrong with it before anything passes.
    assert tables.quarantine("visits").read(spark).count() == 2
    assert not tables.silver("visits").exists()
    commit(spark, tables, "one")
    assert spent(spark, tables) == [("ann", 2.0), ("bob", 3.0)]
    assert tables.quarantine("visits").read(spark).count() == 3

    arrive(spark, tables, FIRST, [("ann", "1"), ("bob", "2"), ("cid", "3")], T0 + HOUR)
    assert staged(spark, tables, BOTH, "two").rows == 3
    commit(spark, tables, "two")
    assert spent(spark, tables) == [
        ("ann", 1.0),
        ("ann", 2.0),
        ("bob", 2.0),
        ("bob", 3.0),
        ("cid", 3.0),
    ]
    made = Made(tables.silver("visits")).inputs()[str(FIRST)]
    assert made[UNSOUND] == [[f"{FIRST}.csv", micros(T0)]]


def test_of_days_that_are_all_over_the_budget_nothing_is_staged(
    spark: SparkSession, tables: Tables
) -> None:
    arrive(spark, tables, FIRST, [("ann", "x"), ("bob", "-1")])
    assert staged(spark, tables, BOTH, "one").rows == 0
    assert not tables.staged(tables.silver("visits"), "one").is_there()
    assert tables.quarantine("visits").read(spark).count() == 2


def test_a_changed_rule_is_applied_again_and_so_is_its_return(
    spark: SparkSession, tables: Tables
) -> None:
    arrive(spark, tables, FIRST, [("ann", "1"), ("bob", "3")])
    changed = with_rule(tables, max=2.0)
    quarantine = tables.quarantine("visits")
    for batch, using, rows in (("one", tables, 2), ("two", changed, 1), ("three", tables, 2)):
        assert staged(spark, using, BOTH, batch).rows == rows
        commit(spark, using, batch)
        assert quarantine.read(spark).count() == 2 - rows
        # For a clean day there is no commit, unless it takes the place of one that was not.
        assert quarantine.exists() == (batch != "one")
    assert spent(spark, tables) == [("ann", 1.0), ("bob", 3.0)]


def test_content_over_the_budget_never_enters_silver_and_takes_nothing_away(
    spark: SparkSession, tables: Tables
) -> None:
    arrive(spark, tables, FIRST, [("ann", "1"), ("bob", "1")])
    staged(spark, tables, BOTH, "one")
    commit(spark, tables, "one")
    arrive(spark, tables, FIRST, [("ann", "x"), ("bob", "-1"), ("cid", "5")], T0 + HOUR)
    assert list(staged(spark, tables, BOTH, "two").held_back) == [FIRST]
    arrive(spark, tables, FIRST, [("ann", "1")], T0 + 2 * HOUR)
    assert staged(spark, tables, BOTH, "three").rows == 2
    commit(spark, tables, "three")
    rows = tables.silver("visits").read(spark).orderBy("who").collect()
    ended = [
        row["_superseded_at"] and (row["_superseded_at"].astimezone(dt.UTC) - T0) / HOUR
        for row in rows
    ]
    assert [row["who"] for row in rows] == ["ann", "bob"]
    assert ended == [None, 2.0]


def test_a_range_does_not_take_what_the_gate_of_a_night_has_refused(
    spark: SparkSession, tables: Tables
) -> None:
    arrive(spark, tables, FIRST, [("ann", "1")])
    arrive(spark, tables, SECOND, [("bob", "1")])
    refusals = Refusals(tables.root, "silver.visits")
    refusals.add({str(FIRST): [[f"{FIRST}.csv", micros(T0)]]})

    def of_range(batch: str) -> Conforming:
        delivered = taken(spark, tables)
        return stage(spark, tables, "visits", delivered, BOTH, batch, night=False)

    found = of_range("one")
    assert (found.rows, list(found.held_back)) == (1, [FIRST])
    assert "refused by the gate of its night" in found.held_back[FIRST].sentence
    commit(spark, tables, "one")
    assert spent(spark, tables) == [("bob", 1.0)]
    # Its night may try it, and what comes instead of it is taken by anybody.
    assert staged(spark, tables, Dates.one(FIRST), "night").rows == 1
    arrive(spark, tables, FIRST, [("ann", "2")], T0 + HOUR)
    assert of_range("two").rows == 1
    commit(spark, tables, "two")
    assert spent(spark, tables) == [("ann", 2.0), ("bob", 1.0)]
    (made,) = [Made(tables.silver("visits")).inputs()[str(FIRST)]]
    assert made[UNSOUND] == [[f"{FIRST}.csv", micros(T0)]]
