"""What the gate of a night looks at beyond the rows of all days together."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.conform.stage import stage
from jobs.context import Context
from jobs.engine import Engine
from jobs.errors import Refused, Unavailable
from jobs.gates import let_through
from jobs.lake.deliveries import taken
from jobs.lake.local_rows import local_rows
from jobs.lake.made import Made
from jobs.lake.refused import Refusals
from jobs.plan import Dates
from jobs.quality.kept import answers_of
from jobs.settings import Settings
from tests.unit.conform.visits import T0, USE_CASE, arrive, tables_in

FIRST = dt.date(2024, 1, 2)
ONE_DAY = dt.timedelta(days=1)
SECOND = FIRST + ONE_DAY
HALF_IS_THERE = {
    "expect": "expect_column_proportion_of_non_null_values_to_be_between",
    "arguments": {"column": "spent", "min_value": 0.5},
}
Visits = list[tuple[str, str | None]]


def still_held() -> None:
    """The right to change the lake is there."""


def context(spark: SparkSession, folder: Path, settings: Settings, **changed: Any) -> Context:
    source = {**USE_CASE["sources"]["visits"], "usual": {"days": 5, "least": 3, "slack": 1.0}}
    use_case = {**USE_CASE, **changed, "sources": {"visits": source}}
    plan = tables_in(folder, settings, use_case).plan
    assert Engine(plan.settings).session() is spark
    return Context(plan, Dates.one(SECOND), Engine(plan.settings))


def conform(found: Context, dates: Dates) -> Context:
    spark, tables = found.engine.session(), found.tables
    night = len(dates) == 1
    # As the night would: the days before it are looked at too.
    looked_at = Dates(dates.first - 7 * ONE_DAY, dates.last)
    stage(spark, tables, "visits", taken(spark, tables), looked_at, str(dates), night=night)
    return replace(found, dates=dates)


def visits(*spent: float | None) -> Visits:
    return [(f"p{n}", None if each is None else str(each)) for n, each in enumerate(spent)]


def test_a_day_is_not_made_up_for_by_another(spark, tmp_path, settings):
    found = context(spark, tmp_path, settings, gates={"silver": {"visits": [HALF_IS_THERE]}})
    arrive(spark, found.tables, FIRST, visits(None, None, 1))
    arrive(spark, found.tables, SECOND, visits(1, 2, 3))
    night = conform(found, Dates.one(SECOND))
    with pytest.raises(Refused, match=r"between\(spent\) failed on 2024-01-02: found 0.33"):
        let_through(night, "silver", still_held)
    # Delivered again, the night passes, and what was said first is still there to read.
    arrive(spark, found.tables, FIRST, visits(None, 2, 1), T0 + dt.timedelta(hours=1))
    let_through(conform(found, Dates.one(SECOND)), "silver", still_held)
    said = answers_of(found.tables.root, str(SECOND))
    assert [each.passed for each in said] == [False, True]
    assert all(Path(each.page).is_file() for each in said)


def test_a_day_that_comes_again_is_compared_with_those_before_it(spark, tmp_path, settings):
    found = context(spark, tmp_path, settings)
    days = [FIRST + n * ONE_DAY for n in range(5)]
    for n, day in enumerate(days):
        # The fifth is strange, but a range does not look.
        arrive(spark, found.tables, day, visits(10 + n, 12, 14 - n, *([900] if n == 4 else [])))
    let_through(conform(found, Dates(days[0], days[4])), "silver", still_held)
    later = T0 + dt.timedelta(hours=1)

    arrive(spark, found.tables, days[3], visits(780, 720, 660), later)
    arrive(spark, found.tables, days[4] + ONE_DAY, visits(11, 12, 13))
    night = Dates.one(days[4] + ONE_DAY)
    with pytest.raises(Refused, match=r"usual_mean\(spent\) failed on 2024-01-05") as refused:
        let_through(conform(found, night), "silver", still_held)
    assert "2024-01-06" not in refused.value.sentence

    arrive(spark, found.tables, days[3], visits(13, 12, 10), later + dt.timedelta(hours=1))
    # What was strange about it when it was let through is not said again.
    arrive(spark, found.tables, days[4], visits(14, 12, 10, 901), later)
    let_through(conform(found, night), "silver", still_held)


def test_without_its_turn_a_gate_commits_nothing(spark, tmp_path, settings):
    def lost() -> None:
        raise Unavailable("The turn was lost.", "Run it again.")

    found = context(spark, tmp_path, settings)
    arrive(spark, found.tables, SECOND, visits(1, 2, 3))
    night = conform(found, Dates.one(SECOND))
    with pytest.raises(Unavailable):
        let_through(night, "silver", lost)
    assert not night.tables.silver("visits").exists()
    assert let_through(night, "silver", still_held) == {"silver.visits": 3}


def test_a_range_leaves_out_what_a_night_has_refused_meanwhile(spark, tmp_path, settings):
    found = context(spark, tmp_path, settings)
    arrive(spark, found.tables, FIRST, visits(1))
    arrive(spark, found.tables, SECOND, visits(2))
    both = Dates(FIRST, SECOND)
    staged = conform(found, both)
    silver = found.tables.silver("visits")
    parts = found.tables.staged(silver, str(both)).parts()
    Refusals(found.tables.root, silver.name).add({str(FIRST): parts[str(FIRST)]["files"]})
    with pytest.raises(Refused, match=r"silver\.visits of 2024-01-02 was refused"):
        let_through(staged, "silver", still_held)
    assert not silver.exists()
    let_through(conform(found, both), "silver", still_held)
    assert list(Made(silver).inputs()) == [str(SECOND)]


@pytest.mark.parametrize("layer", ["features", "predictions"])
def test_a_gate_that_has_nothing_to_look_at_says_so(spark, tmp_path, settings, layer):
    found = context(spark, tmp_path, settings)
    with pytest.raises(Refused, match=f"gold.{layer} of 2024-01-03 is neither staged nor let"):
        let_through(found, layer, still_held)


def test_features_that_have_lost_all_their_values_are_a_persons_matter(spark, tmp_path, settings):
    features = {"module": "features", "history": "7 days", "numeric": ["spent", "rare"]}
    found = context(spark, tmp_path, settings, features=features)
    table = found.tables.features()

    def night(date: dt.date, spent: float | None, **options: str) -> dict[str, int]:
        rows = local_rows(spark, [(date, "ann", date, spent, None, T0)], table.schema)
        of = found.tables.staged(table, str(date))
        of.write(rows, table.of_dates([date]), {str(date): {}})
        return let_through(
            replace(found, dates=Dates.one(date), options=options), "features", still_held
        )

    night(FIRST, 1.0)
    with pytest.raises(Refused, match=r"usual_values\(spent\) failed: found no value at all") as no:
        night(SECOND, None)
    # What never had a value is not missed.
    assert "rare" not in no.value.sentence
    assert night(SECOND, None, unusual="accept") == {"gold.features": 1}
