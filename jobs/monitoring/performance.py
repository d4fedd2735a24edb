"""How good the published scores turned out, once their labels were final.

Each date is measured on its own, overall and by slice, with intervals in closed form, so that a
night costs no resampling.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F

from jobs.lake.conditions import any_of
from jobs.lake.tables import Tables
from jobs.learning.targets.kinds import target_of
from jobs.learning.targets.target import Target
from jobs.plan import Dates
from jobs.usecase import Slice

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import Column, DataFrame

ALL = "all"
# A slice of one night with fewer rows says nothing.
FEWEST_ROWS = 50


@dataclass(frozen=True)
class Measured:
    """One metric of one published date.

    Attributes:
        slice: `all`, or `name=value`.
        metric: of those that the target gives of published rows (`Target.matured`).
        value: None if it has no meaning for these rows, such as one class only.
        low, high: of the 95 % interval; None where there is none.
        rows: scored rows whose label is final.
        matured_share: share of the scored rows whose label is final.
    """

    prediction_date: dt.date
    model_version: int
    slice: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    rows: int
    matured_share: float


def judges_of(
    since: Iterable[dt.date], published: Iterable[dt.date], window: Dates
) -> dict[dt.date, dt.date]:
    """By dates since when labels are known, the date of the last scores that were live before.

    Each label of an entity without a date so judges one score, which was made before anybody knew
    it. Scores are left out of which none of the dates in `window` judges any, and labels that
    nothing was live before.
    """
    live, judged = sorted(published), {}
    for date in since:
        if place := bisect_left(live, date):
            judged[date] = live[place - 1]
    looked_at = {score for date, score in judged.items() if window.first <= date <= window.last}
    return {date: score for date, score in judged.items() if score in looked_at}


def not_learned(
    judges: Mapping[dt.date, dt.date],
    published: Mapping[dt.date, int],
    learned: Mapping[int, dt.date],
) -> dict[dt.date, dt.date]:
    """The `judges` whose labels the version that they judge has not learned from.

    A date that was published again may have the scores of a model trained long after it.

    Args:
        learned: the last prediction date that each version learned from.
    """
    return {at: score for at, score in judges.items() if at > learned[published[score]]}


def outcomes(
    predictions: DataFrame,
    features: DataFrame,
    labels: DataFrame,
    tables: Tables,
    published: Mapping[dt.date, int],
    judges: Mapping[dt.date, dt.date],
    moment: dt.datetime,
) -> DataFrame:
    """Scores of the published version of each date beside the label that was final at `moment`.

    One row per date, outcome, label and combination of slices, with how many rows it stands for:
    `prediction_date`, `label` (null if not final), the columns of `Target.outcome`, a column for
    each slice, `rows`.

    Args:
        published: the version that is live, for each date that is measured.
        judges: by dates of labels in gold, the date whose scores they judge (`judges_of`).
    """
    target = target_of(tables.plan.usecase)
    names = [*tables.plan.usecase.entity.key, "prediction_date"]
    slices = tables.plan.usecase.slices
    spans = _of_dates(features, published)
    sliced = spans.select(*names, *[_text(one).alias(f"slice_{one.name}") for one in slices])
    live = predictions.where(_published(published))
    known = _final(labels, judges, moment).select(*names, "label")
    told = [column.alias(name) for name, column in target.outcome().items()]
    return (
        target.coded(live.join(known, on=names, how="left"))
        .select(*names, "label", *told)
        .join(sliced, on=names, how="left")
        .groupBy(
            "prediction_date",
            "label",
            *target.outcome(),
            *[f"slice_{one.name}" for one in slices],
        )
        .agg(F.count(F.lit(1)).alias("rows"))
    )


def measure(
    found: DataFrame, target: Target, slices: Sequence[Slice], published: Mapping[dt.date, int]
) -> list[Measured]:
    """The metrics of each date in `outcomes`' rows, overall and by slice."""
    rows = found.toPandas()
    measured: list[Measured] = []
    for date, version in sorted(published.items()):
        of_date = rows[rows["prediction_date"] == date]
        if of_date.empty:
            continue
        parts = [(ALL, of_date)]
        for one in slices:
            groups = of_date.groupby(f"slice_{one.name}", sort=True)
            parts += [(f"{one.name}={value}", part) for value, part in groups]
        for name, part in parts:
            if name == ALL or part["rows"].sum() >= FEWEST_ROWS:
                measured += _of_rows(date, version, name, part, target)
    return measured


def _of_rows(
    date: dt.date, version: int, name: str, part: pd.DataFrame, target: Target
) -> Iterator[Measured]:
    final = part[part["label"].notna()]
    rows, weights = part["rows"].sum(), final["rows"].to_numpy(dtype=np.float64)
    columns = {n: final[n].to_numpy(dtype=np.float64) for n in ("label", *target.outcome())}
    for metric, estimate in target.matured(columns, weights).items():
        value, low, high = (None if np.isnan(one) else float(one) for one in estimate)
        share = float(weights.sum() / rows)
        yield Measured(date, version, name, metric, value, low, high, int(weights.sum()), share)


def _text(one: Slice) -> Column:
    return F.expr(one.expression).cast("string")


def _of_dates(frame: DataFrame, dates: Iterable[dt.date]) -> DataFrame:
    return frame.where(F.col("prediction_date").isin(*dates))


def _final(labels: DataFrame, judges: Mapping[dt.date, dt.date], moment: dt.datetime) -> DataFrame:
    """The labels that were final at `moment`, each under the date whose scores it judges."""
    pairs = [F.lit(date) for pair in sorted(judges.items()) for date in pair]
    judged = F.create_map(*pairs)[F.col("prediction_date")]
    return _of_dates(labels, judges).where(_known(moment)).withColumn("prediction_date", judged)


def _published(published: Mapping[dt.date, int]) -> Column:
    ways = [
        (F.col("prediction_date") == F.lit(date)) & (F.col("model_version") == version)
        for date, version in published.items()
    ]
    return any_of(ways)


def _known(moment: dt.datetime) -> Column:
    superseded = F.col("_superseded_at")
    current = superseded.isNull() | (superseded >= F.lit(moment))
    return (F.col("_arrived_at") < F.lit(moment)) & current & (F.col("matured_at") <= F.lit(moment))
