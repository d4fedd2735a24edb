"""What reads as a type here must be what Spark reads as it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from jobs.conform.rules import checks, typed
from jobs.draft.texts import numbers, reads, truths
from jobs.usecase import Column, Source

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TEXTS = [
    *("1", " 1 ", "+1", "-07", "1.0", "1.", ".5", "1e3", "1d", "1f", "0x10", "1_000", "1,5"),
    *("9223372036854775807", "9223372036854775808", "NaN", "nan", "Infinity", "-inf", "1e999"),
    *("true", "TRUE", "t", "yes", "n", "0", "2", "on", " no "),
    *("2020-02-29", "2021-02-29", "2020-2-9", "2020-02-29 ", "20200229", "2020-02-29T00"),
    *(
        "2020-02-29T10:00:00Z",
        "2020-02-29 10:00Z",
        "2020-02-29T10:00+01:00",
        "2020-02-29T10:00:00+01:00",
    ),
    *("2020-02-29T10:00:00.123456+0100", "2020-02-29T10:00:00", "2020-02-29T25:00:00Z"),
    *("2020-02-29T10:00-0500", "2020-02-29T24:00Z", "2020-02-29 10Z", "2020-02-29T10:00"),
    *("", "NA", "word", "tt"),
]


@pytest.mark.parametrize("kind", ["string", "integer", "number", "boolean", "date", "timestamp"])
def test_as_silver_reads_it(spark: SparkSession, kind: Any) -> None:
    spec = Source(
        landing="x/*",
        arrives={"as": "snapshot"},  # type: ignore[arg-type]  # as a file says it
        key=("other",),
        columns={"value": Column(type=kind), "other": Column(type="string")},
    )
    frame = spark.createDataFrame(
        [(text, text, "") for text in TEXTS], "value string, _text_value string, other string"
    )
    rows = frame.withColumn("value", typed("value", spec.columns["value"]))
    (mistyped,) = [c.fails for c in checks(spec) if c.rule == "type"] or [None]
    taken = rows if mistyped is None else rows.where(~mistyped)
    by_spark = {row["_text_value"] for row in taken.collect()}
    ours = {
        text
        for text, ok in zip(TEXTS, reads(pd.Series(TEXTS), Column(type=kind)), strict=True)
        if ok
    }
    assert ours == by_spark


def test_missing_reads_as_anything_and_is_no_value() -> None:
    texts = pd.Series(["1", None, "x"])
    assert reads(texts, Column(type="integer")).tolist() == [True, True, False]
    assert str(numbers(texts).tolist()) == "[1.0, nan, nan]"
    assert str(truths(texts).tolist()) == "[1.0, nan, nan]"
