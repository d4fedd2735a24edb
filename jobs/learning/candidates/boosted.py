"""The XGBoost candidate: gradient-boosted trees, fitted in Spark tasks, kept as UBJSON.

Each of XGBoost's workers is a task of one Spark barrier stage, and they add up their histograms by
XGBoost's own collective, as `xgboost.spark` does it too. That one needs a driver in this process,
which a warm engine is not, and takes its rows as vectors by way of pandas (infra/decisions/0014).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import xgboost
from numpy.typing import NDArray
from pyspark import BarrierTaskContext
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DoubleType, LongType, StructField, StructType
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from xgboost import collective
from xgboost.tracker import RabitTracker

from jobs.learning.balance import Balance
from jobs.learning.bounded import within
from jobs.learning.dataset import Parts
from jobs.learning.recipe.fit import FOLD, fold_of
from jobs.learning.recipe.recipe import Matrix, Recipe
from jobs.learning.targets.target import Boosting
from jobs.usecase import Model

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FILE = "booster.ubj"
LABEL = "label"
FOUND = StructType(
    [
        StructField("content", BinaryType()),
        StructField("best", DoubleType()),
        StructField("rounds", LongType()),
    ]
)
# What is fitted, where it is declared and not left to the target.
OBJECTIVES: Mapping[str | None, Mapping[str, str]] = {
    None: {},
    "poisson": {"objective": "count:poisson"},
}
# A fit that takes longer has lost a worker without Spark's noticing.
FIT_SECONDS = 3600.0
# A worker is worth while from so many rows on, of both parts together.
ROWS_PER_WORKER = 2000
# Smaller shares may leave an XGBoost worker without a row to learn from, which crashes it.
LEAST_ROWS = 100
NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Boosted:
    """Trees up to the best round on validation, as UBJSON, and the recipe they were fitted on."""

    recipe: Recipe
    content: bytes
    kind: str = "xgboost"

    def raw(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        matrix = self.recipe.matrix(batch)
        if not matrix.shape[0]:
            return np.zeros((0, *_classes(self.content)))
        found: NDArray[np.float32] = _booster(self.content).inplace_predict(matrix)
        scores = found.astype(np.float64)
        # Shares of classes add up to 1 only as closely as a float32 can.
        return scores / scores.sum(axis=1, keepdims=True) if scores.ndim > 1 else scores

    def parameters(self) -> dict[str, Any]:
        return {"recipe": self.recipe.to_json()}

    def files(self) -> dict[str, bytes]:
        return {FILE: self.content, **self.recipe.files()}

    def importance(self) -> Mapping[str, float]:
        """Total gain of the splits on each column."""
        gains: Mapping[str, Any] = _booster(self.content).get_score(importance_type="total_gain")
        columns = self.recipe.columns
        return {columns[int(name[1:])]: gain for name, gain in gains.items()}

    @classmethod
    def from_parameters(cls, written: Mapping[str, Any], files: Mapping[str, bytes]) -> Boosted:
        return cls(Recipe.from_json(written["recipe"], files), files[FILE])


@dataclass(frozen=True)
class Fit:
    """A fitted candidate and how it came about.

    Attributes:
        best: the metric of `Boosting` on validation at the best round.
        rounds: trees kept.
    """

    candidate: Boosted
    best: float
    rounds: int


@dataclass(frozen=True)
class Shares:
    """Train and validation rows, one partition for each XGBoost worker, and what to learn."""

    frame: DataFrame
    recipe: Recipe
    workers: int
    boosting: Boosting


def workers(train: int, validation: int, most: int) -> int:
    """How many XGBoost workers share parts of so many rows."""
    return max(1, min(most, (train + validation) // ROWS_PER_WORKER, train // LEAST_ROWS))


def shares(
    parts: Parts, recipe: Recipe, key: tuple[str, ...], workers: int, boosting: Boosting
) -> Shares:
    """Both parts dealt to the workers by key, and sorted, so that fits repeat."""
    needed = [*(name for name, _ in recipe.inputs), LABEL, FOLD]
    flagged = parts.train.withColumn(FOLD, fold_of(key)).unionByName(
        parts.validation.withColumn(FOLD, F.lit(None).cast("long"))
    )
    row = dict.fromkeys((*key, "prediction_date"))
    ordered = flagged.repartition(workers, *key).sortWithinPartitions(*row)
    return Shares(ordered.select(*needed), recipe, workers, boosting)


def fit(data: Shares, spec: Model, parameters: Mapping[str, Any]) -> Fit:
    """Fit trees until validation stops gaining, and keep those up to the best round.

    Raises:
        Unavailable: an XGBoost worker died or did not come to an end in time.
    """
    spark = data.frame.sparkSession
    learner = Learner(
        recipe=data.recipe,
        workers=data.workers,
        master=str(spark.conf.get("spark.master")),
        settings=told(spec, data.boosting, parameters),
        rounds=spec.rounds,
        early_stopping=spec.early_stopping,
        balance=data.boosting.balance,
        begins=data.boosting.begins,
    )
    with within(FIT_SECONDS, spark, "The XGBoost fit"):
        (found,) = data.frame.mapInArrow(learner, FOUND, barrier=True).collect()
    candidate = Boosted(data.recipe, bytes(found["content"]))
    return Fit(candidate, found["best"], found["rounds"])


def told(spec: Model, boosting: Boosting, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """All that XGBoost is told of how to learn, where trees grow by `parameters`."""
    return {
        **parameters,
        **boosting.settings,
        **OBJECTIVES[spec.objective],
        "tree_method": "hist",
        "device": "cpu",
        "seed": spec.seed,
    }


def binned(settings: Mapping[str, Any]) -> dict[str, int]:
    """How a matrix has to be made where trees grow by these settings."""
    return {"max_bin": int(settings["max_bin"])} if "max_bin" in settings else {}


def balanced(
    labels: NDArray[np.float64], balance: Balance | None, begins: tuple[float, ...]
) -> Mapping[str, Any]:
    """What XGBoost is told of rows that are learned from, beside their labels.

    Args:
        balance, begins: as in `Boosting`.
    """
    if balance is None:
        return {}
    # Validation has neither, so that rounds are chosen by true rates.
    shape = (len(labels), len(begins)) if len(begins) > 1 else len(labels)
    starts = np.broadcast_to(np.array(begins), shape).astype(np.float32)
    return {"weight": balance.weights(labels), "base_margin": starts}


@dataclass(frozen=True)
class Learner:
    """What each XGBoost worker does with its share of the rows; the first one tells the result.

    Rows without a fold are those of validation.

    Attributes:
        master: Spark's, such as `local[*]`; it says whether the workers share a machine.
        rounds: trees at most.
        early_stopping: rounds without a gain on validation after which to stop.
        balance, begins: as in `Boosting`.
    """

    recipe: Recipe
    workers: int
    master: str
    settings: Mapping[str, Any]
    rounds: int
    early_stopping: int
    balance: Balance | None = None
    begins: tuple[float, ...] = ()

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        task = BarrierTaskContext.get()
        train, validation = Rows(), Rows()
        for batch in batches:
            matrix = self.recipe.matrix(batch, batch.column(FOLD))
            labels = batch.column(LABEL).to_numpy()
            held_out = batch.column(FOLD).is_null().to_numpy(zero_copy_only=False)
            beside = balanced(labels[~held_out], self.balance, self.begins)
            train.add(matrix[~held_out], labels[~held_out], beside)
            validation.add(matrix[held_out], labels[held_out])
        threads = threads_of(self.master, self.workers, task.cpus())
        how = {"nthread": threads, **binned(self.settings)}
        # Spark tells OpenMP of the task's one core, and XGBoost does not go beyond that.
        with threadpool_limits(threads, user_api="openmp"), _together(task, self.workers):
            learned = train.matrix(**how)
            judged = validation.matrix(ref=learned, **how)
            booster = xgboost.train(
                {**self.settings, "nthread": threads},
                learned,
                self.rounds,
                evals=[(judged, "validation")],
                early_stopping_rounds=self.early_stopping,
                verbose_eval=False,
            )
        if task.partitionId() == 0:
            best = booster.best_iteration
            content = bytes(booster[: best + 1].save_raw("ubj"))
            found = [[content], [float(booster.best_score)], [best + 1]]
            yield pa.RecordBatch.from_arrays(list(map(pa.array, found)), FOUND.fieldNames())


class Rows(xgboost.DataIter):
    """Rows of a matrix, given to XGBoost batch by batch, without another copy in one piece."""

    def __init__(self) -> None:
        super().__init__()
        self._batches: list[tuple[Matrix, NDArray[np.float64], Mapping[str, Any]]] = []
        self._next = 0

    def add(
        self, matrix: Matrix, labels: NDArray[np.float64], beside: Mapping[str, Any] = NOTHING
    ) -> None:
        """Keep a batch; XGBoost needs at least one, which may be empty.

        Args:
            beside: what else XGBoost is told of the rows, such as their weights.
        """
        if len(labels) or not self._batches:
            self._batches.append((matrix, labels, beside))

    def matrix(self, **how: Any) -> xgboost.QuantileDMatrix:
        """The rows as XGBoost works on them; here they are let go."""
        made = xgboost.QuantileDMatrix(self, **how)
        self._batches.clear()
        return made

    def next(self, input_data: Callable[..., object]) -> bool:
        """Give the next batch, and whether there was one."""
        if self._next == len(self._batches):
            return False
        matrix, labels, beside = self._batches[self._next]
        input_data(data=matrix, label=labels, **beside)
        self._next += 1
        return True

    def reset(self) -> None:
        """Begin again with the first batch."""
        self._next = 0


def threads_of(master: str, workers: int, cores: int) -> int:
    """Threads of one worker: on a local master they share its cores, else each has its task's."""
    found = re.match(r"local\[(\d+|\*)", master)
    if not found:
        return cores
    there = len(os.sched_getaffinity(0)) if found[1] == "*" else int(found[1])
    return max(1, there // workers)


@contextmanager
def _together(task: BarrierTaskContext, workers: int) -> Iterator[None]:
    """XGBoost's collective between the tasks of a stage; the first one's machine has the tracker.

    Ranks are those of the tasks, so that fits repeat.
    """
    if workers == 1:
        yield
        return
    asked: dict[str, Any] = {}
    if task.partitionId() == 0:
        host = task.getTaskInfos()[0].address.rsplit(":", 1)[0].strip("[]")
        tracker = RabitTracker(n_workers=workers, host_ip=host, sortby="task")
        tracker.start()
        asked = tracker.worker_args()
    told = json.loads(task.allGather(json.dumps(asked))[0])
    with collective.CommunicatorContext(**told, dmlc_task_id=str(task.partitionId())):
        yield
    # The tracker ends with this function, and all have to take leave of it before.
    task.barrier()


@lru_cache(maxsize=8)
def _classes(content: bytes) -> tuple[int, ...]:
    """The shape of a row's score."""
    learned = json.loads(_booster(content).save_config())["learner"]["learner_model_param"]
    classes = int(learned["num_class"])
    return (classes,) if classes else ()


@lru_cache(maxsize=8)
def _booster(content: bytes) -> xgboost.Booster:
    # Each Spark task has a core of its own, so more threads would only get in their way.
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(content))
    return booster
