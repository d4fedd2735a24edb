"""Parts that are cut by a hash: who is in which, and for how long."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.errors import Refused, WrongUsage
from jobs.learning.cut import Cut
from jobs.learning.dataset import content_hash
from jobs.learning.fitting import fit_all
from jobs.learning.rebuild import Learned, require_unseen
from jobs.plan import Dates, Plan
from jobs.settings import Settings
from tests.unit.learning import parcels
from tests.unit.learning.conftest import CUTOFF

RANDOM = {"by": "random", "validation": 0.25, "holdout": 0.15}
DAYS = Dates(parcels.START, CUTOFF - dt.timedelta(days=2))


def plan_of(settings: Settings, **split: Any) -> Plan:
    return parcels.plan(settings, split={**RANDOM, **split})


def cut_of(rows: DataFrame, plan: Plan) -> Cut:
    found = Cut.of(rows, plan)
    assert found is not None
    return found


def members(rows: DataFrame, cut: Cut) -> dict[str, set[int]]:
    """The parcels of each part."""
    parts = cut.parts(rows)
    named = {"train": parts.train, "validation": parts.validation}
    named["holdout"] = rows.where(cut.held_out())
    return {
        name: {row[0] for row in part.select("parcel").collect()} for name, part in named.items()
    }


def test_parts_are_whole_and_apart_and_about_as_large_as_said(spark, settings, data):
    rows = parcels.frame(spark, data)
    found = members(rows, cut_of(rows, plan_of(settings)))
    assert sum(map(len, found.values())) == len(data)
    assert set().union(*found.values()) == set(data["parcel"])
    # Of 3780 rows 15 % are 567, with a standard deviation of 22.
    assert len(found["holdout"]) == pytest.approx(567, abs=90)
    assert len(found["validation"]) == pytest.approx(945, abs=110)


def test_a_parcel_keeps_its_part_in_any_order_and_when_others_come(spark, settings, data):
    plan = plan_of(settings)
    first = parcels.frame(spark, data.head(1000))
    before = members(first, cut_of(first, plan))
    shuffled = parcels.frame(spark, data.sample(frac=1, random_state=2)).repartition(5)
    after = members(shuffled, cut_of(shuffled, plan))
    for part, parcel in before.items():
        assert parcel <= after[part], part
    other = Plan(
        plan.usecase.model_copy(
            update={"model": plan.usecase.model.model_copy(update={"seed": 8})}
        ),
        settings,
    )
    assert members(shuffled, cut_of(shuffled, other)) != after


def test_a_group_is_never_torn_apart(spark, settings, data):
    rows = parcels.frame(spark, data.assign(depot=[f"d{n % 37}" for n in range(len(data))]))
    found = members(rows, cut_of(rows, plan_of(settings, by="group", group="depot")))
    groups = {name: {parcel % 37 for parcel in some} for name, some in found.items()}
    assert sum(map(len, groups.values())) == 37
    assert all(groups.values())


def test_rows_without_a_group_are_refused(spark, settings, data):
    rows = parcels.frame(spark, data.head(9).assign(depot=[None, None, *"abcdefg"]))
    with pytest.raises(Refused, match="2 of 9 rows have no depot, by which they are split"):
        Cut.of(rows, plan_of(settings, by="group", group="depot"))


def test_each_class_keeps_its_share_to_the_row(spark, settings, data):
    rare = data.assign(label=(data["parcel"] % 90 == 0).astype(float))
    rows = parcels.frame(spark, rare)
    cut = cut_of(rows, plan_of(settings, stratify=True))
    found = members(rows, cut)
    assert sum(map(len, found.values())) == len(data)
    yes = {name: sum(parcel % 90 == 0 for parcel in some) for name, some in found.items()}
    # Of 42 yes 15 % are 6.3, and 40 % are 16.8.
    assert yes == {"holdout": 6, "validation": 11, "train": 25}
    assert {name: len(some) - yes[name] for name, some in found.items()} == {
        "holdout": 561,
        "validation": 934,
        "train": 2243,
    }
    # Kept with a training, it gives the same parts again.
    assert members(rows, Cut.model_validate_json(cut.model_dump_json())) == found


def test_a_class_of_one_row_is_trained_on(spark, settings, data):
    rows = parcels.frame(spark, data.head(50).assign(label=[1.0] + [0.0] * 49))
    found = members(rows, cut_of(rows, plan_of(settings, stratify=True)))
    assert 0 in found["train"]
    assert sum(map(len, found.values())) == 50


def test_time_is_not_cut_by_a_hash(spark, parcel_plan, data):
    assert Cut.of(parcels.frame(spark, data.head(5)), parcel_plan) is None


def test_held_out_rows_cannot_influence_a_fit(spark: SparkSession, settings: Settings):
    plan, data = plan_of(settings), parcels.rows(days=42, per_day=40)
    rows = parcels.frame(spark, data)
    cut = cut_of(rows, plan)
    models = fit_all(cut.parts(rows), plan, str(CUTOFF), 0, lambda *_: None).models
    poisoned = poison(data, members(rows, cut)["holdout"])
    again = fit_all(
        cut.parts(parcels.frame(spark, poisoned)), plan, str(CUTOFF), 0, lambda *_: None
    )
    assert content_hash(rows) != content_hash(parcels.frame(spark, poisoned))
    for kind, model in models.items():
        assert again.models[kind].files() == model.files(), kind


def poison(data: pd.DataFrame, parcels_held_out: set[int]) -> pd.DataFrame:
    poisoned, rows = data.copy(), data["parcel"].isin(parcels_held_out)
    poisoned.loc[rows, "label"] = 1 - poisoned.loc[rows, "label"]
    poisoned.loc[rows, ["hour", "weight", "rain"]] = 1e9
    poisoned.loc[rows, "depot"] = "poison"
    return poisoned.sample(frac=1, random_state=1)


def test_all_parts_lie_in_the_same_days(settings: Settings):
    plan = plan_of(settings)
    found = plan.split(CUTOFF)
    assert found.train == found.validation == found.holdout == DAYS
    with pytest.raises(WrongUsage, match="is split by random: its holdout is a share"):
        plan.split(CUTOFF, CUTOFF)
    with pytest.raises(WrongUsage, match="has no days whose labels are final"):
        plan.split(parcels.START + dt.timedelta(days=1))


def test_a_champion_is_judged_where_the_same_hash_held_rows_out(spark, settings, data):
    rows = parcels.frame(spark, data)
    cut = cut_of(rows, plan_of(settings))
    learned = Learned(
        features=0,
        labels=0,
        first=DAYS.first,
        last=DAYS.last,
        known_at=dt.datetime(2024, 2, 12, tzinfo=dt.UTC),
        columns=(),
        rows=1,
        sha256="",
        cut=cut,
    )
    # Its shares may have been others: what both hold out, neither has seen.
    require_unseen(learned, DAYS, cut_of(rows, plan_of(settings, holdout=0.3)))
    for other in (None, cut.model_copy(update={"seed": 8})):
        with pytest.raises(Refused, match="trained with another split or"):
            require_unseen(learned.model_copy(update={"cut": other}), DAYS, cut)
    # Cut by time now, its days count.
    with pytest.raises(Refused, match="learned from the days up to"):
        require_unseen(learned, DAYS)


def test_a_sample_says_nothing_about_the_part(spark, settings, data):
    rows = parcels.frame(spark, data)
    cut = cut_of(rows, plan_of(settings))
    half = rows.where(F.pmod(F.xxhash64("sent_on", "parcel"), F.lit(2)) == 0)
    assert half.where(cut.held_out()).count() == pytest.approx(283, abs=70)
