"""Which labels a training may know, and which rows it had."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from jobs.errors import Refused, Unavailable
from jobs.lake import files
from jobs.lake.moments import now
from jobs.lake.tables import Tables
from jobs.learning.dataset import (
    A_WEEK,
    ASIDE,
    content_hash,
    forget_set_aside,
    labelled,
    set_aside,
    versions,
)
from jobs.plan import Dates, Plan
from jobs.settings import Settings
from tests.unit.learning import parcels

FIRST = parcels.START


@pytest.fixture(scope="module")
def tables(spark, tmp_path_factory) -> Tables:
    lake = str(tmp_path_factory.mktemp("lake"))
    tables = Tables(parcels.plan(Settings(home="/nowhere", lake=lake)))
    parcels.write(spark, tables.features(), tables.labels(), parcels.rows(days=3, per_day=2))
    # Parcel 0 was first called late or not, and on day 5 the other way round.
    labels = tables.labels()
    labels_now = labels.read(spark)
    corrected = dt.datetime(2024, 1, 5, tzinfo=dt.UTC)
    of_parcel = F.col("parcel") == 0
    superseded = F.when(of_parcel, F.lit(corrected)).cast("timestamp")
    anew = labels_now.where(of_parcel).withColumns(
        {"label": 1 - F.col("label"), "_arrived_at": F.lit(corrected)}
    )
    both = labels_now.withColumn("_superseded_at", superseded).unionByName(anew)
    rows = spark.createDataFrame(both.toArrow(), labels.schema)
    labels.replace(rows, None)
    return tables


def known(tables: Tables, spark, moment: dt.datetime) -> dict[int, float]:
    rows = labelled(tables, spark, Dates(FIRST, FIRST + dt.timedelta(days=2)), moment).collect()
    found = {row["parcel"]: row["label"] for row in rows}
    assert len(found) == len(rows)
    return found


def test_a_label_counts_once_it_has_arrived_and_is_final(tables, spark):
    # Arrived on the 2nd at noon, final on the 2nd at 23:00 UTC.
    assert set(known(tables, spark, dt.datetime(2024, 1, 2, 22, tzinfo=dt.UTC))) == set()
    assert set(known(tables, spark, dt.datetime(2024, 1, 2, 23, tzinfo=dt.UTC))) == {0, 1}
    assert set(known(tables, spark, dt.datetime(2024, 1, 9, tzinfo=dt.UTC))) == set(range(6))


def test_a_corrected_label_is_known_from_its_arrival_on(tables, spark):
    before = known(tables, spark, dt.datetime(2024, 1, 5, tzinfo=dt.UTC))
    after = known(tables, spark, dt.datetime(2024, 1, 5, 1, tzinfo=dt.UTC))
    assert after[0] == 1 - before[0]
    assert before[1] == after[1]


def test_hash_is_of_the_rows_and_not_of_their_order(tables, spark):
    frame = tables.features().read(spark)
    assert content_hash(frame) == content_hash(frame.orderBy(F.desc("parcel")))
    assert content_hash(frame) != content_hash(frame.where("parcel > 0"))
    assert content_hash(frame) != content_hash(frame.withColumn("hour", F.col("hour") + 1))
    assert content_hash(frame) != content_hash(frame.unionByName(frame.limit(2)))


def test_the_newest_version_is_the_last_commit_of_the_log(tables):
    assert versions(tables).labels == 1


def test_what_is_set_aside_goes_with_its_training_and_what_a_kill_left_after_a_week(tables, spark):
    frame, root = tables.features().read(spark), Path(tables.root) / ASIDE
    with set_aside(frame, tables) as folder:
        assert content_hash(spark.read.parquet(folder)) == content_hash(frame)
    broken = frame.withColumn("hour", F.expr("raise_error('no disk')"))
    with pytest.raises(Exception, match="no disk"), set_aside(broken, tables):
        pass
    assert not any(root.iterdir())
    left = {days: root / f"{now() - days * A_WEEK // 7}-killed" for days in (6, 8)}
    for each in left.values():
        each.mkdir()
    forget_set_aside(tables)
    assert left[6].exists()
    assert not left[8].exists()


def test_a_training_whose_rows_were_erased_meanwhile_is_told_so(tables, spark):
    def read_while_somebody_erases() -> None:
        with set_aside(tables.features().read(spark), tables) as folder:
            copied = spark.read.parquet(folder)
            files.remove_folder(folder)
            copied.count()

    with pytest.raises(Unavailable, match="Something was erased from late_parcel"):
        read_while_somebody_erases()


def test_without_labels_there_is_nothing_to_learn(tmp_path):
    empty = Tables(Plan(parcels.plan(Settings()).usecase, Settings(lake=str(tmp_path))))
    with pytest.raises(Refused, match="has never been written"):
        versions(empty)
