"""Features as a matrix: fitted on the training part, kept as data, applied by one function.

Training and scoring both go through `Encoding.matrix`, so they cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import Window
from pyspark.sql import functions as F

from jobs.errors import Refused
from jobs.usecase import Features

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Fitted means are rounded to this many significant digits, so that how a machine adds up cannot
# change a model.
DIGITS = 9


@dataclass(frozen=True)
class Encoding:
    """Numeric columns as they are, and a 0/1 column for each frequent category.

    Attributes:
        numeric: feature names; a missing or infinite value becomes NaN.
        categories: feature name and its frequent values; any other value is 0 in all of them.
    """

    numeric: tuple[str, ...]
    categories: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The feature columns it reads."""
        return (*self.numeric, *(name for name, _ in self.categories))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the matrix's columns, such as `distance` and `carrier=UA`."""
        frequent = (f"{name}={value}" for name, values in self.categories for value in values)
        return (*self.numeric, *frequent)

    def matrix(self, batch: pa.RecordBatch) -> NDArray[np.float32]:
        """The batch as float32, shape (rows, `len(columns)`).

        Raises:
            Refused: a feature column is missing.
        """
        require(self.inputs, batch.schema.names)
        out = np.zeros((batch.num_rows, len(self.columns)), dtype=np.float32)
        for place, name in enumerate(self.numeric):
            out[:, place] = _numbers(batch.column(name))
        place = len(self.numeric)
        for name, values in self.categories:
            column = batch.column(name).cast(pa.string())
            found = pc.index_in(column, value_set=pa.array(values, pa.string()))
            index = pc.fill_null(found, -1).to_numpy(zero_copy_only=False)
            rows = np.flatnonzero(index >= 0)
            out[rows, place + index[rows]] = 1.0
            place += len(values)
        return out

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Encoding:
        return cls(
            tuple(written["numeric"]),
            tuple((name, tuple(values)) for name, values in written["categories"]),
        )


@dataclass(frozen=True)
class Scaling:
    """What a linear model needs on top: no missing values, and columns of one size.

    A missing number becomes the training mean, beside a 0/1 column that says it was missing
    (only for columns that had missing values in training).

    Attributes:
        means, scales: of each numeric column, on the training part.
        missing: places of the numeric columns that get a column of their own.
    """

    means: tuple[float, ...]
    scales: tuple[float, ...]
    missing: tuple[int, ...]

    def columns(self, encoding: Encoding) -> tuple[str, ...]:
        return (*encoding.columns, *(f"{encoding.numeric[i]} is missing" for i in self.missing))

    def apply(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """A matrix of `Encoding` made ready, shape (rows, columns + missing)."""
        out = matrix.astype(np.float64)
        numbers = out[:, : len(self.means)]
        absent = np.isnan(numbers)
        numbers -= np.array(self.means)
        numbers /= np.array(self.scales)
        numbers[absent] = 0.0
        return np.hstack([out, absent[:, list(self.missing)].astype(np.float64)])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Scaling:
        return cls(*(tuple(written[name]) for name in ("means", "scales", "missing")))


def fit_encoding(train: DataFrame, spec: Features) -> Encoding:
    """Find each categorical feature's most frequent values (ties: alphabetically first)."""
    if not spec.categorical:
        return Encoding(spec.numeric, ())
    pairs = [F.struct(F.lit(n).alias("name"), F.col(n).alias("value")) for n in spec.categorical]
    counts = (
        train.select(F.explode(F.array(*pairs)).alias("pair"))
        .groupBy("pair.name", "pair.value")
        .count()
        .where(F.col("value").isNotNull())
    )
    order = Window.partitionBy("name").orderBy(F.desc("count"), "value")
    ranked = counts.withColumn("rank", F.row_number().over(order))
    kept: dict[str, list[str]] = {name: [] for name in spec.categorical}
    for row in ranked.where(F.col("rank") <= spec.max_categories).orderBy("rank").collect():
        kept[row["name"]].append(row["value"])
    return Encoding(spec.numeric, tuple((name, tuple(values)) for name, values in kept.items()))


def fit_scaling(matrix: NDArray[np.float32], encoding: Encoding) -> Scaling:
    """Means and spreads of an encoded matrix's numeric columns, missing values left out."""
    numbers = matrix[:, : len(encoding.numeric)].astype(np.float64)
    absent = np.isnan(numbers)
    there = np.maximum((~absent).sum(axis=0), 1)
    means = np.where(absent, 0.0, numbers).sum(axis=0) / there
    squares = np.where(absent, 0.0, (numbers - means) ** 2).sum(axis=0)
    return Scaling(
        means=tuple(_rounded(mean) for mean in means),
        scales=tuple(_rounded(spread) or 1.0 for spread in np.sqrt(squares / there)),
        missing=tuple(np.flatnonzero(absent.any(axis=0)).tolist()),
    )


def require(wanted: tuple[str, ...], found: list[str]) -> None:
    """Raise `Refused` if a feature column is not there."""
    missing = [name for name in wanted if name not in found]
    if missing:
        raise Refused(
            f"{len(missing)} of the model's {len(wanted)} features are not in the data: "
            f"{', '.join(missing)}.",
            "Bring the features back, or train a model without them.",
        )


def _numbers(column: pa.Array) -> NDArray[np.float32]:
    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        small: NDArray[np.float32] = values.astype(np.float32)
    return np.where(np.isfinite(small), small, np.float32("nan"))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
