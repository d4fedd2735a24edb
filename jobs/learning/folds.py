"""Cross-validation: every candidate fitted and judged anew on each of some folds of the rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import Window
from pyspark.sql import functions as F
from sklearn.model_selection import TimeSeriesSplit

from jobs.context import Context
from jobs.errors import Refused
from jobs.label_types import WORDS
from jobs.learning.dataset import Parts, labelled, set_aside
from jobs.learning.evaluation import Finding
from jobs.learning.fitting import fit_all
from jobs.learning.scoring import from_arrow, with_scores
from jobs.learning.targets.kinds import target_of
from jobs.learning.targets.target import Target, measured
from jobs.plan import Plan
from jobs.usecase import Folds

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# By candidate and name.
Metrics = Mapping[str, Mapping[str, float]]
# A row's place among the rows that are dealt out together, from 0.
PLACE = "_place"


class FoldRows(Finding):
    """How many rows a fold had in each part, and the prediction dates of those it was tested on."""

    train: int
    validation: int
    test: int
    first: str
    last: str


class Spread(Finding):
    """A metric over the folds, in their order; None where it has no meaning for a fold's rows.

    Attributes:
        mean: over the folds that have a value; None if none has.
        deviation: the standard deviation of these, divided by their number.
    """

    mean: float | None
    deviation: float | None
    folds: tuple[float | None, ...]

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """From one value for each fold, NaN where it has no meaning."""
        there = [value for value in values if np.isfinite(value)]
        return cls(
            mean=fmean(there) if there else None,
            deviation=pstdev(there) if there else None,
            folds=tuple(value if np.isfinite(value) else None for value in values),
        )


class CrossValidation(Finding):
    """What a cross-validation found.

    Attributes:
        target: the type of the labels.
        metric: the use case's own metric.
        by: how the folds were cut.
        rows: labelled rows that there were.
        candidates: for each, its metrics on the folds' test rows.
    """

    use_case: str
    target: str
    metric: str
    by: str
    rows: int
    folds: tuple[FoldRows, ...]
    candidates: Mapping[str, Mapping[str, Spread]]


@dataclass(frozen=True)
class Fold:
    """Conditions on `PLACE`, true of the rows of each part of a fold."""

    train: Column
    validation: Column
    test: Column

    def parts(self, rows: DataFrame) -> Parts:
        """What a fold's models may learn from."""
        return Parts(rows.where(self.train).drop(PLACE), rows.where(self.validation).drop(PLACE))


def cross_validate(
    ctx: Context, reading: AbstractContextManager[object], say: Callable[[str], None]
) -> CrossValidation:
    """Fit and judge all candidates on each fold of the labelled rows of `ctx.dates`, as known now.

    Nothing is kept of the models.

    Args:
        reading: held while gold is read, so that nobody erases beside it.
        say: told of each fold when it is done.

    Raises:
        Refused: the use case declares no folds, there are too few rows for them, or a fold cannot
            be learned from, as in a training.
        Unavailable: a Spark worker was lost, or rows were erased meanwhile.
    """
    usecase, spark = ctx.plan.usecase, ctx.engine.session()
    if usecase.folds is None:
        raise Refused(
            f"{ctx.plan.name} does not declare how it is cross-validated.",
            "Add folds to its file, such as `folds: {by: random, number: 5}`.",
        )
    with ExitStack() as kept:
        with reading:
            rows = labelled(ctx.tables, spark, ctx.dates, dt.datetime.now(dt.UTC))
            if usecase.entity.date is None:
                # Each night has all of them.
                newest = rows.agg(F.max("prediction_date")).collect()[0][0]
                rows = rows.where(F.col("prediction_date") == F.lit(newest))
            placed = with_places(rows, usecase.folds, usecase.entity.key, usecase.model.seed)
            folder = kept.enter_context(set_aside(placed, ctx.tables))
        return cross_validated(spark.read.parquet(folder), usecase.folds, ctx.plan, say)


def cross_validated(
    placed: DataFrame, spec: Folds, plan: Plan, say: Callable[[str], None]
) -> CrossValidation:
    """As `cross_validate`, of rows that `with_places` gave."""
    target, metric = target_of(plan.usecase), plan.usecase.metric
    count = target.require_learnable(target.coded(placed), "cross-validated")
    found: list[tuple[FoldRows, Metrics]] = []
    for number, fold in enumerate(folds_of(spec, count), start=1):
        rows, metrics = _judged(placed, fold, plan, target, f"fold {number}")
        found.append((rows, metrics))
        told = ", ".join(f"{kind} {each[metric]:.4f}" for kind, each in metrics.items())
        say(f"Fold {number} of {spec.number}, {rows.test} rows: {WORDS[metric]} of {told}.")
    kinds = found[0][1]
    return CrossValidation(
        use_case=plan.name,
        target=target.type,
        metric=metric,
        by=spec.by,
        rows=count,
        folds=tuple(rows for rows, _ in found),
        candidates={
            kind: {name: Spread.of([each[kind][name] for _, each in found]) for name in names}
            for kind, names in kinds.items()
        },
    )


def with_places(rows: DataFrame, spec: Folds, key: tuple[str, ...], seed: int) -> DataFrame:
    """The rows with `PLACE`: in the order of time, or of a hash that knows no order of the rows.

    With classes each class is counted by itself.
    """
    row = [*dict.fromkeys(("prediction_date", *key))]
    if spec.by == "time":
        order = Window.orderBy(*row)
    else:
        every = Window.partitionBy("label") if spec.by == "stratified" else Window.partitionBy()
        # With a word of its own, because samples are chosen by the hash of the key alone.
        order = every.orderBy(F.xxhash64(F.lit(f"folds {seed}"), *key), *key, "prediction_date")
    # One task numbers all rows (or those of a class), so it gets no more of them than it needs.
    numbered = rows.select(*row, "label").withColumn(PLACE, F.row_number().over(order) - 1)
    return rows.join(numbered.drop("label"), on=row, how="inner")


def folds_of(spec: Folds, rows: int) -> Iterator[Fold]:
    """The folds of some rows by their places.

    Raises:
        Refused: there are too few rows for as many folds.
    """
    if spec.by == "time":
        yield from _in_time(spec, rows)
    else:
        yield from (_dealt(spec, number) for number in range(spec.number))


def _in_time(spec: Folds, rows: int) -> Iterator[Fold]:
    cut = TimeSeriesSplit(spec.number, max_train_size=spec.train, test_size=spec.test, gap=spec.gap)
    try:
        ends = [
            (train[0], train[-1], test[0], test[-1])
            for train, test in cut.split(np.empty((rows, 0)))
        ]
    except (ValueError, IndexError) as error:
        raise Refused(
            f"{rows} labelled rows are too few for {spec.number} folds by time.",
            "Declare fewer folds, or a smaller folds.test or folds.gap.",
        ) from error
    place = F.col(PLACE)
    for first, last, test_first, test_last in np.array(ends).tolist():
        held_back = max(1, round(spec.validation * (last - first + 1)))
        yield Fold(
            train=place.between(first, last - held_back),
            validation=place.between(last - held_back + 1, last),
            test=place.between(test_first, test_last),
        )


def _dealt(spec: Folds, number: int) -> Fold:
    """Every `spec.number`th row is tested on; validation is taken evenly from the others."""
    place, others = F.col(PLACE), spec.number - 1
    tested = place % spec.number == number
    # Among the rows that are not tested on, from 0.
    rank = F.floor(place / spec.number) * others + F.pmod(
        place - F.lit(number + 1), F.lit(spec.number)
    )
    share = F.lit(spec.validation)
    # Rounded and not cut off, so that a class with few rows has one in validation, too.
    held_back = F.floor((rank + 1) * share + 0.5) > F.floor(rank * share + 0.5)
    return Fold(train=~tested & ~held_back, validation=~tested & held_back, test=tested)


def _judged(
    placed: DataFrame, fold: Fold, plan: Plan, target: Target, name: str
) -> tuple[FoldRows, Metrics]:
    """How many rows there were, and each candidate's metrics on the test rows."""
    _require_every_class(placed, fold, target, name)
    trained = fit_all(fold.parts(placed), plan, name, 0, lambda *_: None)
    if trained.leaks:
        raise Refused(
            trained.leaks[0], "Remove it, or build it from what is known before the cutoff."
        )
    test = target.coded(placed.where(fold.test))
    unique = plan.usecase.entity.unique
    keep = (*dict.fromkeys((*unique, "prediction_date", "label")),)
    scored = with_scores(test, trained.models, keep).toArrow()
    # How Spark deals out rows must not change a sum.
    scored = scored.sort_by([(column, "ascending") for column in unique])
    labels, dates = scored["label"].to_numpy(), scored["prediction_date"].to_numpy()
    target.require_judgeable(labels)
    metrics = {
        kind: measured(target, labels, model.scored(from_arrow(scored[kind])))
        for kind, model in trained.models.items()
    }
    rows = FoldRows(
        train=trained.rows["train"],
        validation=trained.rows["validation"],
        test=len(labels),
        first=str(dates.min()),
        last=str(dates.max()),
    )
    return rows, metrics


def _require_every_class(placed: DataFrame, fold: Fold, target: Target, name: str) -> None:
    if not target.names:
        return
    named = {"training": fold.train, "validation": fold.validation, "test": fold.test}
    counts = [F.count_if(condition).alias(part) for part, condition in named.items()]
    found = {
        row["label"]: row for row in target.coded(placed).groupBy("label").agg(*counts).collect()
    }
    for part in named:
        lacking = [
            each
            for label, each in enumerate(target.names)
            if label not in found or not found[label][part]
        ]
        if lacking:
            raise Refused(
                f"None of the {part} rows of {name} is of class {', '.join(lacking)}.",
                "Declare fewer folds or a larger folds.validation, keep each class's share in each "
                "fold (`by: stratified`), or take the class out of label.expression (and "
                "label.classes).",
            )
