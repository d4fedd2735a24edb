"""Parts that are cut by a hash, so that an entity or a group keeps its part whatever its dates.

The hash is the same on every machine, at every time and in any order of the rows; the seed of the
use case's model goes into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict
from pyspark.sql import Window
from pyspark.sql import functions as F

from jobs.errors import Refused
from jobs.learning.dataset import Parts
from jobs.plan import Plan
from jobs.usecase import GroupSplit, RandomSplit, TimeSplit

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Hashes lie from 0 to below this.
HASHES = 2**31


def hash_of(word: str, columns: tuple[str, ...]) -> Column:
    """A number from 0 to below `HASHES`, spread evenly over the values of some columns.

    Each use hashes with a word of its own, so that one says nothing about another.
    """
    return F.pmod(F.xxhash64(F.lit(word), *columns), F.lit(HASHES))


class Cut(BaseModel):
    """Where the hashes of holdout and validation end; above are the rows that are trained on.

    It is kept with a training, so that its parts can be told apart in rows of another day.

    Attributes:
        columns: what is hashed, the entity's key or the group.
        grouped: whether that names groups of rows that hang together.
        ends: of holdout, and of validation.
        by_class: the same of single labels, as text, where classes keep their shares.
    """

    model_config = ConfigDict(frozen=True)

    columns: tuple[str, ...]
    grouped: bool
    seed: int
    ends: tuple[int, int]
    by_class: Mapping[str, tuple[int, int]] = {}

    @classmethod
    def of(cls, rows: DataFrame, plan: Plan) -> Self | None:
        """That of a training's rows, as `dataset.labelled` gives them; None if time cuts them.

        Raises:
            Refused: rows without a group.
        """
        rules, usecase = plan.usecase.split, plan.usecase
        if isinstance(rules, TimeSplit):
            return None
        group = rules.group if isinstance(rules, GroupSplit) else None
        if group is not None:
            _require_groups(rows, group)
        shares = (rules.holdout, rules.holdout + rules.validation)
        found = cls(
            columns=usecase.entity.key if group is None else (group,),
            grouped=group is not None,
            seed=usecase.model.seed,
            ends=(round(shares[0] * HASHES), round(shares[1] * HASHES)),
        )
        if isinstance(rules, RandomSplit) and rules.stratify:
            return found.model_copy(update={"by_class": found._stratified(rows, shares)})
        return found

    def parts(self, rows: DataFrame) -> Parts:
        """What is trained and validated on; the holdout's rows are in neither part."""
        return Parts(
            rows.where(self._hash >= self._end(1)),
            rows.where((self._hash >= self._end(0)) & (self._hash < self._end(1))),
        )

    def held_out(self) -> Column:
        """Whether a row, with its label as `gold.labels` has it, is of the holdout."""
        return self._hash < self._end(0)

    def is_like(self, other: Cut) -> bool:
        """Whether another one puts the same rows into the same order."""
        return (self.columns, self.seed) == (other.columns, other.seed)

    @property
    def _hash(self) -> Column:
        return hash_of(f"split {self.seed}", self.columns)

    def _end(self, place: int) -> Column:
        end = F.lit(self.ends[place])
        for label, ends in self.by_class.items():
            end = F.when(F.col("label").cast("string") == label, ends[place]).otherwise(end)
        return end

    def _stratified(
        self, rows: DataFrame, shares: tuple[float, float]
    ) -> dict[str, tuple[int, int]]:
        """The ends for each label: the hashes of its rows with which the next part begins."""
        of_label = Window.partitionBy("label")
        ranked = rows.select(
            F.col("label").cast("string").alias("label"), self._hash.alias("hash")
        ).withColumns(
            {
                "rank": F.row_number().over(of_label.orderBy("hash")) - 1,
                "rows": F.count("*").over(of_label),
            }
        )
        after = [F.col("rank") >= F.round(F.col("rows") * share) for share in shares]
        # Where no row is left for the next part, a part does not end.
        ends = [F.coalesce(F.min(F.when(each, F.col("hash"))), F.lit(HASHES)) for each in after]
        found = ranked.groupBy("label").agg(*ends).orderBy("label").collect()
        return {label: (held_out, validated) for label, held_out, validated in found}


def _require_groups(rows: DataFrame, group: str) -> None:
    every, without = rows.agg(F.count("*"), F.count_if(F.col(group).isNull())).collect()[0]
    if without:
        raise Refused(
            f"{without} of {every} rows have no {group}, by which they are split: rows of one "
            "group might lie in two parts.",
            f"Give each row a {group}, such as one for all that have none, or split by another "
            "column.",
        )
