"""What the labels of a training are worth: how many are missing, contradict each other, are rare.

A training set is no better than its labels, and no metric of a model tells of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.errors import Refused
from jobs.learning.agreement import Agreement
from jobs.usecase import FEW_ROWS, FEWEST_CLASSES, Entity, Label, Rare

if TYPE_CHECKING:
    from jobs.learning.targets.target import Target

TRAINING = "training"


class LabelQuality(BaseModel):
    """Of the rows that a training could learn from.

    Attributes:
        entities: rows of `gold.features` on the days of the training.
        rows: labelled rows by part; the holdout's are among them where time does not cut it.
        classes: the same by class and part; empty where labels are numbers.
        alike: labelled rows with the very features of another one.
        conflicting: those of them whose likes are not all of one class; None of numbers.
        few: with fewer training rows than this a class is rare.
        gathered: training rows of the classes that became another one, by that one and by class.
        labellers: agreement of the people whose labels the source has in columns.
        people: that of the people who wrote labels into the warehouse.
    """

    model_config = ConfigDict(frozen=True)

    entities: int
    rows: Mapping[str, int]
    classes: Mapping[str, Mapping[str, int]]
    alike: int
    conflicting: int | None
    few: int = FEW_ROWS
    gathered: Mapping[str, Mapping[str, int]] = {}
    labellers: Agreement | None = None
    people: Agreement | None = None

    @classmethod
    def of(
        cls,
        parts: Mapping[str, DataFrame],
        entities: int,
        features: tuple[str, ...],
        target: Target,
        rare: Rare,
    ) -> LabelQuality:
        """Of parts by name, with rows as `dataset.labelled` gives them."""
        named = [part.withColumn("_part", F.lit(name)) for name, part in parts.items()]
        rows = target.coded(reduce(DataFrame.unionByName, named))
        label = F.col("label") if target.names else F.lit(0.0)
        counted = {
            (part, place): count
            for part, place, count in rows.groupBy("_part", label).count().collect()
        }
        alike, conflicting = _alike(rows, features)
        by_part = {p: sum(n for (part, _), n in counted.items() if part == p) for p in parts}
        return cls(
            entities=entities,
            rows=by_part,
            classes={
                name: {part: counted.get((part, float(place)), 0) for part in parts}
                for place, name in enumerate(target.names)
            },
            alike=alike,
            conflicting=conflicting if target.names else None,
            few=rare.under(by_part[TRAINING]),
        )

    @property
    def labelled(self) -> int:
        return sum(self.rows.values())

    @property
    def rare(self) -> Mapping[str, int]:
        """The classes with few training rows, and how many."""
        return {n: rows[TRAINING] for n, rows in self.classes.items() if rows[TRAINING] < self.few}

    @property
    def no_longer_rare(self) -> Mapping[str, int]:
        """The classes that became another one and have training rows enough, and how many."""
        members = (each for group in self.gathered.values() for each in group.items())
        return {name: rows for name, rows in members if rows >= self.few}

    @property
    def sentence(self) -> str:
        """The short of it."""
        return f"Labels: {self.said}."

    @property
    def said(self) -> str:
        """What the sentence says of the labels, without its beginning and its end."""
        missing, all_rows = self.entities - self.labelled, max(1, self.labelled)
        said = [
            f"{missing} of {self.entities} entities ({missing / max(1, self.entities):.1%}) have "
            "no final label",
        ]
        if self.conflicting is not None:
            said.append(
                f"{self.conflicting} of {self.labelled} rows ({self.conflicting / all_rows:.1%}) "
                "have the features of a row of another class"
            )
        if self.rare:
            found = f"classes with fewer than {self.few} training rows: {_listed(self.rare)}"
            said.append(found + (", which label.group can gather" if self._can_gather else ""))
        if enough := self.no_longer_rare:
            found = f"classes that label.group gathers, with {self.few} training rows or more"
            said.append(f"{found}: {_listed(enough)}")
        for of, agreement in (("the source", self.labellers), ("feedback", self.people)):
            if agreement is not None:
                said.append(f"in {of} {agreement.sentence}")
        return "; ".join(said)

    @property
    def _can_gather(self) -> bool:
        """Whether there would be classes enough with one less."""
        return len(self.classes) > FEWEST_CLASSES

    def require_whole(self) -> None:
        """Raise `Refused` if a part has no rows, or none of a class."""
        for part, rows in self.rows.items():
            if not rows:
                raise Refused(
                    f"The {part} part of the split has no rows with a known label.",
                    "Bring in more days, or choose another cutoff; where the split is by groups, "
                    "few groups may leave a part empty: split by another column.",
                )
            lacking = [name for name, found in self.classes.items() if not found[part]]
            if lacking:
                gather = "gather it into another one by label.group, " if self._can_gather else ""
                raise Refused(
                    f"None of {rows} {part} rows is of class {', '.join(lacking)}.",
                    "Make the part larger, take the class out of label.expression (and "
                    f"label.classes), {gather}or keep each class's share in each part: "
                    "`split: {by: random, stratify: true}`.",
                )


def gathered(
    train: DataFrame, outcomes: DataFrame, label: Label, entity: Entity
) -> dict[str, dict[str, int]]:
    """Rows of a part by what became of their class, and by what the source says that it is.

    Args:
        outcomes: rows of the label's source, as `dataset.outcomes` gives them.
    """
    said = {name: F.col(name) for name in entity.key}
    if entity.date is not None:
        said["prediction_date"] = F.col(entity.date)
    said["_said"] = F.expr(label.expression).cast("string")
    of_source = outcomes.select(*[column.alias(name) for name, column in said.items()])
    unique = [name for name in said if name != "_said"]
    both = train.select(*unique, "label").join(of_source, on=unique, how="inner")
    counts = both.groupBy("label", "_said").count().collect()
    counted = {(into, name): rows for into, name, rows in counts}
    return {
        into: {name: counted.get((into, name), 0) for name in names}
        for into, names in label.group.items()
    }


def _listed(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in rows.items())


def _alike(rows: DataFrame, features: tuple[str, ...]) -> tuple[int, int]:
    """How many rows have features that another one has too, and of these also another label."""
    # The hash passes over what is missing, and takes a value in another column for the same.
    missing = [F.col(name).isNull() for name in features]
    same = rows.groupBy(F.xxhash64(*features, *missing).alias("features")).agg(
        F.count("*").alias("rows"), (F.min("label") < F.max("label")).alias("differ")
    )
    several = same.where(F.col("rows") > 1)
    conflict = F.when(F.col("differ"), F.col("rows"))
    alike, conflicting = several.agg(F.sum("rows"), F.sum(conflict)).collect()[0]
    return alike or 0, conflicting or 0
