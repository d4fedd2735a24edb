"""Labels of each type, from the rows that say what came true."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.lake.local_rows import local_rows
from jobs.lake.tables import Tables
from jobs.learning.labels import labels_of, made_of
from jobs.settings import Settings
from tests.unit.learning import parcels

DAY = parcels.START
KNOWN = {"sent_on": DAY, "_batch_date": DAY, "_arrived_at": dt.datetime(2024, 1, 2, 12)}


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ({"expression": "matured_at > 2", "type": "binary"}, {1: 1.0, 2: 0.0}),
        ({"expression": "matured_at * 60", "type": "regression"}, {1: 150.0, 2: 60.0}),
        (
            {"expression": "came_to", "type": "multiclass", "classes": ["door", "shop", "lost"]},
            {1: "door", 2: "shop"},
        ),
        (
            {
                "expression": "came_to",
                "type": "multiclass",
                "classes": ["door", "other", "home"],
                "group": {"other": ["shop", "lost"], "home": ["sofa"]},
            },
            {1: "door", 2: "other"},
        ),
    ],
)
def test_a_label_is_what_its_type_says_and_null_is_none(
    spark: SparkSession, settings: Settings, label: dict[str, Any], found: dict[int, object]
) -> None:
    # What gold has itself, a source of labels may have, too.
    columns = {"matured_at": {"type": "number"}, "came_to": {"type": "string"}}
    actuals = {**parcels.SPEC["sources"]["actuals"], "columns": {**parcels.KEY, **columns}}
    plan = parcels.plan(
        settings,
        sources={**parcels.SPEC["sources"], "actuals": actuals},
        label={**parcels.SPEC["label"], **label},
        slices=[],
    )
    told = [(1, 2.5, "door"), (2, 1.0, "shop"), (3, None, None)]
    known = [{**KNOWN, "parcel": n, "matured_at": h, "came_to": way} for n, h, way in told]
    schema = Tables(plan).silver("actuals").schema
    rows = [tuple(row.get(field.name) for field in schema) for row in known]
    made = Tables(plan).labels().conforming(labels_of(plan, local_rows(spark, rows, schema)))
    assert {row["parcel"]: row["label"] for row in made.collect()} == found


def test_labels_are_written_again_only_if_the_declaration_changes_one(settings: Settings) -> None:
    def declared(**more: Any) -> object:
        label = {**parcels.SPEC["label"], "type": "multiclass", "classes": ["a", "b", "other"]}
        plan = parcels.plan(settings, label={**label, **more}, slices=[])
        made = made_of(plan, Tables(plan).labels(), None, {"all": {}})
        return made["all"]["declared"]

    assert declared(rare={"share": 0.01}) == declared()
    assert declared(group={"other": ["c"]}) != declared()
