"""The rule of thumb: a score for each group, shrunk towards that of all rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import functions as F

from jobs.learning.dataset import Parts
from jobs.learning.recipe.rows import require
from jobs.learning.targets.target import Score, Target, read
from jobs.usecase import Rate

# Of more groups, such as those of a continuous number, only the largest have a score of their own.
MOST_GROUPS = 10_000

Group = tuple[str | float | None, ...]


@dataclass(frozen=True)
class Rule:
    """Scores by group; a group never seen in training gets the overall score.

    Attributes:
        by: the features whose values name a group.
        groups: the values of `by` and the group's score, such as its rate of yes.
        overall: the score of all training rows.
    """

    by: tuple[str, ...]
    groups: tuple[tuple[Group, Score], ...]
    overall: Score
    kind: str = "rule"

    @cached_property
    def _scores(self) -> dict[Group, Score]:
        return dict(self.groups)

    def raw(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        require(self.by, batch.schema.names)
        place = np.zeros(batch.num_rows, dtype=np.int64)
        seen: list[Group] = [()]
        for name in self.by:
            coded = pc.dictionary_encode(batch.column(name), null_encoding="encode")
            width = len(coded.dictionary)
            pairs = place * width + coded.indices.to_numpy(zero_copy_only=False)
            values = coded.dictionary.to_pylist()
            distinct, place = np.unique(pairs, return_inverse=True)
            seen = [(*seen[pair // width], values[pair % width]) for pair in distinct.tolist()]
        scores = [self._scores.get(group, self.overall) for group in seen]
        of_groups = np.array(scores, dtype=np.float64).reshape(-1, *np.shape(self.overall))
        return of_groups[place]

    def parameters(self) -> dict[str, Any]:
        groups = [[list(values), score] for values, score in self.groups]
        return {"by": list(self.by), "groups": groups, "overall": self.overall}

    def files(self) -> dict[str, bytes]:
        return {}

    def importance(self) -> Mapping[str, float]:
        return {}

    @classmethod
    def from_parameters(cls, written: Mapping[str, Any], files: Mapping[str, bytes]) -> Rule:
        groups = tuple((tuple(values), read(score)) for values, score in written["groups"])
        return cls(tuple(written["by"]), groups, read(written["overall"]))


def fit(parts: Parts, spec: Rate, target: Target) -> Rule:
    """Means on the training part: (sum + prior_rows * overall) / (rows + prior_rows).

    What is summed are the target's summands, such as the yes of binary labels. For these the
    shrinkage is the posterior mean of a beta prior of `prior_rows` rows (Efron and Morris, 1975,
    for why shrunken rates beat plain ones). Beyond `MOST_GROUPS` the smallest groups, which are
    shrunk the most, get the overall score.
    """
    # NaN is no JSON, and does not equal itself.
    by = [F.when(F.isnan(n), None).otherwise(F.col(n)).alias(n) if kind == "double" else F.col(n)
          for n, kind in parts.train.dtypes if n in spec.by]  # fmt: skip
    counted = [F.count("*").alias("_rows"), *map(F.sum, target.summands())]
    train = parts.train.select(*by, "label")
    grouped = train.groupBy(*spec.by).agg(*counted)
    found = grouped.orderBy(F.desc("_rows"), *spec.by).limit(MOST_GROUPS).collect()
    width = len(spec.by)
    rows = np.array([row[width] for row in found])
    sums = np.array([row[width + 1 :] for row in found])
    every, *total = train.agg(*counted).collect()[0]
    overall = np.array(total) / every
    means = (sums + spec.prior_rows * overall) / (rows + spec.prior_rows)[:, None]
    groups = [
        (tuple(row[:width]), target.score_of(mean)) for row, mean in zip(found, means, strict=True)
    ]
    ordered = tuple(sorted(groups, key=lambda group: repr(group[0])))
    return Rule(spec.by, ordered, target.score_of(overall))
