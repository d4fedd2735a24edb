"""A night of scores put into the warehouse, and what is seen of it there."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from psycopg import sql

from jobs.prediction.publish import Published, Source, publish_batch
from jobs.prediction.published_table import PublishedTable
from jobs.prediction.warehouse import Connection, connect
from tests.integration.night_of_scores import DATE, NIGHT, scores

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.settings import Settings


def night(name: str) -> PublishedTable:
    """The night's table under another name, so that each test has a use case of its own."""
    return PublishedTable(name, NIGHT.key, NIGHT.date_column, NIGHT.columns)


def put(
    spark: SparkSession,
    settings: Settings,
    name: str,
    version: int,
    date: dt.date = DATE,
    rows: int = 100,
) -> Published:
    frame = scores(spark, rows, version, date)
    return publish_batch(frame, night(name), date, Source(name, version, "a test"), settings)


def seen(connection: Connection, view: str) -> list[tuple[Any, ...]]:
    """(batch, model version, rows) for each batch that a reader sees."""
    query = sql.SQL(
        "SELECT batch_id, model_version, count(*) FROM {} GROUP BY 1, 2 ORDER BY 1"
    ).format(sql.Identifier("predictions", view))
    return connection.execute(query).fetchall()


def tables_of(settings: Settings, name: str) -> set[str]:
    """The batch tables of a use case that exist."""
    with connect(settings, "publisher") as publisher:
        found = publisher.execute(
            "SELECT relname::text FROM pg_class WHERE relkind = 'r' "
            "AND relnamespace = 'batches'::regnamespace AND relname LIKE %s",
            [f"\\_%\\_{name}"],
        )
        return {row[0] for row in found}
