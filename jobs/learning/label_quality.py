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

if TYPE_CHECKING:
    from jobs.learning.targets.target import Target

TRAINING = "training"
# A class with fewer training rows is named: ten rows for each column that matters are a common
# rule of thumb for a logistic regression (Peduzzi et al., Journal of Clinical Epidemiology 49(12),
# 1996), and five such columns are few.
FEW = 50


class LabelQuality(BaseModel):
    """Of the rows that a training could learn from.

    Attributes:
        entities: rows of `gold.features` on the days of the training.
        rows: labelled rows by part; the holdout's are among them where time does not cut it.
        classes: the same by class and part; empty where labels are numbers.
        alike: labelled rows with the very features of another one.
        conflicting: those of them whose likes are not all of one class; None of numbers.
        labellers: agreement of the people whose labels the source has in columns.
        people: that of the people who wrote labels into the warehouse.
    """

    model_config = ConfigDict(frozen=True)

    entities: int
    rows: Mapping[str, int]
    classes: Mapping[str, Mapping[str, int]]
    alike: int
    conflicting: int | None
    labellers: Agreement | None = None
    people: Agreement | None = None

    @classmethod
    def of(
        cls,
        parts: Mapping[str, DataFrame],
        entities: int,
        features: tuple[str, ...],
        target: Target,
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
        return cls(
            entities=entities,
            rows={p: sum(n for (part, _), n in counted.items() if part == p) for p in parts},
            classes={
                name: {part: counted.get((part, float(place)), 0) for part in parts}
                for place, name in enumerate(target.names)
            },
            alike=alike,
            conflicting=conflicting if target.names else None,
        )

    @property
    def labelled(self) -> int:
        return sum(self.rows.values())

    @property
    def rare(self) -> Mapping[str, int]:
        """The classes with few training rows, and how many."""
        return {n: rows[TRAINING] for n, rows in self.classes.items() if rows[TRAINING] < FEW}

    @property
    def sentence(self) -> str:
        """The short of it."""
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
            few = ", ".join(f"{name} ({rows})" for name, rows in self.rare.items())
            said.append(f"classes with fewer than {FEW} training rows: {few}")
        for of, agreement in (("the source", self.labellers), ("feedback", self.people)):
            if agreement is not None:
                said.append(f"in {of} {agreement.sentence}")
        return f"Labels: {'; '.join(said)}."

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
                raise Refused(
                    f"None of {rows} {part} rows is of class {', '.join(lacking)}.",
                    "Make the part larger, take the class out of label.expression (and "
                    "label.classes), or keep each class's share in each part: `split: {by: "
                    "random, stratify: true}`.",
                )


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
