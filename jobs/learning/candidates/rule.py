"""The rule of thumb: the label's rate in each group, shrunk towards the overall rate."""

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
from jobs.usecase import Rate

Group = tuple[str | float | None, ...]


@dataclass(frozen=True)
class Rule:
    """Rates by group; a group never seen in training gets the overall rate.

    Attributes:
        by: the features whose values name a group.
        groups: the values of `by` and the group's rate.
        overall: the rate of all training rows.
    """

    by: tuple[str, ...]
    groups: tuple[tuple[Group, float], ...]
    overall: float
    kind: str = "rule"

    @cached_property
    def _rates(self) -> dict[Group, float]:
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
        rates = [self._rates.get(group, self.overall) for group in seen]
        return np.array(rates, dtype=np.float64)[place]

    def parameters(self) -> dict[str, Any]:
        groups = [[list(values), rate] for values, rate in self.groups]
        return {"by": list(self.by), "groups": groups, "overall": self.overall}

    def files(self) -> dict[str, bytes]:
        return {}

    def importance(self) -> Mapping[str, float]:
        return {}

    @classmethod
    def from_parameters(cls, written: Mapping[str, Any], files: Mapping[str, bytes]) -> Rule:
        groups = tuple((tuple(values), rate) for values, rate in written["groups"])
        return cls(tuple(written["by"]), groups, written["overall"])


def fit(parts: Parts, spec: Rate) -> Rule:
    """Rates on the training part: (yes + prior_rows * overall) / (rows + prior_rows).

    The shrinkage is the posterior mean of a beta prior of `prior_rows` rows (Efron and Morris,
    1975, for why shrunken rates beat plain ones).
    """
    # NaN is no JSON, and does not equal itself.
    by = [F.when(F.isnan(n), None).otherwise(F.col(n)).alias(n) if kind == "double" else F.col(n)
          for n, kind in parts.train.dtypes if n in spec.by]  # fmt: skip
    counts = parts.train.select(*by, "label").groupBy(*spec.by)
    rows = counts.agg(F.sum("label").alias("yes"), F.count("*").alias("n")).collect()
    overall = sum(row["yes"] for row in rows) / sum(row["n"] for row in rows)
    prior = spec.prior_rows
    groups = [
        (tuple(row[name] for name in spec.by), (row["yes"] + prior * overall) / (row["n"] + prior))
        for row in rows
    ]
    return Rule(spec.by, tuple(sorted(groups, key=lambda group: repr(group[0]))), overall)
