"""The reference use cases on their real files: from landing to gold, and what folds find."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs import steps
from jobs.context import Context
from jobs.ingest.sample import write_sample
from jobs.learning.dataset import labelled
from jobs.learning.folds import CrossValidation, cross_validate
from jobs.plan import Dates, Plan
from jobs.prediction import turn
from jobs.settings import Settings
from tests.shared_data import BIKES, TAGS, shared
from tests.unit.places import placed
from tests.unit.turns import held

if TYPE_CHECKING:
    from jobs.engine import Engine

Gold = Callable[[str, str, dt.date], Context]
# Of the four tags, and of all projects.
PROJECTS = {"computer-vision": 285, "mlops": 63, "natural-language-processing": 310, "other": 106}
LAST_HOURS = dt.date(2012, 12, 31)
# The day after the newest of them.
PROJECTS_ON = dt.date(2020, 10, 7)


@pytest.fixture(scope="module")
def gold(
    spark: SparkSession, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gold]:
    """Runs the steps from landing to gold for all dates up to one, as a training does."""

    def made(name: str, file: str, until: dt.date) -> Context:
        plan = Plan.of(name, placed(settings, tmp_path_factory.mktemp(name)))
        write_sample(plan, None, lambda _: None, copy=shared(file))
        engine = cast("Engine", SimpleNamespace(session=lambda: spark))
        past = Context(plan, Dates(plan.usecase.schedule.start, until), engine)
        for step in ("ingest", "conform", "gate silver", "labels", "features", "gate features"):
            word, _, layer = step.partition(" ")
            of_features = "features" in (word, layer)
            dates = plan.featured(past.dates) if of_features else past.dates
            steps.run(word, Context(plan, dates, engine, {"layer": layer}))
        return past

    with pytest.MonkeyPatch.context() as patch:
        # There is no warehouse to take turns by.
        patch.setattr(turn, "lake_turn", held)
        yield made


@pytest.fixture(scope="module")
def bikes(gold: Gold) -> Context:
    return gold("bike_demand", BIKES, LAST_HOURS)


@pytest.fixture(scope="module")
def tags(gold: Gold) -> Context:
    return gold("content_tags", TAGS, PROJECTS_ON)


def judged(context: Context) -> CrossValidation:
    return cross_validate(context, nullcontext(), print)


def test_every_hour_has_its_features_and_its_share(spark: SparkSession, bikes: Context) -> None:
    now = dt.datetime.now(dt.UTC)
    rows = labelled(bikes.tables, spark, bikes.dates, now)
    found = rows.agg(
        F.count("*"), F.max("label"), F.max("day_number"), F.count_if(F.col("hour_of_kind") <= 47)
    )
    assert tuple(found.collect()[0]) == (17_379, 1.0, 730.0, 17_379)
    assert bikes.tables.quarantine("hours").read(spark).count() == 0
    # On the night of a date nothing of its hours was counted yet.
    night = labelled(bikes.tables, spark, bikes.dates, bikes.plan.cutoff(LAST_HOURS))
    assert night.agg(F.max("prediction_date")).collect()[0][0] == LAST_HOURS - dt.timedelta(days=1)


def test_every_project_has_its_words_and_its_tag(spark: SparkSession, tags: Context) -> None:
    rows = labelled(tags.tables, spark, tags.dates, dt.datetime.now(dt.UTC))
    assert dict(rows.groupBy("label").count().collect()) == PROJECTS
    assert rows.where("length(words) > 20").count() == rows.count()


@pytest.mark.long
def test_the_folds_of_the_bikes_reach_what_was_published(bikes: Context) -> None:
    trees = judged(bikes).candidates["xgboost"]
    assert trees["mae"].mean <= 0.0445
    assert trees["rmse"].mean <= 0.068


@pytest.mark.long
def test_the_folds_of_the_tags_reach_what_their_page_says(tags: Context) -> None:
    assert judged(tags).candidates["linear"]["f1_weighted"].mean >= 0.88
