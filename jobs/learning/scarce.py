"""Classes of which a sample of many rows has hardly any: more of theirs are taken, and count less.

So a class of some hundred rows among millions is learned of, and its share stays what it is (a
stratified sample, each row weighted by how many it stands for: Horvitz and Thompson, JASA 47(260),
1952).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import functions as F

from jobs.learning import reference

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

# Of each class at least about so many rows are taken, or all that there are.
FEWEST = 100


@dataclass(frozen=True)
class Scarce:
    """Which rows of some classes are taken.

    Attributes:
        every: of the other classes, one row in so many.
        by_class: the same of each scarce class, by its label as a number.
    """

    every: int
    by_class: Mapping[int, int]

    @classmethod
    def of(cls, rows: Mapping[int, int]) -> Self:
        """Of a part with so many rows of each class."""
        every = reference.every(sum(rows.values()))
        few = {c: max(1, n // FEWEST) for c, n in rows.items() if n < FEWEST * every}
        return cls(every, few if every > 1 else {})

    def sample(self, part: DataFrame, key: tuple[str, ...], columns: tuple[str, ...]) -> pa.Table:
        """As `reference.sample`, with more rows of the scarce classes."""
        every = F.lit(self.every)
        for place, one_in in self.by_class.items():
            every = F.when(F.col("label") == place, one_in).otherwise(every)
        return reference.taken(part, key, every, columns)

    def weights(self, labels: NDArray[np.float64]) -> NDArray[np.float64]:
        """How many rows each of the sample stands for, of the other classes 1."""
        found = np.ones(len(labels))
        for place, one_in in self.by_class.items():
            found[labels == place] = one_in / self.every
        return found
