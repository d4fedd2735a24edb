"""What is told of the labels of a training."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs.errors import Refused
from jobs.learning.agreement import Agreement
from jobs.learning.label_quality import LabelQuality, gathered
from jobs.learning.targets.binary import Binary
from jobs.learning.targets.multiclass import Multiclass
from jobs.learning.targets.regression import Regression
from jobs.learning.targets.target import Target
from jobs.usecase import Entity, Label, Rare
from tests.unit.learning import parcels

FEATURES = ("hour", "rain", "depot")


def quality(
    spark: SparkSession,
    target: Target,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    rare: Rare | None = None,
) -> LabelQuality:
    parts = {"training": train, "validation": validation}
    frames = {name: parcels.frame(spark, part) for name, part in parts.items()}
    return LabelQuality.of(frames, 250, FEATURES, target, rare or Rare(rows=50))


def rows(labels: list[object]) -> pd.DataFrame:
    """Rows without two of the same hour."""
    found = parcels.rows(days=1, per_day=len(labels))
    return found.assign(hour=range(len(labels)), rain=None, depot="south", label=labels)


def test_rows_are_counted_by_class_and_part(spark):
    found = quality(spark, Binary(), rows([1.0] * 20 + [0.0] * 60), rows([1.0, 0.0, 0.0]))
    assert found.rows == {"training": 80, "validation": 3}
    assert found.classes == {
        "no": {"training": 60, "validation": 2},
        "yes": {"training": 20, "validation": 1},
    }
    assert found.labelled == 83
    found.require_whole()


def test_equal_features_with_another_class_contradict_each_other(spark):
    train = rows([1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    # The first three are alike, as are the next two.
    train["hour"] = [1, 1, 1, 2, 2, 3, 4]
    found = quality(spark, Binary(), train, rows([1.0, 0.0]).assign(hour=[8, 9]))
    assert (found.alike, found.conflicting) == (5, 3)
    assert found.sentence == (
        "Labels: 241 of 250 entities (96.4%) have no final label; 3 of 9 rows (33.3%) have the "
        "features of a row of another class; classes with fewer than 50 training rows: no (4), "
        "yes (3)."
    )


def test_a_missing_value_is_not_that_of_another_column(spark):
    train = rows([1.0, 0.0, 1.0, 0.0])
    train["hour"], train["rain"] = [None, 5.0, None, 6.0], [5.0, None, None, None]
    found = quality(spark, Binary(), train, rows([1.0, 0.0]).assign(hour=[8, 9]))
    assert (found.alike, found.conflicting) == (0, 0)


def test_a_part_without_rows_or_without_a_class_is_refused(spark):
    target = Multiclass(("door", "shop", "neighbour"))
    train = rows(["door", "shop", "neighbour"] * 3)
    quality(spark, target, train, train).require_whole()
    empty = quality(spark, Regression(), rows([1.0]), rows([1.0]).head(0))
    with pytest.raises(Refused, match="The validation part of the split has no rows"):
        empty.require_whole()
    with pytest.raises(Refused, match="None of 4 validation rows is of class shop, neighbour"):
        quality(spark, target, train, rows(["door"] * 4)).require_whole()


def test_numbers_do_not_contradict_each_other(spark):
    found = quality(spark, Regression(), rows([1.0, 2.0]).assign(hour=1), rows([3.0]))
    assert (found.rows, found.classes) == ({"training": 2, "validation": 1}, {})
    assert (found.alike, found.conflicting) == (2, None)
    assert found.sentence == "Labels: 247 of 250 entities (98.8%) have no final label."
    found.require_whole()


def test_what_is_rare_is_declared_and_what_was_gathered_may_not_be(spark):
    target, found = Multiclass(("door", "shop", "other")), {}
    train = rows(["door"] * 30 + ["shop"] * 7 + ["other"] * 3)
    for name, rare in (("rows", Rare(rows=8)), ("both", Rare(rows=2, share=0.1))):
        found[name] = quality(spark, target, train, rows(["door", "shop", "other"]), rare)
    assert found["rows"].rare == {"shop": 7, "other": 3}
    assert (found["both"].few, found["both"].rare) == (4, {"other": 3})
    gathered = {"other": {"lost": 8, "stolen": 0}}
    assert (
        found["rows"]
        .model_copy(update={"gathered": gathered})
        .sentence.endswith(
            "; classes with fewer than 8 training rows: shop (7), other (3); classes that "
            "label.group gathers, with 8 training rows or more: lost (8)."
        )
    )
    # With a class less there would still be three.
    classes = {**found["rows"].classes, "ship": {"training": 9, "validation": 1}}
    several = found["rows"].model_copy(update={"classes": classes})
    assert "other (3), which label.group can gather" in several.sentence


def test_gathered_classes_are_counted_by_what_the_source_says(spark):
    label = Label(
        source="actuals",
        expression="lower(came_to)",
        type="multiclass",
        classes=("door", "shop", "other"),
        group={"other": ("lost", "stolen", "torn")},
    )
    told = ["LOST", "Lost", "stolen", "door", "torn"]
    labels = ["other", "other", "other", "door", "door"]
    train = parcels.frame(spark, rows(labels))
    said = train.select("sent_on", "parcel").toPandas().assign(came_to=told)
    entity = Entity.model_validate(parcels.SPEC["entity"])
    found = gathered(train, spark.createDataFrame(pa.Table.from_pandas(said)), label, entity)
    # The last one is what a person said it is.
    assert found == {"other": {"lost": 2, "stolen": 1, "torn": 0}}


def test_how_far_people_agree_is_told(spark):
    found = quality(spark, Binary(), rows([1.0, 0.0] * 60), rows([1.0, 0.0])).model_copy(
        update={
            "labellers": Agreement.of_two({("y", "y"): 20, ("y", "n"): 5, ("n", "n"): 25}),
            "people": Agreement.of_several({("false", "true", "true"): 3}),
        }
    )
    assert found.sentence.endswith(
        "; in the source 50 rows were labelled by two or more, who agree in 90.0% (Cohen's kappa "
        "0.80); in feedback 3 rows were labelled by two or more, who agree in 33.3% "
        "(Krippendorff's alpha -0.33)."
    )
    assert LabelQuality.model_validate_json(found.model_dump_json()) == found


def test_what_was_told_is_read_again(spark):
    found = quality(spark, Binary(), rows([1.0, 0.0]), rows([1.0, 0.0]))
    assert LabelQuality.model_validate_json(found.model_dump_json()) == found
