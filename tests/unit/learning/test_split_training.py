"""A training of parts that are cut by a hash, from gold to the decision, with MLflow in a file."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs import display
from jobs.context import Context, StepResult
from jobs.evaluation import newest
from jobs.lake.local_rows import local_rows
from jobs.lake.tables import Tables
from jobs.learning import registry
from jobs.learning.agreement import Agreement, Said
from jobs.learning.dataset import labelled
from jobs.learning.evaluation import Evaluation
from jobs.learning.evidence import EVIDENCE, FOLDER
from jobs.learning.rebuild import learned_of, rebuilt
from jobs.learning.train import evaluate, promote, train
from jobs.plan import Dates, Plan
from jobs.settings import Settings
from jobs.usecase import Evaluated
from tests.unit.learning import parcels

FIRST, LATER = dt.date(2024, 1, 20), dt.date(2024, 2, 12)
FEW_DAYS = dt.date(2024, 1, 9)
MODEL = {**parcels.SPEC["model"], "rounds": 5, "imbalance": {"by": "weight"}}


class Started:
    """An engine that is there already."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    def session(self) -> SparkSession:
        return self._spark


def plan_of(settings: Settings, **split: Any) -> Plan:
    return parcels.plan(settings, split=split, model=MODEL)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Settings:
    """A lake with gold and a store without models."""
    home = tmp_path_factory.mktemp("trainings")
    settings = Settings(home=home, lake=f"{home}/lake", mlflow_url=f"sqlite:///{home}/mlflow.db")
    client = registry.connect(settings)
    client.create_experiment("late_parcel", artifact_location=str(home / "artifacts"))
    tables = Tables(plan_of(settings, by="random"))
    rows = parcels.rows(days=42, per_day=60)
    parcels.write(spark, tables.features(), tables.labels(), rows)
    return settings


def decided(spark: SparkSession, plan: Plan, cutoff: dt.date) -> list[StepResult]:
    context = Context(plan, Dates.one(cutoff), Started(spark), {})
    return [step(context) for step in (train, evaluate, promote)]


def test_a_champion_meets_its_challenger_where_both_held_rows_out(
    spark: SparkSession, kept: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(kept, by="random", validation=0.2, holdout=0.3, stratify=True)
    first = decided(spark, plan, FIRST)
    # 18 days are mature: 1080 rows, of which 756 were learned from.
    assert sum(first[0].rows.values()) == pytest.approx(756, abs=1)
    assert first[1].rows["holdout"] == pytest.approx(324, abs=1)
    assert first[2].facts["status"] == "promote"
    tables = Tables(plan)
    assert rebuilt(spark, tables, 1).is_same
    client = registry.connect(kept)
    learned = learned_of(client, first[0].facts["run_id"])
    assert learned.rows == sum(first[0].rows.values())
    assert learned.cut is not None
    assert set(learned.cut.by_class) == {"0.0", "1.0"}

    told = Evaluated(fairness=("depot",), examples=5, learning_curve=True)
    asked = replace(plan, usecase=plan.usecase.model_copy(update={"evaluation": told}))
    later = decided(spark, asked, LATER)
    evaluation = later[2].facts["evaluation"]
    assert evaluation["champion_version"] == 1
    assert evaluation["champion_problem"] is None
    assert "champion" in evaluation["gains"]
    # The edges of the parts have moved a little, and what lies between was left out.
    assert 0.27 * 2460 < evaluation["rows"] <= 0.3 * 2460 + 1
    assert evaluation["resampled"] == "dates"
    shown = newest(plan)
    display.evaluation(shown)
    said = capsys.readouterr().out
    assert f"Report: {shown.page}" in said
    assert shown.page == later[1].facts["page"]
    written = Path(shown.page.removeprefix("file://")).read_text(encoding="utf-8")
    assert "Gain over the champion, version 1" in written
    for title in ("Where it errs most", "Fairness", "What counts", "Costliest", "Is more"):
        assert f"<h2>{title}" in written
    assert "Labels: 0 of 2460 entities (0.0%) have no final label; 0 of 2460 rows" in said


def test_groups_that_were_kept_together_are_drawn(spark: SparkSession, kept: Settings) -> None:
    plan = plan_of(kept, by="group", group="parcel")
    context = Context(plan, Dates.one(LATER), Started(spark), {})
    trained = train(context)
    learned = learned_of(registry.connect(kept), trained.facts["run_id"])
    assert learned.cut is not None
    assert learned.cut.grouped
    evaluate(context)
    assert promote(context).facts["evaluation"]["resampled"] == "groups"


def test_how_far_people_agree_is_told_of_what_was_known(
    spark: SparkSession, kept: Settings
) -> None:
    columns = {**parcels.KEY, "late": {"type": "boolean"}}
    said = {"ann": {"type": "boolean"}, "bob": {"type": "boolean"}}
    sources = parcels.SPEC["sources"]
    plan = parcels.plan(
        kept,
        split={"by": "random"},
        model=MODEL,
        sources={**sources, "actuals": {**sources["actuals"], "columns": {**columns, **said}}},
        label={**parcels.SPEC["label"], "labellers": ["ann", "bob"]},
    )
    silver, yes, no = Tables(plan).silver("actuals"), True, False
    soon, late = dt.datetime(2024, 1, 4, tzinfo=dt.UTC), dt.datetime(2024, 1, 20, tzinfo=dt.UTC)
    rows = [
        {"ann": yes, "bob": yes, "_arrived_at": soon},
        {"ann": yes, "bob": no, "_arrived_at": soon},
        {"ann": no, "bob": no, "_arrived_at": soon, "_superseded_at": late},
        {"ann": yes, "bob": None, "_arrived_at": soon},
        # Known too late, and superseded in time, and not of these days.
        {"ann": no, "bob": yes, "_arrived_at": late},
        {"ann": no, "bob": yes, "_arrived_at": soon, "_superseded_at": soon + dt.timedelta(days=1)},
        {"ann": no, "bob": yes, "_arrived_at": soon, "sent_on": FEW_DAYS},
    ]
    whole = [{"sent_on": dt.date(2024, 1, 2), "parcel": n, **row} for n, row in enumerate(rows)]
    given = [tuple(row.get(name) for name in silver.schema.names) for row in whole]
    silver.append(local_rows(spark, given, silver.schema))
    asked = []

    def people(known_at: dt.datetime) -> Said:
        asked.append(known_at)
        return {("false", "true"): 2}

    context = Context(plan, Dates.one(FEW_DAYS), Started(spark), {})
    run_id = train(context, people=people).facts["run_id"]
    quality = learned_of(registry.connect(kept), run_id).quality
    assert quality is not None
    assert quality.labellers == Agreement.of_two(
        {("true", "true"): 1, ("true", "false"): 1, ("false", "false"): 1}
    )
    assert quality.people == Agreement.of_several({("false", "true"): 2})
    assert asked == [plan.cutoff(FEW_DAYS)]


def test_what_rows_are_drawn_does_not_depend_on_the_order_of_reading(
    spark: SparkSession, kept: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Fewer than ten dates, so that rows are drawn.
    context = Context(plan_of(kept, by="random"), Dates.one(FEW_DAYS), Started(spark), {})
    run_id = train(context).facts["run_id"]
    client, found = registry.connect(kept), []
    for column in ("weight", "parcel"):

        def shuffled(*args: Any, by: str = column) -> DataFrame:
            return labelled(*args).coalesce(1).sort(by)

        monkeypatch.setattr("jobs.learning.train.labelled", shuffled)
        evaluate(context)
        path = client.download_artifacts(run_id, f"{FOLDER}/{EVIDENCE}")
        found.append(Evaluation.model_validate_json(Path(path).read_text(encoding="utf-8")))
    assert found[0].resampled == "rows"
    assert found[0] == found[1]
