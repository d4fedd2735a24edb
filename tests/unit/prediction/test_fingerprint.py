"""The checksum against a plain Python oracle, and what is refused before it is made."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import (
    BooleanType,
    DateType,
    DoubleType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from jobs.errors import Refused
from jobs.lake.local_rows import local_rows
from jobs.prediction.fingerprint import of_gold
from jobs.prediction.published_table import Column, PublishedTable

DAY = dt.date(2013, 10, 7)
TABLE = PublishedTable(
    "nights",
    (Column("day", "date"), Column("name", "string")),
    "day",
    (Column("seats", "integer"), Column("load", "number"), Column("seen_at", "timestamp")),
)
SCHEMA = StructType(
    [
        StructField("day", DateType()),
        StructField("name", StringType()),
        StructField("score", DoubleType()),
        StructField("prediction", BooleanType()),
        StructField("seats", LongType()),
        StructField("load", DoubleType()),
        StructField("seen_at", TimestampType()),
    ]
)
MOMENT = dt.datetime(2013, 3, 10, 6, 59, 59, 999_999, tzinfo=dt.UTC)
ROWS: list[tuple[Any, ...]] = [
    (DAY, "plain", 0.5, True, 1, 1.5, MOMENT),
    (DAY, "", 0.0, False, None, None, None),
    (DAY, "ü \"'\\\n,~:", 0.1 + 0.2, True, -(2**63), -0.0, MOMENT.replace(year=1969)),
    (DAY, "~", 1.0, False, 2**63 - 1, 5e-324, None),
]


def by_hand(rows: Sequence[tuple[Any, ...]]) -> int:
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

    def text(value: Any) -> str:
        if value is None:
            return "~"
        if isinstance(value, bool):
            plain = str(value).lower()
        elif isinstance(value, float):
            plain = str(struct.unpack(">q", struct.pack(">d", value))[0])
        elif isinstance(value, dt.datetime):
            plain = str((value - epoch) // dt.timedelta(microseconds=1))
        elif isinstance(value, dt.date):
            plain = str((value - epoch.date()).days)
        else:
            plain = str(value)
        return f"{len(plain.encode())}:{plain}"

    digests = (hashlib.md5("".join(map(text, row)).encode()).hexdigest() for row in rows)
    return sum(int(digest[:15], 16) for digest in digests)


def test_the_checksum_is_that_of_the_oracle_in_any_order(spark: SparkSession) -> None:
    frame = local_rows(spark, ROWS, SCHEMA)
    found = of_gold(frame, TABLE, DAY)
    assert (found.rows, found.checksum) == (len(ROWS), by_hand(ROWS))
    assert of_gold(local_rows(spark, ROWS[::-1], SCHEMA).repartition(3), TABLE, DAY) == found


def test_a_change_of_one_bit_is_seen(spark: SparkSession) -> None:
    before = of_gold(local_rows(spark, ROWS, SCHEMA), TABLE, DAY)
    score = math.nextafter(0.5, 1)
    rows = [(*ROWS[0][:2], score, *ROWS[0][3:]), *ROWS[1:]]
    assert of_gold(local_rows(spark, rows, SCHEMA), TABLE, DAY) != before


def test_bad_rows_are_refused_by_kind_and_count(spark: SparkSession) -> None:
    bad: list[tuple[Any, ...]] = [
        (DAY, "nan", math.nan, True, 1, 1.0, None),
        (DAY, "inf", math.inf, True, 1, 1.0, None),
        (DAY, "-inf", -math.inf, True, 1, 1.0, None),
        (DAY, "null", None, True, 1, 1.0, None),
        (DAY, None, 0.5, True, 1, 1.0, None),
        (DAY, "undecided", 0.5, None, 1, 1.0, None),
        (DAY + dt.timedelta(days=1), "tomorrow", 0.5, True, 1, 1.0, None),
    ]
    with pytest.raises(Refused) as raised:
        of_gold(local_rows(spark, [*ROWS, *bad], SCHEMA), TABLE, DAY)
    for part in (
        "have 11 rows",
        "4 have no score that is a finite number",
        "1 have no name",
        "1 have no prediction",
        "1 have another day than 2013-10-07",
    ):
        assert part in raised.value.sentence


def test_nothing_to_publish_is_refused(spark: SparkSession) -> None:
    with pytest.raises(Refused, match="nothing to publish"):
        of_gold(local_rows(spark, [], SCHEMA), TABLE, DAY)
