"""Which entities a prediction date has, by the day of their file or by a column of a snapshot."""

from __future__ import annotations

import datetime as dt

import pytest
from pyspark.sql import SparkSession

from jobs.features.inputs import FeatureInputs
from jobs.lake.local_rows import local_rows
from jobs.plan import Dates
from jobs.usecase import UseCase

DAY = dt.date(2024, 3, 5)
NEXT = DAY + dt.timedelta(days=1)
EVENING = dt.datetime(2024, 3, 4, 20)
ROWS = "day date, who string, _batch_date date, _arrived_at timestamp, _superseded_at timestamp"


def usecase(**source: object) -> UseCase:
    columns = {"day": {"type": "date"}, "who": {"type": "string"}, "n": {"type": "number"}}
    visits = {"key": ["day", "who"], "date": "day", "columns": columns, **source}
    return UseCase.model_validate(
        {
            "name": "visits",
            "about": {"question": "Who comes?", "owner": "shop"},
            "entity": {"key": ["day", "who"], "date": "day", "source": "visits"},
            "timezone": "UTC",
            "schedule": {"cron": "0 4 * * *", "start": "2024-01-01"},
            "cutoff": "04:00",
            "sources": {"visits": visits},
            "label": {"source": "visits", "expression": "n > 1", "maturity": "1 day"},
            "features": {"module": "features", "history": "7 days", "numeric": ["n"]},
            "model": {"rule": {"by": ["n"]}},
        }
    )


@pytest.mark.parametrize(
    ("source", "batch_date"),
    [
        ({"landing": "v/{date}/*", "arrives": {"as": "daily", "lag": "0 days"}}, DAY),
        ({"landing": "v/*", "arrives": {"as": "snapshot"}}, EVENING.date()),
    ],
)
def test_an_entity_is_of_the_date_in_its_row(
    spark: SparkSession, source: dict[str, object], batch_date: dt.date
) -> None:
    rows = [
        (day, who, batch_date if day != NEXT else NEXT, EVENING, None)
        for day, who in ((DAY, "ann"), (NEXT, "bob"), (None, "cid"))
    ]
    silver = {"visits": local_rows(spark, rows, ROWS)}
    found = FeatureInputs(usecase(**source), Dates.one(DAY), silver).entities().collect()
    assert [(row["who"], row["prediction_date"]) for row in found] == [("ann", DAY)]
