"""The linear candidate: logistic regression on standardised features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.functions import array_to_vector
from pyspark.sql import functions as F

from jobs.learning.dataset import Parts
from jobs.learning.preprocess import Encoding, Scaling, fit_scaling, vectors

# A light ridge: enough to make collinear 0/1 columns identifiable.
RIDGE = 1e-4
ITERATIONS = 100
# Measured on the flights: with 1e-6 it takes 100 iterations instead of 49 for a validation AUC of
# 0.6896 instead of 0.6905.
TOLERANCE = 1e-3
# Of the kept coefficients, so that the order of Spark's sums cannot change a model.
DIGITS = 7


@dataclass(frozen=True)
class Linear:
    """Coefficients of the standardised columns, and the intercept."""

    encoding: Encoding
    scaling: Scaling
    coefficients: tuple[float, ...]
    intercept: float
    kind: str = "linear"

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        return np.array(self.coefficients)

    def raw(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        ready = self.scaling.apply(self.encoding.matrix(batch))
        # einsum adds each row up by itself; BLAS may round a row by its neighbours.
        margin = np.einsum("ij,j->i", ready, self._weights) + self.intercept
        chances: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(margin, -500, 500)))
        return chances

    def parameters(self) -> dict[str, Any]:
        return {
            "encoding": self.encoding.to_json(),
            "scaling": self.scaling.to_json(),
            "coefficients": list(self.coefficients),
            "intercept": self.intercept,
        }

    def files(self) -> dict[str, bytes]:
        return {}

    def importance(self) -> Mapping[str, float]:
        """Sizes of the coefficients, per standard deviation of a numeric column."""
        names = self.scaling.columns(self.encoding)
        return {name: abs(c) for name, c in zip(names, self.coefficients, strict=True)}

    @classmethod
    def from_parameters(cls, written: Mapping[str, Any], files: Mapping[str, bytes]) -> Linear:
        return cls(
            Encoding.from_json(written["encoding"]),
            Scaling.from_json(written["scaling"]),
            tuple(written["coefficients"]),
            written["intercept"],
        )


def fit(parts: Parts, encoding: Encoding) -> Linear:
    """Fit by L-BFGS on the training part (`pyspark.ml`), with a light ridge."""
    scaling = fit_scaling(parts.train, encoding)

    def ready(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            # float32 is precise enough to fit on, and half the bytes for Spark to take.
            matrix = scaling.apply(encoding.matrix(batch)).astype(np.float32)
            columns = [vectors(matrix), batch.column("label")]
            yield pa.RecordBatch.from_arrays(columns, ["x", "label"])

    rows = parts.train.select(*encoding.inputs, "label")
    columns = rows.mapInArrow(ready, "x array<float>, label double")
    learner = LogisticRegression(
        featuresCol="x",
        regParam=RIDGE,
        maxIter=ITERATIONS,
        tol=TOLERANCE,
        standardization=False,
    )
    fitted = learner.fit(columns.withColumn("x", array_to_vector(F.col("x"))))
    values = [float(f"{value:.{DIGITS}g}") for value in fitted.coefficients.toArray()]
    return Linear(encoding, scaling, tuple(values), float(f"{fitted.intercept:.{DIGITS}g}"))
