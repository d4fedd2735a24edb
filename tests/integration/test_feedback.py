"""Labels that people write into a real Postgres: who may, what is refused, what the lake takes in.

The lake's tables are small and written by hand.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from psycopg import errors

from jobs.context import Context
from jobs.engine import Engine
from jobs.erasure.warehouse import erase_feedback, feedback_of
from jobs.errors import Refused
from jobs.lake.local_rows import local_rows
from jobs.lake.made import WHOLE, Made
from jobs.lake.tables import Tables
from jobs.lake.tombstones import Tombstones
from jobs.learning.dataset import labelled
from jobs.plan import Dates, Plan
from jobs.prediction.feedback import ERASED, NO_CLASS, by_part, waiting
from jobs.prediction.labelled_twice import labelled_twice
from jobs.prediction.warehouse import connect
from jobs.settings import Settings
from jobs.steps import run
from jobs.usecase import UseCase
from tests.integration.warehouse_server import warehouse_server
from tests.unit import readers
from tests.unit.learning import parcels

DAY = parcels.START
ARRIVED = dt.datetime(2024, 1, 2, 12, tzinfo=dt.UTC)
BEFORE = dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
CLASSES = ["door", "shop", "lost"]
LATE = {**parcels.SPEC["label"], "feedback": True}
CAME_TO = {**LATE, "expression": "came_to", "type": "multiclass", "classes": CLASSES}


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with warehouse_server() as server:
        yield server.settings


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[Engine]:
    started = Engine(settings)
    started.session().sparkContext.setLogLevel("OFF")
    yield started
    started.stop()


def plan_of(settings: Settings, name: str, label: dict[str, Any]) -> Plan:
    told = {**parcels.KEY, "late": {"type": "boolean"}, "came_to": {"type": "string"}}
    actuals = {**parcels.SPEC["sources"]["actuals"], "columns": told}
    sources = {**parcels.SPEC["sources"], "actuals": actuals}
    return parcels.plan(settings, name=name, sources=sources, label=label, slices=[])


@pytest.fixture
def plan(settings: Settings, request: pytest.FixtureRequest) -> Plan:
    """A use case of the test's own, with its table in the warehouse."""
    found = plan_of(settings, request.node.name.partition("[")[0][5:50], LATE)
    by_part(found)
    return found


@pytest.fixture
def context(engine: Engine, plan: Plan) -> Context:
    return with_a_day(engine, plan)


def with_a_day(engine: Engine, plan: Plan) -> Context:
    """The night after a day of three parcels, with its features and what the source says."""
    spark, tables = engine.session(), Tables(plan)
    row = {"sent_on": DAY, "late": False, "came_to": "door", "_batch_date": DAY, "_file": "x"}
    row |= {"_row": 1, "_arrived_at": ARRIVED}
    for source in ("plan", "actuals"):
        table = tables.silver(source)
        rows = [{**row, "parcel": n} for n in range(3)]
        found = [tuple(each.get(name) for name in table.schema.names) for each in rows]
        table.append(local_rows(spark, found, table.schema))
        Made(table).record({str(DAY): {"declared": "1", "files": []}}, 1)
    aside = replace(tables.labels(), path=f"{tables.root}/aside")
    parcels.write(spark, tables.features(), aside, parcels.rows(days=1, per_day=3))
    by_part(plan)
    return Context(plan, Dates.one(DAY + dt.timedelta(days=1)), engine, {})


def write(context: Context, parcel: int, label: object, day: dt.date = DAY) -> None:
    with connect(context.plan.settings, "labeller") as labeller:
        _write(labeller, context.plan.name, parcel, label, day)


def _write(
    labeller: Any, name: str, parcel: int, label: object, day: dt.date = DAY, who: str = "ann"
) -> None:
    query = f"INSERT INTO {name} (sent_on, parcel, label, labelled_by) VALUES (%s, %s, %s, %s)"
    labeller.execute(query.encode(), [day, parcel, label, who])


def known(context: Context, moment: dt.datetime | None = None) -> dict[int, object]:
    """What a training learns that knows what was known at a moment; None: now."""
    at = moment or dt.datetime.now(dt.UTC)
    rows = labelled(context.tables, context.engine.session(), Dates.one(DAY), at)
    return {row["parcel"]: row["label"] for row in rows.collect()}


def test_labels_of_several_people_are_counted_by_entity(context: Context) -> None:
    assert labelled_twice(context.plan, dt.datetime.now(dt.UTC)) == {}
    said = [(0, "ann", True), (0, "bob", False), (0, "bob", True), (1, "ann", False)]
    said += [(1, "bob", True), (1, "cid", False), (1, "cid", None), (2, "ann", True)]
    with connect(context.plan.settings, "labeller") as labeller:
        for parcel, who, label in said:
            _write(labeller, context.plan.name, parcel, label, who=who)
    found = labelled_twice(context.plan, dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1))
    assert found == {("true", "true"): 1, ("false", "true"): 1}
    assert labelled_twice(context.plan, ARRIVED) == {}


class TestWho:
    def test_a_labeller_adds_rows_that_a_reader_reads(self, plan: Plan) -> None:
        before = dt.datetime.now(dt.UTC)
        with connect(plan.settings, "labeller") as labeller:
            query = f"INSERT INTO {plan.name} (sent_on, parcel, label) VALUES (%s, 1, true)"
            labeller.execute(query.encode(), [DAY])
        with connect(plan.settings, "reader") as reader:
            found = reader.execute(f"SELECT * FROM feedback.{plan.name}".encode())
            ((number, day, parcel, label, by, at),) = found.fetchall()
        assert (number, day, parcel, label, by) == (1, DAY, 1, True, "daybreak_labeller")
        assert before < at < dt.datetime.now(dt.UTC)

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE {} SET label = false",
            "DELETE FROM {}",
            "TRUNCATE {}",
            "DROP TABLE {}",
            "INSERT INTO {} (sent_on, parcel, label, labelled_at) VALUES (now(), 1, true, now())",
            "INSERT INTO {} (sent_on, parcel, label, feedback_id) VALUES (now(), 1, true, 9)",
            "CREATE TABLE feedback.mine (a int)",
            "CREATE TEMP TABLE mine (a int)",
            "SELECT * FROM predictions._live",
            "SELECT * FROM daybreak.feedback",
            "SET ROLE daybreak_publisher",
        ],
    )
    def test_a_labeller_adds_rows_and_nothing_else(self, plan: Plan, statement: str) -> None:
        with (
            connect(plan.settings, "labeller") as labeller,
            pytest.raises((errors.InsufficientPrivilege, errors.GeneratedAlways)),
        ):
            labeller.execute(statement.format(f"feedback.{plan.name}").encode())

    def test_a_reader_adds_none(self, plan: Plan) -> None:
        with connect(plan.settings, "reader") as reader:
            reader.execute("SET default_transaction_read_only = off")
            with pytest.raises(errors.InsufficientPrivilege):
                _write(reader, f"feedback.{plan.name}", 1, label=True)


class TestWhat:
    def test_a_label_that_cannot_be_is_refused_at_once(self, engine: Engine) -> None:
        classes = plan_of(engine.settings, "of_classes", CAME_TO)
        numbers = plan_of(
            engine.settings, "of_numbers", {**LATE, "expression": "parcel", "type": "regression"}
        )
        for plan, good, bad in ((classes, "shop", "Shop"), (numbers, 1.5, float("nan"))):
            by_part(plan)
            with connect(plan.settings, "labeller") as labeller:
                for label in (good, None):
                    _write(labeller, plan.name, 1, label)
                with pytest.raises(errors.CheckViolation, match="label_is_possible"):
                    _write(labeller, plan.name, 1, bad)
                with pytest.raises(errors.NotNullViolation):
                    _write(labeller, plan.name, None, good)  # type: ignore[arg-type]

    def test_a_day_that_no_calendar_has_is_refused_at_once(self, plan: Plan) -> None:
        with connect(plan.settings, "labeller") as labeller:
            for day in ("infinity", "0044-03-15 BC", "10000-01-01"):
                with pytest.raises(errors.CheckViolation):
                    labeller.execute(
                        f"INSERT INTO feedback.{plan.name} (sent_on, parcel, label) "
                        "VALUES (%s, 1, true)".encode(),
                        [day],
                    )

    def test_a_class_that_is_gone_is_left_out_and_a_new_one_is_taken(self, engine: Engine) -> None:
        context = with_a_day(engine, plan_of(engine.settings, "reclassed", CAME_TO))
        write(context, 1, "lost")
        assert "1 rows of feedback" in run("labels", context).sentence
        now = plan_of(engine.settings, "reclassed", {**CAME_TO, "classes": ["door", "shop", "box"]})
        later = replace(context, plan=now)
        by_part(now)
        write(later, 2, "box")
        with pytest.raises(errors.CheckViolation):
            write(later, 0, "lost")
        assert f"1 rows of feedback left out, {NO_CLASS}" in run("labels", later).sentence
        assert known(later) == {0: "door", 1: "door", 2: "box"}

    def test_another_key_or_type_is_refused(self, plan: Plan) -> None:
        number = {**LATE, "type": "regression", "expression": "parcel"}
        other = plan_of(plan.settings, plan.name, number)
        with pytest.raises(Refused, match="a label is number and was boolean"):
            by_part(other)


class TestTakingIn:
    def test_each_row_once_and_nothing_of_before_changes(self, context: Context) -> None:
        run("labels", context)
        assert known(context) == {0: 0.0, 1: 0.0, 2: 0.0}
        assert waiting(context.plan) == 0
        write(context, 1, True)
        write(context, 2, True)
        write(context, 2, None)
        write(context, 77, True)
        assert waiting(context.plan) == 4
        said = run("labels", context).sentence
        assert "4 rows of feedback are among" in said
        assert "1 of them with a key that plan does not have" in said
        assert waiting(context.plan) == 0
        assert known(context) == {0: 0.0, 1: 1.0}
        assert known(context, BEFORE) == {0: 0.0, 1: 0.0, 2: 0.0}
        version = context.tables.labels().version()
        assert "written already" in run("labels", context).sentence
        assert context.tables.labels().version() == version

    def test_what_is_committed_late_is_not_passed_over(self, context: Context) -> None:
        settings, name = context.plan.settings, context.plan.name
        with connect(settings, "labeller", autocommit=False) as slow:
            _write(slow, name, 1, label=True)
            write(context, 2, True)
            run("labels", context)
            assert known(context) == {0: 0.0, 1: 0.0, 2: 1.0}
            slow.commit()
        assert waiting(context.plan) == 1
        run("labels", context)
        assert known(context) == {0: 0.0, 1: 1.0, 2: 1.0}

    def test_of_a_day_long_ago(self, context: Context) -> None:
        run("labels", context)
        write(context, 1, True)
        later = replace(context, dates=Dates.one(DAY + dt.timedelta(days=200)))
        run("labels", later)
        assert known(context) == {0: 0.0, 1: 1.0, 2: 0.0}


class TestWhoseDateIsNotInTheKey:
    @pytest.mark.parametrize(
        ("usecase", "day"), [(readers.UNDATED, None), (readers.DATED, readers.START)]
    )
    def test_words_are_taken_in_once_and_can_be_erased(
        self, engine: Engine, usecase: UseCase, day: dt.date | None
    ) -> None:
        label = usecase.label.model_copy(update={"feedback": True})
        name = "said_of_readers" if day is None else "said_of_joined_readers"
        plan = readers.plan(
            engine.settings, usecase.model_copy(update={"name": name, "label": label})
        )
        tables, spark = Tables(plan), engine.session()
        row = {"reader": 1, "joined": readers.START, "gave_up": False, "_arrived_at": ARRIVED}
        for source in ("people", "ended"):
            table = tables.silver(source)
            table.append(readers.rows(spark, table, {**row, "_file": "x", "_row": 1}))
            Made(table).record({WHOLE: {"declared": "1", "files": []}}, 1)
        context = Context(plan, Dates.one(DAY + dt.timedelta(days=9)), engine, {})
        run("labels", context)
        dated = {} if day is None else {"prediction_date": day}
        columns = ", ".join(("reader", *dated, "label"))
        marks = ", ".join(["%s"] * (2 + len(dated)))
        query = f"INSERT INTO {name} ({columns}) VALUES ({marks})".encode()
        with connect(plan.settings, "labeller") as labeller:
            for reader in (1, 2):
                labeller.execute(query, [reader, *dated.values(), True])
        assert waiting(plan) == 2
        said = run("labels", context).sentence
        assert "2 rows of feedback" in said
        assert "1 of them with a key that people does not have" in said
        assert waiting(plan) == 0
        assert "written already" in run("labels", context).sentence
        newest = tables.labels().read(spark).where("_superseded_at is null")
        assert {row["reader"]: row["label"] for row in newest.collect()} == {1: 1.0, 2: 1.0}

        keys = pa.table({"reader": [2], **{each: [day] for each in dated}})
        found = feedback_of(plan, {"loans": "1"}, keys)
        assert found is not None
        assert [version["reader"] for version in found.versions] == [2]
        erase_feedback(plan, found)
        run("labels", context)
        newest = tables.labels().read(spark).where("_superseded_at is null")
        assert {row["reader"]: row["label"] for row in newest.collect()} == {1: 1.0}


class TestErasure:
    def test_what_was_said_of_an_entity_goes(self, context: Context) -> None:
        plan = context.plan
        for parcel in range(3):
            write(context, parcel, True)
        run("labels", context)
        keys = pa.table({"sent_on": [DAY], "parcel": [2]})
        by_value = {"parcel": "1"}
        found = feedback_of(plan, by_value, keys)
        assert found is not None
        assert [row["parcel"] for row in found.versions] == [1, 2]
        # By what no key has, only the keys tell.
        other = feedback_of(plan, {"tailnum": "N1"}, keys)
        assert other is not None
        assert [row["parcel"] for row in other.versions] == [2]
        erase_feedback(plan, found)
        assert feedback_of(plan, by_value, keys) == replace(found, rows=[], versions=[])
        # The date is looked at again by itself.
        run("labels", context)
        assert known(context) == {0: 1.0, 1: 0.0, 2: 0.0}

    def test_what_was_erased_is_not_taken_in_again(self, context: Context) -> None:
        columns = context.plan.usecase.sources["plan"].columns
        stones = Tombstones.read(context.tables.root).with_another({"parcel": "1"}, [columns])
        stones.write(context.tables.root)
        write(context, 1, True)
        write(context, 2, True)
        said = run("labels", context).sentence
        assert f"1 rows of feedback left out, {ERASED}" in said
        assert known(context) == {0: 0.0, 1: 0.0, 2: 1.0}

    def test_a_use_case_that_never_took_any_has_none(self, settings: Settings) -> None:
        plan = plan_of(settings, "never_asked", parcels.SPEC["label"])
        keys = pa.table({"sent_on": [DAY], "parcel": [2]})
        assert feedback_of(plan, {"parcel": "1"}, keys) is None
        assert waiting(plan) is None
