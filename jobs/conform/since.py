"""Since when rows could be known that say so themselves, as those of history in one file do."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pyspark.sql import functions as f
from pyspark.sql.types import DateType, TimestampType

from jobs.errors import Refused
from jobs.lake.made import WHOLE
from jobs.usecase import Source

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame


def known_at(rows: DataFrame, spec: Source, zone: str) -> Expression:
    """When the first version of each row could be known: as it says itself, or at its arrival.

    It is the arrival also of a row that says nothing, or something later.

    Args:
        rows: with the source's columns and `_arrived_at`.
        zone: the time zone of dates.

    Raises:
        Refused: the source's `known` is neither a date nor a timestamp.
    """
    arrived = f.col("_arrived_at")
    if spec.known is None:
        return arrived
    said = f.expr(spec.known)
    kind = rows.select(said.alias("said")).schema["said"].dataType
    if isinstance(kind, DateType):
        said = f.to_utc_timestamp(said.cast("timestamp"), zone)
    elif not isinstance(kind, TimestampType):
        raise Refused(
            f"When a row could be known is a date or a timestamp, and `known: {spec.known}` is "
            f"{kind.simpleString()}.",
            "Write one of the two in the use-case file, such as `date_add(day, 1)`.",
        )
    # The least of those that are not null.
    return f.least(arrived, said)


def days_known(silver: DataFrame, spec: Source) -> dict[str, list[list[str]]]:
    """For each part of silver the days on which its rows began or ceased to be, in UTC, in order.

    Beside each day is a digest of all that did until its end: what was known by a moment is the
    same as long as this is.
    """
    part = f.col("_batch_date").cast("string") if spec.is_daily else f.lit(WHOLE)
    row = f.xxhash64(*spec.columns, "_arrived_at")
    begun = silver.select(part.alias("part"), f.to_date("_arrived_at").alias("day"), row)
    ended = silver.where("_superseded_at is not null").select(
        part, f.to_date("_superseded_at"), f.xxhash64(row, "_superseded_at")
    )
    changes = begun.union(ended).toDF("part", "day", "change")
    counted = changes.groupBy("part", "day").agg(
        f.count("*"), f.sum(f.col("change").cast("decimal(38,0)")), f.bit_xor("change")
    )
    found: dict[str, list[list[str]]] = {}
    for of, day, *told in counted.orderBy("part", "day").collect():
        days = found.setdefault(of, [])
        before = days[-1][1] if days else ""
        until = hashlib.sha256(f"{before} {day} {told}".encode()).hexdigest()[:16]
        days.append([str(day), until])
    return found
