"""Formats of dates and moments: what is taken, and that Spark and Python read the same by them."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as f

from jobs.conform.rules import typed
from jobs.datetime_format import datetime_format
from jobs.usecase import Column

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

VIENNA = "Europe/Vienna"
# Texts by format. The first of them reads, the last of them does not.
TEXTS = {
    "M/d/yyyy": ["1/2/2011", "12/31/1999", "02/29/2020", "2/29/2021", "13/1/2011", "1/2/11", "x"],
    "dd.MM.yy": ["01.02.20", "01.02.99", "1.02.20", "01.02.2020", "31.04.20"],
    "d-MMM-yyyy": ["5-Oct-2018", "05-oct-2018", "5-OCT-2018", "5-Sept-2018", "5-May-0000"],
    "MMMM d, yyyy": ["May 5, 2018", "september 30, 2018", "Sep 30, 2018", "May 5,2018"],
    "yyyyMMdd": ["20200229", "19000101", "99991231", "20210229", "2020022", "+2020022"],
    "yyyy-MM-dd HH:mm:ss": [
        *("2020-02-20 06:43:18", "2024-03-31 02:30:00", "2024-10-27 02:30:00"),
        *("2020-02-20 24:00:00", "2020-02-20 23:59:60", " 2020-02-20 06:43:18"),
        *("2020-02-20 06:43:18\n", "2020-02-20 6:43:18", "2020-02-20"),
    ],
    "yyyy-MM-dd'T'H:mm[:ss][.SSSSSSSSS]": [
        *("2020-02-20T6:43", "2020-02-20T06:43:18", "2020-02-20T06:43:18.5"),
        *("2020-02-20T06:43:18.123456789", "2020-02-20T06:43.5", "2020-02-20 06:43"),
    ],
    "M/d/yyyy h:mm a": [
        *("1/5/2011 12:07 AM", "1/5/2011 12:07 pm", "1/5/2011 11:59 PM", "1/5/2011 1:00 Am"),
        *("1/5/2011 0:10 AM", "1/5/2011 13:00 PM"),
    ],
    "dd/MMM/yyyy:HH:mm:ss Z": ["20/Feb/2020:06:43:18 +0100", "20/Feb/2020:06:43:18 Z"],
    "yyyyMMddHHmmssXX": ["20200220064318Z", "20200220064318-0930", "20200220064318+01:00"],
    "yyyy/M/d HH:mmXXX": [
        *("2020/2/20 06:43Z", "2020/02/20 06:43+05:45", "2020/2/20 06:43-00:00"),
        *("2020/2/20 06:43+14:00", "2020/2/20 06:43+19:00"),
    ],
}


def column(written: str, kind: str) -> Column:
    needs = kind == "timestamp" and not datetime_format(written).has_zone
    return Column.model_validate(
        {"type": kind, "format": written, "zone": VIENNA if needs else None}
    )


def shown(value: dt.date | dt.datetime | None) -> str | int | None:
    """A value as Spark is asked to show it."""
    if isinstance(value, dt.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return (aware - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
    return str(value) if value else None


def test_spark_reads_each_text_by_each_format_as_python_does(spark: SparkSession) -> None:
    texts = [text for some in TEXTS.values() for text in some]
    rows = spark.createDataFrame([(text,) for text in texts], "at string")
    dates = {each: column(each, "date") for each in TEXTS if not datetime_format(each).has_zone}
    moments = {each: column(each, "timestamp") for each in TEXTS}
    found = rows.select(
        *[typed("at", each).cast("string") for each in dates.values()],
        *[f.unix_micros(typed("at", each)) for each in moments.values()],
        # The shapes are ours; what the pattern means, Spark says without them.
        *[f.unix_micros(f.try_to_timestamp("at", f.lit(each))) for each in TEXTS],
    ).collect()
    for text, row in zip(texts, found, strict=True):
        both = [*dates.values(), *moments.values()]
        assert list(row[: len(both)]) == [shown(each.read(text)) for each in both], text
        for written, meant in zip(TEXTS, row[len(both) :], strict=True):
            if (read := datetime_format(written).read(text)) is not None:
                assert shown(read) == meant, (text, written)
    for written, some in TEXTS.items():
        first, *_, last = map(datetime_format(written).read, some)
        assert first is not None
        assert last is None


def test_where_clocks_change_the_first_of_two_and_the_offset_before_count() -> None:
    spec = column("yyyy-MM-dd H:mm", "timestamp")
    for text, moment in (
        ("2024-07-01 1:00", "2024-06-30 23:00"),
        ("2024-03-31 2:30", "2024-03-31 01:30"),
        ("2024-10-27 2:30", "2024-10-27 00:30"),
    ):
        assert spec.read(text) == dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("MM/DD/YYYY", "has 'DD', and what is read is yyyy"),
        ("%m/%d/%Y", "has 'Y'"),
        ("EEE d MMM yyyy", "has 'EEE'"),
        ("mm/dd/yyyy", r"does not say the month \(M\)"),
        ("yyyy[-MM-dd]", "does not say the month"),
        ("M/d/yyyy M", "has the month twice"),
        ("M/d/yyyy h:mm", "h and a need each other"),
        ("M/d/yyyy H:mm a", "h and a need each other"),
        ("yyyyMd", "the year and the month with nothing between them"),
        ("yyyy-MM-dd HH:mm:ssSSS", "the second and the fraction with nothing between"),
        ("yyyy-MM-dd[ HH[:mm]]", "brackets that are no pair, or within others"),
        ("yyyy-MM-dd]", "brackets that are no pair"),
        ("yyyy-MM-dd'T", "has a ' too many"),
        ("yyyy-MM-dd#", "has a # too many"),
        ("", "does not say the year"),
    ],
)
def test_a_format_that_leaves_a_doubt_is_refused(written: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        datetime_format(written)


@pytest.mark.parametrize(
    ("written", "named", "others"),
    [
        ("M/d/yyyy", ["1/2/2011", "01/02/2011"], ["2/1/2011", "1/2/2012", "1/20/2011"]),
        ("d-MMM-yy H:mm", ["2-jan-11 23:59", "02-Jan-11 0:00"], ["2-feb-11 0:00"]),
    ],
)
def test_a_day_is_known_in_each_way_of_writing_it(
    written: str, named: list[str], others: list[str]
) -> None:
    ways = datetime_format(written).naming(dt.datetime(2011, 1, 2), day_only=True)
    assert all(re.fullmatch(ways, text) for text in named)
    assert not any(re.fullmatch(ways, text) for text in others)


def test_a_moment_is_known_with_its_time() -> None:
    ways = datetime_format("M/d/yyyy h:mm[:ss] a").naming(dt.datetime(2011, 1, 2, 12, 5, 9))
    assert re.fullmatch(ways, "1/2/2011 12:05:09 pm")
    assert re.fullmatch(ways, "1/2/2011 12:05 PM")
    assert not re.fullmatch(ways, "1/2/2011 12:05:09 am")
    assert not re.fullmatch(ways, "1/2/2011 12:06 PM")
