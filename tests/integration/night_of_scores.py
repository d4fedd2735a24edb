"""Publish made-up scores in a process of its own, so that a test may kill it.

Arguments: settings as JSON, rows, model version, seconds to stop in each Arrow batch.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F

from jobs.engine import Engine
from jobs.prediction.published_table import Column, PublishedTable
from jobs.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DATE = dt.date(2013, 10, 7)
NIGHT = PublishedTable(
    "big_night",
    (Column("day", "date"), Column("name", "string")),
    "day",
    (Column("dest", "string"),),
)


def scores(spark: SparkSession, rows: int, version: int, date: dt.date = DATE) -> DataFrame:
    """Scores that are the same each time for the same rows and version."""
    return spark.range(0, rows, 1, 2).select(
        F.lit(date).alias("day"),
        F.format_string("k%07d", "id").alias("name"),
        (F.pmod(F.xxhash64("id", F.lit(version)), F.lit(10**9)) / 10**9).alias("score"),
        (F.col("id") % 2 == 0).alias("prediction"),
        F.when(F.col("id") % 5 != 0, F.lit("BOS")).alias("dest"),
        F.lit(version).alias("model_version"),
    )


def slowly(frame: DataFrame, seconds: float) -> DataFrame:
    def pause(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            time.sleep(seconds)
            yield batch

    return frame.mapInArrow(pause, frame.schema)


def main() -> None:
    from jobs.prediction.publish import Source, publish_batch

    given, rows, version, pause = json.loads(sys.argv[1])
    settings = Settings(**given)
    frame = slowly(scores(Engine(settings).session(), rows, version), pause)
    publish_batch(frame, NIGHT, DATE, Source("big_night", version), settings)


if __name__ == "__main__":
    main()
