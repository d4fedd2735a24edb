"""Labels that people gave, among those of a source: who is believed when, and what is taken in."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.context import Context
from jobs.engine import Engine
from jobs.lake.local_rows import local_rows
from jobs.lake.made import Inputs, Made
from jobs.lake.tables import Tables
from jobs.learning.dataset import labelled
from jobs.learning.labels import given_frame, labels_of, made_of
from jobs.plan import Dates, Plan
from jobs.prediction import feedback, turn
from jobs.prediction.feedback import NO_CLASS, Given, sorted_out
from jobs.settings import Settings
from jobs.steps import run
from tests.unit.learning import parcels
from tests.unit.places import placed
from tests.unit.turns import held

DAY = parcels.START
NOON = dt.datetime(2024, 1, 2, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
LATE = {**parcels.SPEC["label"], "feedback": True}


def at(hours: float) -> dt.datetime:
    """So many hours after the day's labels have come."""
    return NOON + hours * HOUR


def source_row(
    parcel: int,
    late: bool | None,
    since: float,
    until: float | None = None,
    day: dt.date = DAY,
) -> dict[str, Any]:
    ends = None if until is None else at(until)
    told = {"sent_on": day, "parcel": parcel, "late": late, "_batch_date": day, "_file": "x"}
    return {**told, "_row": 1, "_arrived_at": at(since), "_superseded_at": ends}


def word(
    parcel: int, label: float | str | None, moment: float, number: int = 1, day: dt.date = DAY
) -> dict[str, Any]:
    return {
        "sent_on": day,
        "parcel": parcel,
        "label": label,
        "_arrived_at": at(moment),
        "_given": number,
    }


def silver(spark: SparkSession, plan: Plan, rows: list[dict[str, Any]]) -> DataFrame:
    schema = Tables(plan).silver("actuals").schema
    return local_rows(spark, [tuple(row[name] for name in schema.names) for row in rows], schema)


Version = tuple[int, float, dt.datetime, dt.datetime | None]


def versions(found: DataFrame) -> list[Version]:
    moments = found.selectExpr(
        "parcel", "label", "unix_micros(_arrived_at)", "unix_micros(_superseded_at)"
    )
    return sorted(
        (row[0], row[1], _moment(row[2]), None if row[3] is None else _moment(row[3]))
        for row in moments.collect()
    )


def _moment(micros: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=micros)


@pytest.mark.parametrize(
    ("told", "said", "found"),
    [
        pytest.param(
            [source_row(1, late=False, since=0)],
            [word(1, 1.0, 5)],
            [(0.0, 0, 5), (1.0, 5, None)],
            id="a person's word ends what the source said",
        ),
        pytest.param(
            [],
            [word(1, 1.0, 5), word(1, 0.0, 6, 2)],
            [(1.0, 5, 6), (0.0, 6, None)],
            id="of two words the later one counts",
        ),
        pytest.param(
            [source_row(1, late=True, since=0)],
            [word(1, None, 5)],
            [(1.0, 0, 5)],
            id="null takes a label back",
        ),
        pytest.param(
            [source_row(1, late=False, since=0, until=9), source_row(1, late=True, since=9)],
            [word(1, 1.0, 5), word(2, 1.0, 5, 2)],
            [(0.0, 0, 5), (1.0, 5, 9), (1.0, 9, None)],
            id="a correction by the source that comes later is believed",
        ),
        pytest.param(
            [source_row(1, late=False, since=0, until=9), source_row(1, late=False, since=9)],
            [word(1, 1.0, 5)],
            [(0.0, 0, 5), (1.0, 5, None)],
            id="a row that changed in something else does not end a person's word",
        ),
        pytest.param(
            [source_row(1, late=None, since=0, until=9), source_row(1, late=None, since=9)],
            [word(1, 1.0, -1)],
            [(1.0, -1, None)],
            id="a source that knows nothing takes nothing back",
        ),
        pytest.param(
            [source_row(1, late=True, since=0, until=9), source_row(1, late=None, since=9)],
            [word(1, 1.0, 5)],
            [(1.0, 0, 5), (1.0, 5, 9)],
            id="a source that takes its label back later does",
        ),
        pytest.param(
            [source_row(1, late=False, since=0, until=9)],
            [word(1, 1.0, 5)],
            [(0.0, 0, 5), (1.0, 5, None)],
            id="a row that leaves its file takes no person's word along",
        ),
        pytest.param(
            [source_row(1, late=False, since=5)],
            [word(1, 0.0, 5, 1), word(1, 1.0, 5, 2)],
            [(1.0, 5, None)],
            id="of one moment the last word counts",
        ),
    ],
)
def test_what_was_known_last_counts(
    spark: SparkSession,
    settings: Settings,
    told: list[dict[str, Any]],
    said: list[dict[str, Any]],
    found: list[tuple[float, float, float | None]],
) -> None:
    plan = parcels.plan(settings)
    given = given_frame(plan, spark, said)
    made = Tables(plan).labels().conforming(labels_of(plan, silver(spark, plan, told), given))
    of_first = [each[1:] for each in versions(made) if each[0] == 1]
    wanted = [
        (label, at(since), None if until is None else at(until)) for label, since, until in found
    ]
    assert sorted(of_first, key=lambda each: each[1]) == wanted


def test_a_word_is_final_when_it_is_written(spark: SparkSession, settings: Settings) -> None:
    plan = parcels.plan(settings)
    given = given_frame(plan, spark, [word(1, 1.0, 5)])
    made = labels_of(plan, silver(spark, plan, [source_row(1, late=False, since=0)]), given)
    final = dict(made.selectExpr("label", "unix_micros(matured_at)").collect())
    # The source's is final when the day after the prediction date has ended in Berlin.
    assert _moment(final[0.0]) == dt.datetime(2024, 1, 2, 23, tzinfo=dt.UTC)
    assert _moment(final[1.0]) == at(5)


def believed(
    told: list[tuple[float, bool | None]], said: list[tuple[float, float | None]], moment: float
) -> float | None:
    """By hand: what is believed at a moment, of what was known before it."""
    events = [(since, 0, late) for since, late in told] + [
        (since, 1, label) for since, label in said
    ]
    now: float | None = None
    from_source: float | None = None
    for since, person, label in sorted(events, key=lambda each: (each[0], each[1])):
        if since >= moment:
            break
        value = None if label is None else float(label)
        if person:
            now = value
        elif value != from_source:
            now = from_source = value
    return now


def test_at_every_moment_what_is_believed_is_what_was_known_last(
    spark: SparkSession, settings: Settings
) -> None:
    """Many histories at once, against a plain loop over the events of each."""
    plan, random_ = parcels.plan(settings), random.Random(5)
    histories = {}
    rows: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    for parcel in range(60):
        moments = random_.sample(range(40), random_.randint(0, 8))
        cut = random_.randint(0, len(moments))
        told = [(float(m), random_.choice([True, False, None])) for m in sorted(moments[:cut])]
        said = [(float(m), random_.choice([1.0, 0.0, None])) for m in sorted(moments[cut:])]
        histories[parcel] = told, said
        for place, (since, late) in enumerate(told):
            until = told[place + 1][0] if place + 1 < len(told) else None
            rows.append(source_row(parcel, late, since, until))
        words += [word(parcel, label, since, n) for n, (since, label) in enumerate(said)]
    made = labels_of(plan, silver(spark, plan, rows), given_frame(plan, spark, words))
    found = versions(made)
    for moment in (0.5 + half for half in range(41)):
        known: dict[int, list[float]] = {}
        for parcel, label, since, until in found:
            if since < at(moment) and (until is None or until >= at(moment)):
                known.setdefault(parcel, []).append(label)
        for parcel, (told, said) in histories.items():
            wanted = believed(told, said, moment)
            assert known.get(parcel, []) == ([] if wanted is None else [wanted]), (parcel, moment)


@dataclass
class Written:
    """What people wrote, in the place of the warehouse."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    left_out: dict[str, int] = field(default_factory=dict)

    def by_part(self, _: Plan) -> dict[str, Inputs]:
        counted: dict[str, list[int]] = {}
        for row in self.rows:
            counted.setdefault(str(row["sent_on"]), []).append(row["_given"])
        gone: dict[str, Inputs] = {part: {} for part in self.gone}
        return {**gone, **{d: {"rows": len(n), "digest": str(n)} for d, n in counted.items()}}

    def given(self, _: Plan, parts: dict[str, Inputs]) -> Given:
        return Given([row for row in self.rows if str(row["sent_on"]) in parts], self.left_out)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    found = Written()
    monkeypatch.setattr(turn, "lake_turn", held)
    monkeypatch.setattr(feedback, "by_part", found.by_part)
    monkeypatch.setattr(feedback, "given", found.given)
    return found


@pytest.fixture
def context(tmp_path: Path, settings: Settings, spark: SparkSession) -> Context:
    """The night after a day with labels of three parcels, and the features of that day."""
    plan = parcels.plan(placed(settings, tmp_path), label=LATE)
    tables = Tables(plan)
    rows = [source_row(n, late=False, since=0) for n in range(3)]
    for source in ("plan", "actuals"):
        table = tables.silver(source)
        frame = silver(spark, plan, rows)
        table.append(frame.select(*[c for c in table.schema.names if c in frame.columns]))
        Made(table).record({str(DAY): {"declared": "1", "files": []}}, 1)
    data = parcels.rows(days=1, per_day=3)
    parcels.write(
        spark, tables.features(), replace(tables.labels(), path=str(tmp_path / "x")), data
    )
    return Context(plan, Dates.one(DAY + dt.timedelta(days=1)), Engine(plan.settings), {})


def known(context: Context, moment: dt.datetime) -> dict[int, float]:
    """What a training learns that knows what was known at a moment."""
    rows = labelled(context.tables, context.engine.session(), Dates.one(DAY), moment)
    return {row["parcel"]: row["label"] for row in rows.collect()}


def test_words_are_taken_in_once_and_an_old_training_set_stays(
    context: Context, written: Written
) -> None:
    run("labels", context)
    before = known(context, at(72))
    assert before == {0: 0.0, 1: 0.0, 2: 0.0}

    written.rows = [word(1, 1.0, 73, 1), word(2, None, 74, 2), word(77, 1.0, 75, 3)]
    said = run("labels", context).sentence
    assert "3 rows of feedback" in said
    assert "1 of them with a key that plan does not have" in said
    version = context.tables.labels().version()
    assert known(context, at(72)) == before
    assert known(context, at(80)) == {0: 0.0, 1: 1.0}
    assert "every date's labels written already" in run("labels", context).sentence
    assert context.tables.labels().version() == version

    # What is erased from the warehouse is gone, and the source's word stands again.
    written.rows, written.gone = [], {str(DAY)}
    run("labels", context)
    assert known(context, at(80)) == before


def test_words_of_any_date_are_taken_in_and_what_is_left_out_is_said(
    context: Context, written: Written
) -> None:
    long_after = replace(context, dates=Dates.one(DAY + dt.timedelta(days=300)))
    never_delivered = DAY + dt.timedelta(days=40)
    written.rows = [word(1, 1.0, 73, 1), word(5, 0.0, 2000, 2, never_delivered)]
    written.left_out = {NO_CLASS: 2}
    said = run("labels", long_after).sentence
    assert said.endswith(f"2 rows of feedback left out, {NO_CLASS}.")
    assert known(context, at(80)) == {0: 0.0, 1: 1.0, 2: 0.0}
    labels = context.tables.labels()
    there = labels.read(context.engine.session()).where(labels.of_dates([never_delivered]))
    assert [row["label"] for row in there.collect()] == [0.0]


def test_a_word_of_a_class_that_was_gathered_since_is_of_the_one_it_became(
    settings: Settings,
) -> None:
    label = {**LATE, "type": "multiclass", "classes": ["door", "shop", "other"]}
    plan = parcels.plan(settings, label={**label, "group": {"other": ["lost"]}}, slices=[])
    words = [word(n, said, 80) for n, said in enumerate(["lost", "shop", "torn", None])]
    found = sorted_out(plan, words)
    assert [row["label"] for row in found.rows] == ["other", "shop", None]
    assert found.left_out == {NO_CLASS: 1}


def test_without_feedback_nobody_asks_the_warehouse_for_any(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "lake_turn", held)
    plain = parcels.plan(context.plan.settings)
    run("labels", replace(context, plan=plain))
    silver = Tables(plain).silver("actuals")
    assert "feedback" not in made_of(plain, silver, None)[str(DAY)]
    assert known(context, at(80)) == {0: 0.0, 1: 0.0, 2: 0.0}
