"""What an erasure writes, names and tells, on a small lake; warehouse and registry are stood in."""

from __future__ import annotations

import datetime as dt
import gzip
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs.context import Context
from jobs.engine import Engine
from jobs.erasure import erase as erasing
from jobs.erasure import models
from jobs.erasure.erase import RETENTION_CHECK, erase
from jobs.erasure.receipt import Receipt
from jobs.erasure.warehouse import Feedback
from jobs.errors import Refused, WrongUsage
from jobs.ingest.take_in import take_in
from jobs.lake.local_rows import local_rows
from jobs.lake.tombstones import Tombstones
from jobs.plan import Dates, Plan
from jobs.settings import Settings
from jobs.usecase import Source, UseCase
from tests.unit import readers
from tests.unit.ingest.conftest import USE_CASE
from tests.unit.places import placed
from tests.unit.turns import held

DAY = dt.date(2024, 1, 2)
ANN = {"who": "ann"}


class Versions:
    """Registered versions by the days that they learned from, and what was asked of them."""

    asked: frozenset[dt.date] = frozenset()

    def trained_on(self, _: Plan, days: Iterable[dt.date]) -> tuple[int, ...]:
        self.asked = frozenset(days)
        return (7,)


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> Versions:
    found = Versions()
    monkeypatch.setattr(erasing, "lake_turn", held)
    monkeypatch.setattr(erasing, "erase_batches", lambda *_: {})
    monkeypatch.setattr(erasing, "feedback_of", lambda *_: None)
    monkeypatch.setattr(models, "trained_on", found.trained_on)
    return found


@pytest.fixture
def context(tmp_path: Path, settings: Settings, spark: SparkSession) -> Context:
    plan = Plan(UseCase.model_validate(USE_CASE), placed(settings, tmp_path))
    return Context(plan, Dates.one(DAY), Engine(plan.settings), {})


def deliver(context: Context, name: str, content: bytes) -> Path:
    path = Path(context.plan.settings.landing) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (1_704_200_000, 1_704_200_000))
    return path


def erased(context: Context, **entity: str) -> Receipt:
    return erase(context, entity or ANN, "asked for", lambda _: None)


def silver(
    context: Context, source: str, batch_date: dt.date, since: dt.date | None = None, **values: Any
) -> None:
    table = context.tables.silver(source)
    row = {name: values.get(name) for name in table.schema.names}
    row |= {"_batch_date": batch_date, "_file": "x", "_row": 1}
    row["_arrived_at"] = dt.datetime.combine(since or batch_date, dt.time(9), dt.UTC)
    rows = local_rows(context.engine.session(), [tuple(row.values())], table.schema)
    table.replace(rows, table.of_dates([batch_date]) if table.partition else None)


def test_what_could_not_be_searched_is_told_and_all_else_is_erased(
    context: Context, versions: Versions
) -> None:
    folder, sound = f"visits/date={DAY}", b"day,who,spent\n2024-01-02,%b,1\n"
    good = deliver(context, f"{folder}/a.csv", sound % b"ann" + b"2024-01-02,bob,1\n")
    packed = gzip.compress(sound % b"bob")
    deliver(context, f"{folder}/b.csv.gz", packed[: len(packed) // 2])
    deliver(context, f"{folder}/c.csv", sound % b"ann" + b"\xff\n")
    deliver(context, f"{folder}/d.csv", sound % b"bob" + b"\xff\n")
    deliver(context, f"{folder}/e.csv.tmp", sound % b"ann")
    deliver(context, f"{folder}/.f.csv.17.tmp", sound % b"bob")
    deliver(context, "people/.new.csv", b"who,city\nann,Rome\n")
    people = deliver(context, "people/last.csv", b"who,city\nann,Rome\nbob,Bonn\n")

    receipt = erased(context)

    assert good.read_bytes() == b"day,who,spent\n2024-01-02,bob,1\n"
    assert people.read_bytes() == b"who,city\nbob,Bonn\n"
    assert receipt.rows == {f"landing {folder}/a.csv": 1, "landing people/last.csv": 1}
    assert set(receipt.unsearched) == {
        f"{folder}/b.csv.gz",
        f"{folder}/c.csv",
        f"{folder}/e.csv.tmp",
        "people/.new.csv",
    }
    with pytest.raises(Refused) as told:
        receipt.require_all_searched()
    assert "4 landing files of visits may still name the entity" in told.value.sentence
    assert "b.csv.gz is a gzip file that cannot be unpacked" in told.value.sentence
    assert "erase again" in told.value.remedy

    for name in receipt.unsearched:
        (Path(context.plan.settings.landing) / name).unlink()
    again = erased(context)
    assert not again.unsearched
    again.require_all_searched()


def twice_declared(context: Context, *declared: str, landing: str = "") -> Context:
    """With a second source of the visits' files, which declares these of their columns."""
    visits = USE_CASE["sources"]["visits"]
    columns = {name: visits["columns"][name] for name in declared}
    second = {**visits, "key": ["day"], "columns": columns, "drift": "keep_extra"}
    second["landing"] = landing or visits["landing"]
    sources = {**USE_CASE["sources"], "again": second}
    plan = Plan(UseCase.model_validate({**USE_CASE, "sources": sources}), context.plan.settings)
    return replace(context, plan=plan)


def test_a_file_that_is_declared_twice_is_searched_for_both(
    context: Context, versions: Versions
) -> None:
    both = twice_declared(context, "day", "who")
    content = b"day,who,spent\n2024-01-02,ann,1\n2024-01-02,bob,2\n"
    name = f"visits/date={DAY}/a.csv"
    path = deliver(both, name, content)
    spark, tables = context.engine.session(), both.tables
    days = {"visits": Dates.one(DAY), "again": Dates.one(DAY)}

    def who(source: str) -> list[tuple[str, str | None]]:
        rows = tables.bronze(source).read(spark).orderBy("_arrived_at", "_row").collect()
        return [(row["who"], row["_extra"]) for row in rows]

    assert [each.rows for each in take_in(spark, tables, days)] == [2, 2]
    receipt = erased(both)
    assert path.read_bytes() == b"day,who,spent\n2024-01-02,bob,2\n"
    bronze = {"bronze.visits": 1, "bronze.again": 1}
    assert receipt.rows == {f"landing {name}": 1, **bronze}
    left = {"visits": [("bob", None)], "again": [("bob", '{"spent": "2"}')]}
    assert {source: who(source) for source in days} == left
    # Neither takes what was rewritten for a correction,
    assert [each.files for each in take_in(spark, tables, days)] == [0, 0]
    # and in neither the entity comes back.
    deliver(both, f"visits/date={DAY}/b.csv", content)
    assert [each.files for each in take_in(spark, tables, days)] == [1, 1]
    for source in days:
        assert {row[0] for row in who(source)} == {"bob"}


def test_a_file_that_was_corrected_under_its_arrival_is_known_without_the_entity(
    context: Context, versions: Versions
) -> None:
    spark, tables, days = context.engine.session(), context.tables, {"visits": Dates.one(DAY)}
    for content in (
        b"2024-01-02,ann,1\n2024-01-02,bob,2\n",
        b"2024-01-02,ann,1\n2024-01-02,bob,3\n",
    ):
        deliver(context, f"visits/date={DAY}/a.csv", b"day,who,spent\n" + content)
        assert [each.files for each in take_in(spark, tables, days)] == [1]
    erased(context)
    assert [each.files for each in take_in(spark, tables, days)] == [0]


@pytest.mark.parametrize("landing", ["", "visits/date={date}/?.csv"])
def test_a_second_source_of_its_files_that_cannot_tell_the_entity_is_named(
    context: Context, versions: Versions, landing: str
) -> None:
    deliver(context, f"visits/date={DAY}/a.csv", b"day,who,spent\n2024-01-02,ann,1\n")
    with pytest.raises(Refused) as told:
        erased(twice_declared(context, "day", "spent", landing=landing))
    assert told.value.sentence == (
        "sources.again of visits takes the files of visits and does not declare who: which of its "
        "rows are the entity's cannot be told."
    )
    assert Tombstones.read(context.tables.root).erased == {}


def test_of_the_copies_that_drills_have_made_only_those_of_this_lake_go(
    context: Context, versions: Versions
) -> None:
    drills = Path(context.plan.settings.lake) / "_drill"
    for name, use_case in (("a", "visits"), ("b", "flight_delay")):
        (drills / name / "lake" / use_case).mkdir(parents=True)
    erased(context)
    assert [each.name for each in drills.iterdir()] == ["b"]


@pytest.mark.parametrize("value", ["42.0", "nan", "x"])
def test_wrong_usage_leaves_no_tombstone(context: Context, versions: Versions, value: str) -> None:
    with pytest.raises(WrongUsage):
        erased(context, day=value)
    assert Tombstones.read(context.tables.root).erased == {}


def test_the_tombstones_know_the_entity_in_every_source(
    context: Context, versions: Versions
) -> None:
    receipt = erased(context)
    stones = Tombstones.read(context.tables.root)
    for source in context.plan.usecase.sources.values():
        assert stones.has({"who": "ann"}, source.columns)
    assert stones.erased["who",] == {receipt.tombstone}


def test_an_entity_of_daily_rows_names_the_versions_of_their_days(
    context: Context, versions: Versions
) -> None:
    silver(context, "visits", DAY, day=DAY, who="ann", spent=1.0)
    silver(context, "people", dt.date(2023, 1, 1), who="ann", city="Rome")
    assert erased(context).models == (7,)
    # The row's own day and the seven days that look back at it.
    assert versions.asked == {*Dates.one(DAY).shifted(last=7)}


def test_an_entity_of_a_snapshot_only_names_the_versions_since_it_arrived(
    context: Context, versions: Versions
) -> None:
    silver(context, "people", DAY, who="ann", city="Rome")
    assert erased(context).models == (7,)
    assert versions.asked == {*Dates(DAY, dt.date.today())}


def test_a_row_that_was_known_before_its_file_names_the_versions_since_then(
    context: Context, versions: Versions
) -> None:
    known = DAY - dt.timedelta(days=9)
    silver(context, "people", DAY, known, who="ann", city="Rome")
    erased(context)
    assert versions.asked == {*Dates(known, dt.date.today())}


def test_an_entity_without_rows_names_no_version(context: Context, versions: Versions) -> None:
    silver(context, "people", DAY, who="bob", city="Rome")
    assert erased(context).models == ()


def test_an_entity_that_a_snapshot_lists_names_the_versions_since_then_whatever_else_has_it(
    context: Context, versions: Versions
) -> None:
    visits = {
        **readers.SOURCE,
        "landing": "visits/date={date}/*",
        "arrives": {"as": "daily"},
        "date": "joined",
    }
    sources = {**readers.UNDATED.sources, "visits": Source.model_validate(visits)}
    usecase = readers.UNDATED.model_copy(update={"sources": sources})
    undated = replace(context, plan=Plan(usecase, context.plan.settings))
    silver(undated, "people", DAY, reader=1)
    silver(undated, "visits", DAY + dt.timedelta(days=3), reader=1)
    erased(undated, reader="1")
    assert versions.asked == {*Dates(DAY, dt.date.today())}


def test_of_an_entity_with_its_date_beside_the_key_only_the_dates_of_the_rows_go(
    context: Context, versions: Versions
) -> None:
    dated = replace(context, plan=Plan(readers.DATED, context.plan.settings))
    tables, later = dated.tables, DAY + dt.timedelta(days=1)
    silver(dated, "people", DAY, reader=1, joined=DAY, loans=2.0)
    rows = [{"reader": 1, "prediction_date": day, "score": 0.5} for day in (DAY, later)]
    spark, predictions = dated.engine.session(), tables.predictions()
    predictions.append(readers.rows(spark, predictions, *rows))
    # By a column that no prediction has.
    erased(dated, loans="2.0")
    left = [row["prediction_date"] for row in predictions.read(spark).collect()]
    assert left == [later]


def test_what_people_said_of_the_entity_goes_out_of_the_lake_and_then_of_the_warehouse(
    context: Context, versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    silver(context, "visits", DAY, day=DAY, who="ann", spent=1.0)
    spark, labels = context.engine.session(), context.tables.labels()
    said_at = dt.datetime(2024, 2, 1, 12, tzinfo=dt.UTC)
    rows = [(DAY, who, DAY, 1.0, said_at, said_at, None) for who in ("ann", "bob")]
    labels.append(local_rows(spark, rows, labels.schema))
    left: list[str] = []

    def feedback_of(_: Plan, __: object, keys: pa.Table) -> Feedback:
        assert {tuple(key.values()) for key in keys.to_pylist()} == {(DAY, "ann")}
        said = {"day": DAY, "who": "ann", "_arrived_at": said_at}
        return Feedback("feedback.visits", [7], [said])

    def erase_feedback(_: Plan, found: Feedback) -> None:
        assert found.rows == [7]
        # Killed before this, the next run finds in the warehouse what it has to take out of gold.
        left.extend(row["who"] for row in labels.read(spark).collect())

    monkeypatch.setattr(erasing, "feedback_of", feedback_of)
    monkeypatch.setattr(erasing, "erase_feedback", erase_feedback)
    # By a column that no label has.
    receipt = erased(context, spent="1.0")
    assert (receipt.rows["gold.labels"], receipt.rows["feedback.visits"]) == (1, 1)
    assert left == ["bob"]


def test_an_erasure_leaves_the_switch_that_another_may_need_just_now(
    context: Context, versions: Versions, spark: SparkSession
) -> None:
    silver(context, "people", DAY, who="ann", city="Rome")
    erased(context)
    spark.sql(f"VACUUM delta.`{context.tables.silver('people').path}` RETAIN 0 HOURS")
    assert spark.conf.get(RETENTION_CHECK) == "false"
