"""How good the published scores turned out, once their labels were final.

Each date is measured on its own, overall and by slice, with intervals in closed form, so that a
night costs no resampling.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F

from jobs.lake.tables import Tables
from jobs.learning.targets.kinds import target_of
from jobs.learning.targets.target import Target
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


def outcomes(
    predictions: DataFrame,
    features: DataFrame,
    labels: DataFrame,
    tables: Tables,
    published: Mapping[dt.date, int],
    moment: dt.datetime,
) -> DataFrame:
    """Scores of the published version of each date beside the label that was final at `moment`.

    One row per date, outcome, label and combination of slices, with how many rows it stands for:
    `prediction_date`, `label` (null if not final), the columns of `Target.outcome`, a column for
    each slice, `rows`.

    Of an entity without a date the label counts for the dates that did not know it yet.
    """
    target = target_of(tables.plan.usecase)
    names = [*tables.plan.usecase.entity.key, "prediction_date"]
    slices = tables.plan.usecase.slices
    spans = _of_dates(features, published)
    sliced = spans.select(*names, *[_text(one).alias(f"slice_{one.name}") for one in slices])
    live = predictions.where(_published(published))
    known = _final(labels, tables, published, moment).select(*names, "label")
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


def _of_dates(frame: DataFrame, published: Mapping[dt.date, int]) -> DataFrame:
    return frame.where(F.col("prediction_date").isin(*published))


def _final(
    labels: DataFrame, tables: Tables, published: Mapping[dt.date, int], moment: dt.datetime
) -> DataFrame:
    """The labels of each date that were final at `moment`."""
    final = labels.where(_known(moment))
    if tables.plan.usecase.entity.date is not None:
        return _of_dates(final, published)
    dates = F.explode(F.array(*map(F.lit, published))).alias("date")
    later = final.withColumnRenamed("prediction_date", "since").select("*", dates)
    return later.where("since > date").withColumnRenamed("date", "prediction_date")


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
