"""The statements that make a table of feedback, and what it refuses to become."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.errors import Refused
from jobs.prediction.feedback_table import FeedbackTable, created, reclassed, require_same
from jobs.prediction.published_table import Column
from jobs.settings import Settings
from tests.unit.learning import parcels

TABLE = FeedbackTable("late", (Column("day", "date"), Column("box", "integer")), "boolean")


def texts(table: FeedbackTable) -> list[str]:
    return [statement.as_string(None) for statement in created(table)]


def test_a_use_case_takes_its_key_and_labels_of_its_type(settings: Settings) -> None:
    classes = ("door", "shop", "lost")
    of_types = {"binary": "boolean", "multiclass": "string", "regression": "number"}
    for written, kind in of_types.items():
        named = {"classes": classes} if written == "multiclass" else {}
        label = {**parcels.SPEC["label"], "type": written, **named}
        table = FeedbackTable.of(parcels.plan(settings, label=label, slices=[]))
        assert table.key == (Column("sent_on", "date"), Column("parcel", "integer"))
        assert (table.label, table.classes) == (kind, tuple(named.get("classes", ())))


def test_the_moment_and_the_number_of_a_row_are_not_the_writers_to_set() -> None:
    make, write, read = texts(TABLE)
    assert make == (
        'CREATE TABLE "feedback"."late" (feedback_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY '
        """KEY, "day" date NOT NULL CHECK ("day" BETWEEN '0001-01-02' AND '9999-12-30'), """
        '"box" bigint NOT NULL, label boolean, labelled_by text NOT NULL '
        "DEFAULT current_user, labelled_at timestamptz NOT NULL DEFAULT clock_timestamp())"
    )
    assert write == (
        'GRANT INSERT ("day", "box", label, labelled_by) ON "feedback"."late" TO daybreak_labeller'
    )
    assert read == 'GRANT SELECT ON "feedback"."late" TO daybreak_labeller, daybreak_reader'


@pytest.mark.parametrize(
    ("table", "check"),
    [
        (replace(TABLE, label="number"), "label NOT IN ('NaN', 'Infinity', '-Infinity')"),
        (
            replace(TABLE, label="string", classes=("door", "it's lost", 'a "shop"')),
            "label IN ('door', 'it''s lost', 'a \"shop\"')",
        ),
    ],
)
def test_a_label_that_cannot_be_is_refused_by_the_table(table: FeedbackTable, check: str) -> None:
    wanted = (
        f'ALTER TABLE "feedback"."late" ADD CONSTRAINT label_is_possible CHECK ({check}) NOT VALID'
    )
    assert texts(table)[1] == wanted
    drop, again = (statement.as_string(None) for statement in reclassed(table))
    assert drop == 'ALTER TABLE "feedback"."late" DROP CONSTRAINT label_is_possible'
    assert again == wanted


def test_names_are_quoted() -> None:
    table = FeedbackTable('la"te', (Column('d"ay', "date"), Column("select", "string")), "boolean")
    make, write, _ = texts(table)
    assert '"feedback"."la""te"' in make
    assert '"d""ay" date NOT NULL CHECK ("d""ay" BETWEEN' in make
    assert '"select" text NOT NULL, label' in make
    assert '("d""ay", "select", label, labelled_by)' in write


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (
            replace(TABLE, key=TABLE.key[:1]),
            r"the key is \(day date\) and was \(day date, box integer\)",
        ),
        (replace(TABLE, label="number"), "a label is number and was boolean"),
    ],
)
def test_a_table_stays_of_one_key_and_type(wanted: FeedbackTable, why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        require_same(TABLE, wanted)
    assert "under a new use-case name" in refused.value.remedy


def test_another_list_of_classes_is_no_other_table() -> None:
    classes = replace(TABLE, label="string", classes=("a", "b", "c"))
    require_same(classes, replace(classes, classes=("a", "b", "d")))
