"""Entities without a date, or with one beside their key, from silver to measured predictions."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.declared import Window
from jobs.errors import WrongUsage
from jobs.features.build import build
from jobs.features.inputs import FeatureInputs
from jobs.features.running import DATE
from jobs.lake.tables import Tables
from jobs.learning.dataset import labelled
from jobs.learning.labels import given_frame, labels_of, without_entity
from jobs.learning.targets.kinds import target_of
from jobs.monitoring.drift import unlearned
from jobs.monitoring.performance import judges_of, measure, not_learned, outcomes
from jobs.plan import Dates, Plan, Split
from jobs.prediction.feedback_table import FeedbackTable
from jobs.prediction.published_table import Column, PublishedTable
from jobs.quality import suite
from jobs.settings import Settings
from jobs.usecase import Source
from tests.unit import readers
from tests.unit.places import placed

FIRST, SECOND, THIRD, FOURTH = (readers.START + dt.timedelta(days=n) for n in range(4))


def noon(date: dt.date) -> dt.datetime:
    return dt.datetime.combine(date, dt.time(12), dt.UTC)


def test_every_date_has_the_entities_that_its_cutoff_knows(
    spark: SparkSession, settings: Settings
) -> None:
    table = Tables(readers.plan(settings)).silver("people")
    people = readers.rows(
        spark,
        table,
        {"reader": 1, "loans": 1.0, "_arrived_at": noon(FIRST), "_superseded_at": noon(SECOND)},
        {"reader": 1, "loans": 2.0, "_arrived_at": noon(SECOND)},
        {"reader": 2, "loans": 5.0, "_arrived_at": noon(SECOND)},
    )

    def listed(dates: Dates) -> list[tuple[dt.date, int, float]]:
        found = FeatureInputs(readers.UNDATED, dates, {"people": people}).entities()
        return sorted(map(tuple, found.select("prediction_date", "reader", "loans").collect()))

    whole = Dates(FIRST, THIRD)
    assert listed(whole) == [(SECOND, 1, 1.0), (THIRD, 1, 2.0), (THIRD, 2, 5.0)]
    assert [row for date in whole for row in listed(Dates.one(date))] == listed(whole)


def test_windows_of_entities_without_a_date_are_those_of_their_key(
    spark: SparkSession, settings: Settings
) -> None:
    visits = {
        **readers.SOURCE,
        "landing": "visits/date={date}/*",
        "arrives": {"as": "daily"},
        "date": "joined",
    }
    seen = {"source": "visits", "do": "count", "days": [7]}
    windows = [
        Window.model_validate({**seen, "name": "own", "by": ["reader"]}),
        Window.model_validate({**seen, "name": "all"}),
    ]
    features = {"windows": tuple(windows), "numeric": ("own_7", "all_7"), "history": 7}
    usecase = readers.UNDATED.model_copy(
        update={
            "sources": {**readers.UNDATED.sources, "visits": Source.model_validate(visits)},
            "features": readers.UNDATED.features.model_copy(update=features),
        }
    )
    tables = Tables(readers.plan(settings, usecase))
    known = [{"reader": reader, "_arrived_at": noon(FIRST)} for reader in range(40)]
    seen_on = {"joined": SECOND, "_batch_date": SECOND, "_arrived_at": noon(SECOND)}
    silver = {
        "people": readers.rows(spark, tables.silver("people"), *known),
        "ended": readers.rows(spark, tables.silver("ended")),
        "visits": readers.rows(
            spark, tables.silver("visits"), *[{"reader": n, **seen_on} for n in range(0, 40, 2)]
        ),
    }
    found = build(tables.plan, silver, Dates.one(THIRD)).collect()
    assert {row["reader"]: row["own_7"] for row in found} == {n: (n + 1) % 2 for n in range(40)}
    assert {row["all_7"] for row in found} == {20.0}


def test_a_label_without_a_date_is_final_when_it_is_known_and_counts_from_then(
    spark: SparkSession, settings: Settings
) -> None:
    tables = Tables(readers.plan(settings))
    ended = readers.rows(
        spark,
        tables.silver("ended"),
        {"reader": 1, "gave_up": True, "_arrived_at": noon(FIRST)},
        {"reader": 2, "_arrived_at": noon(FIRST)},
    )
    made = tables.labels().conforming(labels_of(tables.plan, ended)).collect()
    assert [(row["reader"], row["label"], row["prediction_date"]) for row in made] == [
        (1, 1.0, SECOND)
    ]
    assert made[0]["matured_at"] == made[0]["_arrived_at"]


def test_a_label_counts_from_when_it_was_first_said(
    spark: SparkSession, settings: Settings
) -> None:
    """A row that changed in another column says nothing new; one that took its label back does."""
    tables = Tables(readers.plan(settings))
    moments = [noon(readers.START + dt.timedelta(days=n)) for n in range(6)]
    told = [(1.0, False), (2.0, False), (2.0, True), (3.0, True), (3.0, None), (4.0, True)]
    versions = [
        {"reader": 1, "loans": loans, "gave_up": gave_up, "_arrived_at": at, "_superseded_at": end}
        for (loans, gave_up), at, end in zip(told, moments, [*moments[1:], None], strict=True)
    ]
    ended = readers.rows(spark, tables.silver("ended"), *versions)
    made = tables.labels().conforming(labels_of(tables.plan, ended))
    found = made.orderBy("_arrived_at").selectExpr(
        "label", "prediction_date", "matured_at = _arrived_at"
    )
    dates = [readers.START + dt.timedelta(days=n + 1) for n in range(6)]
    assert [tuple(row) for row in found.collect()] == [
        (0.0, dates[0], True),
        (0.0, dates[0], False),
        (1.0, dates[2], True),
        (1.0, dates[2], False),
        (1.0, dates[5], True),
    ]


def test_a_date_beside_the_key_is_the_label_s(spark: SparkSession, settings: Settings) -> None:
    tables = Tables(readers.plan(settings, readers.DATED))
    ended = readers.rows(
        spark,
        tables.silver("ended"),
        {"reader": 1, "joined": FIRST, "gave_up": False, "_arrived_at": noon(THIRD)},
        {"reader": 2, "gave_up": True, "_arrived_at": noon(THIRD)},
    )
    made = tables.labels().conforming(labels_of(tables.plan, ended)).collect()
    assert [(row["reader"], row["prediction_date"]) for row in made] == [(1, FIRST)]
    assert tables.features().key == ("reader", "prediction_date")
    assert PublishedTable.of(tables.plan).date_column is None


def test_a_training_learns_from_what_its_cutoff_s_date_sees(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    tables = Tables(readers.plan(placed(settings, tmp_path)))
    features = [
        {"reader": reader, "prediction_date": date, "loans": float(reader)}
        for date in (SECOND, THIRD)
        for reader in (1, 2, 3)
    ]
    tables.features().append(readers.rows(spark, tables.features(), *features))
    known = {"prediction_date": SECOND, "_arrived_at": noon(FIRST), "matured_at": noon(FIRST)}
    then = {"prediction_date": THIRD, "_arrived_at": noon(SECOND), "matured_at": noon(SECOND)}
    labels = [
        {"reader": 1, "label": 0.0, **known, "_superseded_at": noon(SECOND)},
        {"reader": 1, "label": 1.0, **then},
        {"reader": 2, "label": 1.0, **known},
    ]
    tables.labels().append(readers.rows(spark, tables.labels(), *labels))

    def learned(date: dt.date) -> dict[int, float]:
        split = tables.plan.split(date)
        assert split == Split(*[Dates.one(date)] * 3)
        found = labelled(tables, spark, split.train, tables.plan.cutoff(date)).collect()
        assert {row["prediction_date"] for row in found} == {date}
        return {row["reader"]: row["label"] for row in found}

    assert learned(SECOND) == {1: 0.0, 2: 1.0}
    assert learned(THIRD) == {1: 1.0, 2: 1.0}
    assert tables.plan.last_mature(THIRD) == THIRD
    with pytest.raises(WrongUsage, match="is split by random"):
        tables.plan.split(SECOND, THIRD)


def test_a_score_is_measured_by_labels_that_nobody_knew_yet(
    spark: SparkSession, settings: Settings
) -> None:
    tables = Tables(readers.plan(settings))
    keys = [
        {"reader": reader, "prediction_date": date}
        for date in (SECOND, THIRD)
        for reader in (1, 2, 3)
    ]
    scored = [{**key, "score": 0.9, "prediction": True, "model_version": 1} for key in keys]
    known = [
        {"reader": reader, "label": 1.0, "prediction_date": since, "_arrived_at": at}
        for reader, since, at in ((1, SECOND, noon(FIRST)), (2, THIRD, noon(SECOND)))
    ]
    labels = [{**label, "matured_at": label["_arrived_at"]} for label in known]
    published, week = {SECOND: 1, THIRD: 1}, Dates(FIRST, THIRD)
    judges = judges_of([SECOND, THIRD], published, week)
    found = outcomes(
        readers.rows(spark, tables.predictions(), *scored),
        readers.rows(spark, tables.features(), *keys),
        readers.rows(spark, tables.labels(), *labels),
        tables,
        {SECOND: 1},
        judges,
        noon(THIRD),
    )
    measured = measure(found, target_of(readers.UNDATED), (), published)
    # Only the second reader's label came after a score of its reader.
    rows = {(one.prediction_date, one.rows) for one in measured if one.metric == "positives"}
    assert rows == {(SECOND, 1)}


def test_drift_is_of_entities_whose_label_the_model_has_not_learned(
    spark: SparkSession, settings: Settings
) -> None:
    tables = Tables(readers.plan(settings))
    rows = [{"reader": reader, "prediction_date": THIRD} for reader in (1, 2, 3)]
    said = [
        {"reader": 1, "_arrived_at": noon(FIRST), "_superseded_at": noon(SECOND)},
        {"reader": 1, "_arrived_at": noon(SECOND)},
        {"reader": 2, "_arrived_at": noon(SECOND)},
    ]
    found = unlearned(
        readers.rows(spark, tables.features(), *rows),
        readers.rows(spark, tables.labels(), *said),
        ("reader",),
        noon(SECOND),
    )
    assert sorted(row["reader"] for row in found.collect()) == [2, 3]


def test_a_label_judges_the_last_score_before_it_however_old_that_is() -> None:
    month = [readers.START + dt.timedelta(days=n) for n in range(31)]
    live, week = [month[0], month[9]], Dates(month[13], month[20])
    # Of the tenth's scores all labels count, also those of another week; of the first's none do.
    assert judges_of([month[n] for n in (0, 5, 9, 10, 20, 30)], live, week) == {
        month[10]: month[9],
        month[20]: month[9],
        month[30]: month[9],
    }
    assert judges_of([month[9]], live, Dates(month[9], month[9])) == {month[9]: month[0]}
    assert judges_of([month[10]], live, week) == {}


def test_no_label_judges_a_score_of_a_model_that_learned_it() -> None:
    # The second date was published again, by a version that was trained on the third.
    judges, published = {SECOND: FIRST, THIRD: SECOND, FOURTH: SECOND}, {FIRST: 1, SECOND: 2}
    left = not_learned(judges, published, {1: FIRST, 2: THIRD})
    assert left == {SECOND: FIRST, FOURTH: SECOND}


def words(
    plan: Plan, *said: tuple[int, float | None, dt.datetime, dt.date]
) -> list[dict[str, Any]]:
    """What people wrote: of whom, what, when, and of which date, where there are dates."""
    rows = [
        {"reader": reader, "label": label, "_arrived_at": at, "_given": number, DATE: date}
        for number, (reader, label, at, date) in enumerate(said)
    ]
    wanted = {*plan.usecase.entity.labelled, "label", "_arrived_at", "_given"}
    return [{name: row[name] for name in row if name in wanted} for row in rows]


def test_people_say_what_is_true_of_an_entity_without_a_date(
    spark: SparkSession, settings: Settings
) -> None:
    plan = readers.plan(settings)
    tables = Tables(plan)
    ended = readers.rows(
        spark,
        tables.silver("ended"),
        {"reader": 1, "gave_up": False, "_arrived_at": noon(FIRST), "_superseded_at": noon(FOURTH)},
        # In another column than the label's.
        {"reader": 1, "loans": 2.0, "gave_up": False, "_arrived_at": noon(FOURTH)},
        {"reader": 2, "gave_up": False, "_arrived_at": noon(FIRST)},
    )
    said = words(
        plan,
        (1, 1.0, noon(SECOND), SECOND),
        (1, None, noon(THIRD), THIRD),
        (2, 0.0, noon(SECOND), SECOND),
        (9, 1.0, noon(SECOND), SECOND),
    )
    given = given_frame(plan, spark, said)
    made = tables.labels().conforming(labels_of(plan, ended, given))
    found = made.selectExpr(
        "reader", "label", DATE, "to_date(_arrived_at)", "to_date(_superseded_at)"
    )
    assert sorted(map(tuple, found.collect()), key=str) == [
        (1, 0.0, SECOND, FIRST, SECOND),
        (1, 1.0, THIRD, SECOND, THIRD),
        # Whoever says the same as the source says nothing new.
        (2, 0.0, SECOND, FIRST, SECOND),
        (2, 0.0, SECOND, SECOND, None),
        (9, 1.0, THIRD, SECOND, None),
    ]
    people = readers.rows(spark, tables.silver("people"), {"reader": 1}, {"reader": 2})
    assert without_entity(plan, given, people) == 1
    assert FeedbackTable.of(plan).key == (Column("reader", "integer"),)


def test_people_say_of_which_date_a_label_is_that_is_beside_the_key(
    spark: SparkSession, settings: Settings
) -> None:
    plan = readers.plan(settings, readers.DATED)
    tables = Tables(plan)
    told = {"reader": 1, "gave_up": False, "_arrived_at": noon(THIRD)}
    ended = readers.rows(spark, tables.silver("ended"), {**told, "joined": FIRST})
    said = words(plan, (1, 1.0, noon(FOURTH), FIRST), (1, 1.0, noon(FOURTH), SECOND))
    given = given_frame(plan, spark, said)
    made = tables.labels().conforming(labels_of(plan, ended, given))
    found = made.selectExpr("label", DATE, "to_date(_arrived_at)", "matured_at = _arrived_at")
    assert sorted(map(tuple, found.collect())) == [
        (0.0, FIRST, THIRD, False),
        (1.0, FIRST, FOURTH, True),
        (1.0, SECOND, FOURTH, True),
    ]
    people = readers.rows(spark, tables.silver("people"), {"reader": 1, "joined": FIRST})
    assert without_entity(plan, given, people) == 1
    wanted = (Column("reader", "integer"), Column(DATE, "date"))
    assert FeedbackTable.of(plan).key == wanted


def test_a_batch_has_an_entity_once_and_there_may_be_many_batches(settings: Settings) -> None:
    tables = Tables(readers.plan(settings))
    wanted = suite.predictions(tables.plan, Dates.one(SECOND), 3).expectations
    unique = [each.arguments["column_list"] for each in wanted if each.expect == suite.KEY_UNIQUE]
    assert unique == [["reader", "prediction_date", "model_version"]]
    assert tables.labels().key == ("reader", "prediction_date", "_arrived_at")
    published = PublishedTable.of(tables.plan)
    assert (published.key, published.date_column) == ((Column("reader", "integer"),), None)
