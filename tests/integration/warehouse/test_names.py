"""Names and values that mean something else to SQL."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from jobs.errors import Refused
from jobs.lake.local_rows import local_rows
from jobs.prediction.batches import drop_expired, rollback
from jobs.prediction.lookup import Lookup
from jobs.prediction.publish import Source, publish_batch
from jobs.prediction.published_table import Column, PublishedTable
from jobs.prediction.warehouse import Connection
from tests.integration.night_of_scores import DATE, scores
from tests.integration.warehouse.batches import night, seen

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.settings import Settings

NASTY = (
    "",
    " ",
    "NULL",
    "\\N",
    "\\.",
    '"',
    '""',
    "'; DROP TABLE daybreak.live; --",
    "=cmd()|'/c calc'!A1",
    "a,b\tc\nd\re\r\nf",
    "\ufeffBOM",
    "żółw 🛫 \u202e \U0010ffff",
    "%s %(x)s {} $1",
    "\\x41\\n\\",
    "~",
    "x" * 2000,
)


class TestNames:
    def test_any_text_survives_and_an_empty_one_is_not_null(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        rows = [
            (DATE, text, i / 97, i % 2 == 0, other, 7)
            for i, (text, other) in enumerate(zip(NASTY, (None, *NASTY), strict=False))
        ]
        frame = local_rows(spark, rows, scores(spark, 1, 1).schema)
        publish_batch(frame, night("nasty"), DATE, Source("m", 7), settings)
        found = reader.execute("SELECT day, name, score, prediction, dest, 7 FROM nasty").fetchall()
        assert sorted(found, key=str) == sorted(rows, key=str)
        with Lookup(settings, "nasty") as client:
            for _, text, score, prediction, other, _version in rows:
                answer = client.get([DATE, text])
                assert (answer.score, answer.prediction) == (score, prediction)
                assert answer.columns == {"dest": other}

    def test_every_kind_of_value_survives(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        table = PublishedTable(
            "kinds",
            (Column("at", "timestamp"), Column("number", "integer"), Column("share", "number")),
            None,
            (Column("day", "date"), Column("yes", "boolean")),
        )
        moment = dt.datetime(2013, 11, 3, 6, 30, 0, 1, tzinfo=dt.UTC)
        rows = [
            (moment, 2**63 - 1, 1.7976931348623157e308, 0.1, True, dt.date(1, 1, 1), None),
            (moment.replace(year=1901), -(2**63), 5e-324, 1.0, False, dt.date(9999, 12, 31), True),
            (moment, 0, -0.1, 0.30000000000000004, True, None, False),
        ]
        ddl = (
            "at timestamp, number bigint, share double, score double, prediction boolean, "
            "day date, yes boolean"
        )
        publish_batch(local_rows(spark, rows, ddl), table, DATE, Source("m", 1), settings)
        found = reader.execute(
            "SELECT at, number, share, score, prediction, day, yes FROM kinds"
        ).fetchall()
        assert sorted(found, key=str) == sorted(rows, key=str)
        with Lookup(settings, "kinds") as client:
            assert client.get(rows[0][:3], DATE).score == 0.1

    def test_names_are_names_whatever_they_are_made_of(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        use_case = "x\"; DROP TABLE daybreak.live; --'%s"
        table = PublishedTable(
            use_case,
            (Column('k"; SELECT 1; --%s', "string"),),
            None,
            (Column("select `a.b` 'c' %(d)s", "string"),),
        )
        names = [column.name for column in table.stored]
        frame = spark.createDataFrame([("Ada", 0.5, True, "x")], names)
        publish_batch(frame, table, DATE, Source("m", 1), settings)
        assert seen(reader, use_case)[0][1:] == (1, 1)
        with Lookup(settings, use_case) as client:
            assert client.get("Ada").score == 0.5
        assert rollback_is_refused(settings, use_case)
        assert drop_expired(settings, use_case, 0, DATE) == 0


def rollback_is_refused(settings: Settings, use_case: str) -> bool:
    with pytest.raises(Refused):
        rollback(settings, use_case, DATE, reason="test")
    return True
