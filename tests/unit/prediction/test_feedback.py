"""Which rows that people wrote are taken in."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from jobs.lake.tables import Tables
from jobs.lake.tombstones import Tombstones
from jobs.prediction.feedback import ERASED, NO_CLASS, sorted_out
from jobs.settings import Settings
from tests.unit import readers
from tests.unit.learning import parcels
from tests.unit.places import placed

CLASSES = {**parcels.SPEC["label"], "type": "multiclass", "classes": ["door", "shop", "box"]}


def row(parcel: int, label: object) -> dict[str, Any]:
    return {"sent_on": parcels.START, "parcel": parcel, "label": label, "_given": parcel}


@pytest.mark.parametrize(
    ("label", "written", "taken", "left_out"),
    [
        (parcels.SPEC["label"], [True, False, None], [1.0, 0.0, None], {}),
        (CLASSES, ["shop", "lost", None, "lost"], ["shop", None], {NO_CLASS: 2}),
    ],
)
def test_a_class_that_is_gone_is_left_out_and_counted(
    settings: Settings,
    label: dict[str, Any],
    written: list[object],
    taken: list[object],
    left_out: dict[str, int],
) -> None:
    plan = parcels.plan(settings, label=label, slices=[])
    found = sorted_out(plan, [row(n, each) for n, each in enumerate(written)])
    assert [each["label"] for each in found.rows] == taken
    assert found.left_out == left_out


def test_what_was_erased_is_not_taken_in_again(settings: Settings, tmp_path: Path) -> None:
    plan = parcels.plan(placed(settings, tmp_path))
    columns = plan.usecase.sources["plan"].columns
    for entity in ({"parcel": "1"}, {"parcel": "2", "sent_on": str(parcels.START)}):
        root = Tables(plan).root
        Tombstones.read(root).with_another(entity, [columns]).write(root)
    found = sorted_out(plan, [row(n, label=True) for n in range(4)])
    assert [each["parcel"] for each in found.rows] == [0, 3]
    assert found.left_out == {ERASED: 2}


def test_what_was_erased_by_its_date_is_known_where_that_is_beside_the_key(
    settings: Settings, tmp_path: Path
) -> None:
    plan = readers.plan(placed(settings, tmp_path), readers.DATED)
    columns = plan.usecase.sources["people"].columns
    root, day = Tables(plan).root, readers.START
    stone = {"reader": "1", "joined": str(day)}
    Tombstones.read(root).with_another(stone, [columns]).write(root)
    rows = [
        {"reader": reader, "prediction_date": date, "label": True, "_given": 1}
        for reader, date in ((1, day), (1, day + dt.timedelta(days=1)), (2, day))
    ]
    found = sorted_out(plan, rows)
    assert [(row["reader"], row["prediction_date"]) for row in found.rows] == [
        (1, day + dt.timedelta(days=1)),
        (2, day),
    ]
    assert found.left_out == {ERASED: 1}
