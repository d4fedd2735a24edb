"""A wide table through the engine's server, whose messages must not be nested too deeply."""

from __future__ import annotations

import datetime as dt

from jobs.conform.rules import fails
from jobs.engine import Engine
from jobs.lake.conditions import any_of
from jobs.monitoring.performance import _published
from jobs.usecase import Arrives, Column, Source
from tests.stack import Stack

COLUMNS = 300


def test_rules_of_many_columns_and_batches_of_many_dates_are_asked_at_once(stack: Stack) -> None:
    spark = Engine(stack.settings).session()
    names = [f"column_{number}" for number in range(COLUMNS)]
    column = Column(type="integer", required=True, min=0, max=9)
    spec = Source(
        landing="wide/*.csv",
        arrives=Arrives.model_validate({"as": "snapshot"}),
        key=names[:1],
        columns=dict.fromkeys(names, column),
    )
    texts = [*(f"{id_} as {name}, '{id_}' as _text_{name}" for name in names for id_ in ["id"])]
    rows = spark.range(8, 12).selectExpr(
        *(part for text in texts for part in text.split(", ")), "null as _malformed"
    )
    assert [row[0] for row in rows.select(fails(spec)).collect()] == [False, False, True, True]

    days = [dt.date(2020, 1, 1) + dt.timedelta(days=number) for number in range(COLUMNS)]
    dated = spark.createDataFrame(
        [(days[0], 1), (days[-1], 2)], "prediction_date date, model_version int"
    )
    found = dated.where(_published(dict.fromkeys(days, 2)))
    assert [row["prediction_date"] for row in found.collect()] == [days[-1]]
    assert [row[0] for row in dated.select(any_of([])).collect()] == [False, False]
