"""The part of a publication that runs on Spark's executors: rows into COPY, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, NoReturn

import psycopg
import pyarrow as pa
from psycopg import sql
from pyarrow import csv
from pyspark.sql import functions as F

from jobs.errors import DaybreakError, Refused, Unavailable
from jobs.prediction.fingerprint import quoted
from jobs.prediction.published_table import PublishedTable
from jobs.prediction.warehouse import Connection, connect_to, explained, one

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# More connections than this gain nothing: Postgres then waits for its disk.
MOST_PARTS = 8
REPORT = pa.schema([("rows", pa.int64()), ("fault", pa.string()), ("remedy", pa.string())])
REPORT_DDL = "rows bigint, fault string, remedy string"
CSV = csv.WriteOptions(include_header=False, quoting_style="needed")


@dataclass(frozen=True)
class Load:
    """What an executor needs to load its part of a batch.

    Attributes:
        info: connection information of the publisher; it holds a password.
        table: what is published.
        batch_id: whose partition is loaded.
    """

    info: str = field(repr=False)
    table: PublishedTable
    batch_id: int


def load(frame: DataFrame, task: Load) -> int:
    """COPY a frame into a batch's own table, each Spark partition by its own connection.

    A part and its row in `daybreak.loads` are committed together, so that a part that Spark tries
    again is skipped if it had been loaded. Gives the number of rows loaded.

    Raises:
        Unavailable: a connection was lost.
        Refused: Postgres refused a value.
    """
    # Numbered, because `mapInArrow` does not take every name; COPY goes by place.
    columns = [
        F.col(quoted(column.name)).alias(f"column_{place}")
        for place, column in enumerate(task.table.stored)
    ]
    parts = frame.select(*columns).coalesce(MOST_PARTS)
    reports = parts.mapInArrow(_loader(task), REPORT_DDL).collect()
    for report in reports:
        if report.fault is not None:
            _raise(report.fault, report.remedy)
    return sum(report.rows for report in reports)


def _loader(task: Load) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    # Faults come back as rows: raised here they would reach a person as a Java trace.
    def load_part(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        part = context.partitionId() if context else 0
        try:
            rows, fault, remedy = _load_part(task, part, batches), None, None
        except DaybreakError as error:
            rows, fault, remedy = 0, f"{type(error).__name__} {error.sentence}", error.remedy
        yield pa.RecordBatch.from_pylist(
            [{"rows": rows, "fault": fault, "remedy": remedy}], schema=REPORT
        )

    return load_part


def _raise(fault: str, remedy: str) -> NoReturn:
    kind, sentence = fault.split(" ", 1)
    raise (Unavailable if kind == Unavailable.__name__ else Refused)(sentence, remedy)


def _load_part(task: Load, part: int, batches: Iterator[pa.RecordBatch]) -> int:
    with connect_to(task.info, autocommit=False) as connection:
        try:
            rows = _copy_once(connection, task, part, batches)
            connection.commit()
        except psycopg.Error as error:
            doing = f"loading {task.table.use_case}, batch {task.batch_id}, part {part}"
            raise explained(error, doing) from error
    return rows


def _copy_once(
    connection: Connection, task: Load, part: int, batches: Iterator[pa.RecordBatch]
) -> int:
    # A twin of this task that is still at work holds this key, and is waited for.
    mine = connection.execute(
        "INSERT INTO daybreak.loads (batch_id, part, rows) VALUES (%s, %s, 0) "
        "ON CONFLICT DO NOTHING",
        [task.batch_id, part],
    )
    if mine.rowcount == 0:
        return _rows_loaded(connection, task, part)
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in task.table.stored)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        task.table.partition(task.batch_id), names
    )
    rows = 0
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for batch in batches:
            # A text is always quoted and a null never is, so Postgres tells "" from null.
            buffer = BytesIO()
            csv.write_csv(batch, buffer, CSV)
            copy.write(buffer.getbuffer())
            rows += batch.num_rows
    connection.execute(
        "UPDATE daybreak.loads SET rows = %s WHERE batch_id = %s AND part = %s",
        [rows, task.batch_id, part],
    )
    return rows


def _rows_loaded(connection: Connection, task: Load, part: int) -> int:
    row = one(
        connection,
        "SELECT rows FROM daybreak.loads WHERE batch_id = %s AND part = %s",
        [task.batch_id, part],
    )
    return int(row[0])
