"""The XGBoost candidate: gradient-boosted trees, fitted by `xgboost.spark`, kept as UBJSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import xgboost
from numpy.typing import NDArray
from pyspark.sql import functions as F
from xgboost.spark import SparkXGBClassifier

from jobs.learning.bounded import within
from jobs.learning.dataset import Parts
from jobs.learning.preprocess import Encoding, vectors
from jobs.usecase import Model

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FILE = "booster.ubj"
EVAL_METRICS = {"roc_auc": "auc", "pr_auc": "aucpr", "log_loss": "logloss"}
# A fit that takes longer has lost a worker without Spark's noticing.
FIT_SECONDS = 3600.0
# Smaller shares leave an XGBoost worker without rows, which crashes it.
ROWS_PER_WORKER = 2000


@dataclass(frozen=True)
class Boosted:
    """Trees up to the best round on validation, as UBJSON, and the encoding they were fitted on."""

    encoding: Encoding
    content: bytes
    kind: str = "xgboost"

    def raw(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        matrix = self.encoding.matrix(batch)
        if not len(matrix):
            return np.zeros(0)
        scores: NDArray[np.float32] = _booster(self.content).inplace_predict(matrix)
        return scores.astype(np.float64)

    def parameters(self) -> dict[str, Any]:
        return {"encoding": self.encoding.to_json()}

    def files(self) -> dict[str, bytes]:
        return {FILE: self.content}

    def importance(self) -> Mapping[str, float]:
        """Total gain of the splits on each column."""
        gains: Mapping[str, Any] = _booster(self.content).get_score(importance_type="total_gain")
        return {self.encoding.columns[int(name[1:])]: gain for name, gain in gains.items()}

    @classmethod
    def from_parameters(cls, written: Mapping[str, Any], files: Mapping[str, bytes]) -> Boosted:
        return cls(Encoding.from_json(written["encoding"]), files[FILE])


@dataclass(frozen=True)
class Fit:
    """A fitted candidate and how it came about.

    Attributes:
        best: the metric on validation at the best round.
        rounds: trees kept.
    """

    candidate: Boosted
    best: float
    rounds: int


@dataclass(frozen=True)
class Encoded:
    """Train and validation rows as vectors `x`, one partition for each XGBoost worker."""

    frame: DataFrame
    encoding: Encoding
    workers: int


def encoded(parts: Parts, encoding: Encoding, key: tuple[str, ...], workers: int) -> Encoded:
    """Encode both parts once, kept for as many fits as follow; sorted, so that fits repeat."""
    needed = [*encoding.inputs, "label", "_validation"]
    flagged = parts.train.withColumn("_validation", F.lit(False)).unionByName(
        parts.validation.withColumn("_validation", F.lit(True))
    )

    def encode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = [vectors(encoding.matrix(batch)), *map(batch.column, needed[-2:])]
            yield pa.RecordBatch.from_arrays(columns, ["x", *needed[-2:]])

    schema = "x array<float>, label double, _validation boolean"
    ordered = flagged.repartition(workers, *key).sortWithinPartitions(*key)
    frame = ordered.select(*needed).mapInArrow(encode, schema).persist()
    return Encoded(frame, encoding, workers)


def fit(data: Encoded, spec: Model, parameters: Mapping[str, Any]) -> Fit:
    """Fit trees until validation stops gaining, and keep those up to the best round.

    Raises:
        Unavailable: an XGBoost worker died or did not come to an end in time.
    """
    learner = SparkXGBClassifier(
        # A list of columns would be read faster, but fails on any Arrow batch that holds no
        # validation row (xgboost 3.2, spark/data.py, append_m).
        features_col="x",
        label_col="label",
        validation_indicator_col="_validation",
        num_workers=data.workers,
        device="cpu",
        tree_method="hist",
        n_estimators=spec.rounds,
        early_stopping_rounds=spec.early_stopping,
        eval_metric=EVAL_METRICS[spec.metric],
        random_state=spec.seed,
        verbose=False,
        **parameters,
    )
    with within(FIT_SECONDS, data.frame.sparkSession, "The XGBoost fit"):
        booster = learner.fit(data.frame).get_booster()
    best = int(booster.best_iteration)
    kept = booster[: best + 1]
    candidate = Boosted(data.encoding, bytes(kept.save_raw("ubj")))
    return Fit(candidate, float(booster.best_score), best + 1)


@lru_cache(maxsize=8)
def _booster(content: bytes) -> xgboost.Booster:
    # Each Spark task has a core of its own, so more threads would only get in their way.
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(content))
    return booster
