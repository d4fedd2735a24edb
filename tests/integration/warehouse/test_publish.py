"""What publishing does, and what it refuses."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from jobs.errors import Refused, Unavailable
from jobs.prediction import turn
from jobs.prediction.batches import latest, publications
from jobs.prediction.fingerprint import of_batch
from jobs.prediction.lookup import Lookup
from jobs.prediction.publish import Source, publish_batch
from jobs.prediction.published_table import Column, PublishedTable
from jobs.prediction.warehouse import Connection, connect
from tests.integration.night_of_scores import DATE, NIGHT, scores
from tests.integration.warehouse.batches import night, put, seen

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.settings import Settings

ONE_DAY = dt.timedelta(days=1)


class TestPublish:
    def test_the_same_again_changes_nothing_and_says_so(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        first = put(spark, settings, "twice", 1)
        again = put(spark, settings, "twice", 1)
        assert first.changed
        assert not again.changed
        assert again.batch_id == first.batch_id
        assert "nothing was changed" in again.sentence
        assert seen(reader, "twice") == [(first.batch_id, 1, 100)]
        other = put(spark, settings, "twice", 2)
        assert seen(reader, "twice") == [(other.batch_id, 2, 100)]
        assert [p.attempt for p in publications(settings, "twice")] == [2, 1]

    def test_rows_are_those_of_gold(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        put(spark, settings, "rows", 3)
        found = reader.execute("SELECT day, name, score, prediction, dest FROM rows").fetchall()
        wanted = scores(spark, 100, 3).drop("model_version").collect()
        assert sorted(found) == sorted(tuple(row) for row in wanted)

    def test_an_older_date_published_later_is_not_the_latest(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        newer = put(spark, settings, "backfill", 1)
        older = put(spark, settings, "backfill", 2, DATE - ONE_DAY)
        assert seen(reader, "backfill_latest") == [(newer.batch_id, 1, 100)]
        assert [row[0] for row in seen(reader, "backfill")] == [newer.batch_id, older.batch_id]
        found = latest(settings, "backfill")
        assert found is not None
        assert (found.batch_id, found.prediction_date, found.live) == (newer.batch_id, DATE, True)
        assert found.age_seconds is not None
        assert found.age_seconds >= 0

    @pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf])
    def test_a_score_that_is_no_number_is_refused(
        self, settings: Settings, spark: SparkSession, reader: Connection, bad: float | None
    ) -> None:
        before = put(spark, settings, "no_number", 1)
        frame = scores(spark, 100, 2).withColumn(
            "score", F.when(F.col("name") != "k0000042", F.col("score")).otherwise(F.lit(bad))
        )
        with pytest.raises(Refused, match="1 have no score that is a finite number"):
            publish_batch(frame, night("no_number"), DATE, Source("m", 2), settings)
        assert seen(reader, "no_number") == [(before.batch_id, 1, 100)]

    def test_a_key_twice_is_refused_by_name(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        before = put(spark, settings, "doubled", 1)
        frame = scores(spark, 100, 2)
        doubled = frame.union(frame.where("name = 'k0000042'"))
        with pytest.raises(Refused, match=r"a key twice.*k0000042"):
            publish_batch(doubled, night("doubled"), DATE, Source("m", 2), settings)
        assert seen(reader, "doubled") == [(before.batch_id, 1, 100)]
        assert [p.state for p in publications(settings, "doubled")] == ["failed", "ready"]

    def test_a_batch_that_is_not_gold_does_not_go_live_and_is_kept(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        before = put(spark, settings, "unlike", 1)
        frame = unstable(scores(spark, 100, 2))
        with pytest.raises(Refused, match="gold has 100"):
            publish_batch(frame, night("unlike"), DATE, Source("m", 2), settings)
        assert seen(reader, "unlike") == [(before.batch_id, 1, 100)]
        failed = publications(settings, "unlike")[0]
        assert (failed.state, failed.live) == ("failed", False)
        with connect(settings, "publisher") as publisher:
            assert of_batch(publisher, night("unlike"), failed.batch_id).rows == 100

    def test_a_zero_byte_in_a_text_is_refused_in_a_sentence(
        self, settings: Settings, spark: SparkSession
    ) -> None:
        frame = scores(spark, 10, 1).withColumn("dest", F.lit("a\0b"))
        with pytest.raises(Refused, match="zero_byte, batch"):
            publish_batch(frame, night("zero_byte"), DATE, Source("m", 1), settings)

    def test_two_at_once_one_publishes_and_the_other_says_who(
        self, settings: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(turn, "PUBLISH_SECONDS", 0.5)
        first = put(spark, settings, "at_once", 1)
        with (
            connect(settings, "publisher", application="the other one") as other,
            turn.publish_turn(other, "at_once", DATE),
        ):
            with pytest.raises(Unavailable, match=r"'the other one'.* is publishing at_once for"):
                put(spark, settings, "at_once", 2)
            put(spark, settings, "at_once", 2, DATE + ONE_DAY)
        assert put(spark, settings, "at_once", 2).batch_id > first.batch_id

    def test_a_column_may_be_added_and_a_lost_one_stays(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        put(spark, settings, "wider", 1)
        wider = PublishedTable("wider", NIGHT.key, "day", (Column("seats", "number"),))
        frame = scores(spark, 100, 2).drop("dest").withColumn("seats", F.lit(180.0))
        moved = frame.withColumn("day", F.lit(DATE + ONE_DAY))
        publish_batch(moved, wider, DATE + ONE_DAY, Source("m", 2), settings)
        found = reader.execute(
            "SELECT prediction_date, max(dest), max(seats) FROM wider GROUP BY 1 ORDER BY 1"
        ).fetchall()
        assert found == [(DATE, "BOS", None), (DATE + ONE_DAY, None, 180.0)]
        with Lookup(settings, "wider") as client:
            assert client.get({"name": "k0000001"}).columns == {
                "dest": None,
                "seats": 180.0,
            }

    def test_predicted_numbers_are_published_as_numbers(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        numbers = PublishedTable("numbers", NIGHT.key, "day", NIGHT.columns, "number")
        found = scores(spark, 50, 1).withColumns(
            {"score": F.col("score") * 900 - 400, "prediction": F.col("score") * 900 - 400}
        )
        publish_batch(found, numbers, DATE, Source("m", 1), settings)
        rows = "SELECT count(*), bool_and(score = prediction), min(prediction) < 0 FROM numbers"
        assert reader.execute(rows).fetchall() == [(50, True, True)]
        with Lookup(settings, "numbers") as client:
            assert client.table == numbers
            answer = client.get({"name": "k0000001"})
            assert answer.prediction == answer.score

    def test_classes_have_columns_and_a_new_one_comes_beside_the_old(
        self, settings: Settings, spark: SparkSession, reader: Connection
    ) -> None:
        first = (Column("score_late", "number"), Column("score_lost", "number"))
        classes = PublishedTable("classes", NIGHT.key, "day", first, "string")
        found = scores(spark, 10, 1).withColumns(
            {
                "prediction": F.when(F.col("prediction"), "late").otherwise("lost"),
                "score_late": F.col("score"),
                "score_lost": 1 - F.col("score"),
            }
        )
        publish_batch(found, classes, DATE, Source("m", 1), settings)
        later = DATE + ONE_DAY
        other = PublishedTable(
            "classes", NIGHT.key, "day", (first[0], Column("score_here", "number")), "string"
        )
        again = found.withColumns({"day": F.lit(later), "score_here": F.col("score_lost")})
        publish_batch(again, other, later, Source("m", 2), settings)
        rows = reader.execute(
            "SELECT prediction_date, min(prediction), count(score_late), count(score_lost), "
            "count(score_here) FROM classes GROUP BY 1 ORDER BY 1"
        ).fetchall()
        assert rows == [(DATE, "late", 10, 10, 0), (later, "late", 10, 0, 10)]
        with Lookup(settings, "classes") as client:
            answer = client.get({"name": "k0000001"})
            assert (answer.prediction, answer.columns["score_lost"]) == ("lost", None)

    @pytest.mark.parametrize(
        ("changed", "what"),
        [
            (PublishedTable("fixed", NIGHT.key, "day", (Column("dest", "number"),)), "'dest' is"),
            (PublishedTable("fixed", NIGHT.key[1:], None, NIGHT.columns), "the key is"),
            (PublishedTable("fixed", NIGHT.key, "day", NIGHT.columns, "number"), "'prediction' is"),
        ],
    )
    def test_another_key_or_type_is_refused_with_a_remedy(
        self, settings: Settings, spark: SparkSession, changed: PublishedTable, what: str
    ) -> None:
        put(spark, settings, "fixed", 1)
        with pytest.raises(Refused, match=what) as raised:
            publish_batch(scores(spark, 1, 1), changed, DATE, Source("m", 1), settings)
        assert "new use-case name" in raised.value.remedy


def unstable(frame: DataFrame) -> DataFrame:
    """Scores that differ each time they are worked out, as no gold table's do."""

    def drift(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            place = batch.schema.get_field_index("score")
            value = pa.array([time.time_ns() % 10**9 / 10**9] * batch.num_rows)
            yield batch.set_column(place, "score", value)

    return frame.mapInArrow(drift, frame.schema)
