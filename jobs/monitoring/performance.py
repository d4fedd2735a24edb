"""How good the published scores turned out, once their labels were final.

Each date is measured on its own, overall and by slice. Intervals are in closed form, so that a
night costs no resampling: DeLong's for the area under the curve, the mean's for the losses.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import functions as F
from scipy.stats import norm

from jobs.lake.tables import Tables
from jobs.learning.metrics import EDGE, roc_auc
from jobs.learning.tally import tally
from jobs.usecase import Slice

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

Array = NDArray[np.float64]

ALL = "all"
CONFIDENCE = 0.95
# A slice of one night with fewer rows says nothing.
FEWEST_ROWS = 50


@dataclass(frozen=True)
class Measured:
    """One metric of one published date.

    Attributes:
        slice: `all`, or `name=value`.
        metric: `roc_auc`, `log_loss`, `brier`, or `positives`, a count.
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


def outcomes(
    predictions: DataFrame,
    features: DataFrame,
    labels: DataFrame,
    tables: Tables,
    published: Mapping[dt.date, int],
    moment: dt.datetime,
) -> DataFrame:
    """Scores of the published version of each date beside the label that was final at `moment`.

    One row per date, score, label and combination of slices, with how many rows it stands for:
    `prediction_date`, `score`, `label` (null if not final), a column for each slice, `rows`.
    """
    names = [*tables.plan.usecase.entity.key, "prediction_date"]
    slices = tables.plan.usecase.slices
    spans = _of_dates(features, published)
    sliced = spans.select(*names, *[_text(one).alias(f"slice_{one.name}") for one in slices])
    live = predictions.where(_published(published)).select(*names, "score")
    known = _of_dates(labels, published).where(_known(moment)).select(*names, "label")
    return (
        live.join(known, on=names, how="left")
        .join(sliced, on=names, how="left")
        .groupBy("prediction_date", "score", "label", *[f"slice_{one.name}" for one in slices])
        .agg(F.count(F.lit(1)).alias("rows"))
    )


def measure(
    found: DataFrame, slices: Sequence[Slice], published: Mapping[dt.date, int]
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
            columns = (part["label"], part["score"], part["rows"])
            labels, scores, weights = (c.to_numpy(dtype=np.float64) for c in columns)
            if name == ALL or weights.sum() >= FEWEST_ROWS:
                measured += _of_rows(date, version, name, labels, scores, weights)
    return measured


def auc_interval(labels: Array, scores: Array, weights: Array) -> tuple[float, float, float]:
    """Area under the ROC curve with DeLong's interval; NaN if only one class is there.

    The variance is that of the mean placement of the yes among the no and of the no among the
    yes (DeLong, DeLong and Clarke-Pearson, Biometrics 44(3), 1988); with fewer than two rows of a
    class there is none. `weights` counts how many equal rows each stands for.
    """
    counted = tally(labels, scores, weights)
    area = float(roc_auc(counted)[0])
    yes, no = counted.yes[0], counted.no[0]
    if min(yes.sum(), no.sum()) < 2:
        return area, np.nan, np.nan
    no_below = (np.cumsum(no) - no / 2) / no.sum()
    yes_above = 1 - (np.cumsum(yes) - yes / 2) / yes.sum()
    variance = _variance(no_below, yes) / yes.sum() + _variance(yes_above, no) / no.sum()
    half = float(norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt(variance))
    return area, max(0.0, area - half), min(1.0, area + half)


def mean_interval(values: Array, weights: Array) -> tuple[float, float, float]:
    """A mean of rows with its normal interval; NaN without rows."""
    total = weights.sum()
    if total == 0:
        return np.nan, np.nan, np.nan
    mean = float((values * weights).sum() / total)
    if total < 2:
        return mean, np.nan, np.nan
    half = float(norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt(_variance(values, weights) / total))
    return mean, mean - half, mean + half


def _of_rows(
    date: dt.date, version: int, name: str, labels: Array, scores: Array, weights: Array
) -> Iterator[Measured]:
    final = ~np.isnan(labels)
    share = float(weights[final].sum() / weights.sum())
    y, p, w = labels[final], scores[final], weights[final]
    sure = np.clip(p, EDGE, 1 - EDGE)
    values = {
        "positives": (float((y * w).sum()), np.nan, np.nan),
        "roc_auc": auc_interval(y, p, w),
        "log_loss": mean_interval(-(y * np.log(sure) + (1 - y) * np.log1p(-sure)), w),
        "brier": mean_interval((p - y) ** 2, w),
    }
    for metric, estimate in values.items():
        value, low, high = (None if np.isnan(one) else float(one) for one in estimate)
        yield Measured(date, version, name, metric, value, low, high, int(w.sum()), share)


def _variance(values: Array, weights: Array) -> float:
    total = weights.sum()
    mean = (values * weights).sum() / total
    return float((weights * (values - mean) ** 2).sum() / (total - 1))


def _text(one: Slice) -> Column:
    return F.expr(one.expression).cast("string")


def _of_dates(frame: DataFrame, published: Mapping[dt.date, int]) -> DataFrame:
    return frame.where(F.col("prediction_date").isin(*published))


def _published(published: Mapping[dt.date, int]) -> Column:
    ways = [
        (F.col("prediction_date") == F.lit(date)) & (F.col("model_version") == version)
        for date, version in published.items()
    ]
    found = F.lit(False)
    for way in ways:
        found = found | way
    return found


def _known(moment: dt.datetime) -> Column:
    superseded = F.col("_superseded_at")
    current = superseded.isNull() | (superseded >= F.lit(moment))
    return (F.col("_arrived_at") < F.lit(moment)) & current & (F.col("matured_at") <= F.lit(moment))
