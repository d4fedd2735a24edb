"""Each file once: twice delivered, renamed, corrected, refused, or cut short by a kill."""

from __future__ import annotations

import datetime as dt
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession
from pyspark.sql import functions as f

from jobs.errors import DaybreakError, Refused, Unavailable
from jobs.ingest import ledger, reader
from jobs.ingest.landing import LandedFile, landing_store
from jobs.ingest.ledger import Seen, identity
from jobs.ingest.take_in import Taken, take_in
from jobs.ingest.text import Limits
from jobs.lake.moments import micros
from jobs.lake.tables import Tables
from jobs.plan import Dates, Plan
from jobs.usecase import Format
from tests.unit.ingest.s3_server import Faults

DAY = dt.date(2024, 1, 2)
FOLDER = "visits/date=2024-01-02"
NOON = dt.datetime(2024, 1, 3, 12, 0, tzinfo=dt.UTC)
HEADER = "day,who,spent\n"
GOOD = HEADER + "2024-01-02,ann,1\n2024-01-02,bob\n2024-01-02,cid,3\n"

Night = Callable[[], Taken]


@pytest.fixture
def night(spark: SparkSession, plan: Plan) -> Night:
    return lambda: take_in(spark, Tables(plan), {"visits": Dates(DAY, DAY)})[0]


def land(plan: Plan, name: str, content: str, at: dt.datetime = NOON) -> Path:
    path = Path(plan.settings.landing) / FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def bronze(spark: SparkSession, plan: Plan) -> list[tuple[object, ...]]:
    rows = Tables(plan).bronze("visits").read(spark).orderBy("_arrived_at", "_file", "_row")
    return [
        (row["_file"].rsplit("/", 1)[1], row["_row"], row["who"], row["spent"], row["_malformed"])
        for row in rows.collect()
    ]


def test_takes_the_good_files_and_names_the_bad_one(
    spark: SparkSession, plan: Plan, night: Night
) -> None:
    land(plan, "a.csv", GOOD)
    land(plan, "b.csv", HEADER + "2024-01-02,dan")
    first = night()
    assert (first.files, first.rows, first.duplicates) == (1, 3, 0)
    cut = f"{FOLDER}/b.csv was cut off after 28 bytes: its last line 2 has no end."
    assert (first.refused, first.lacking) == ((cut,), ())
    assert bronze(spark, plan) == [
        ("a.csv", 1, "ann", "1", None),
        ("a.csv", 2, None, None, "2 fields instead of 3: 2024-01-02,bob"),
        ("a.csv", 3, "cid", "3", None),
    ]

    again = night()
    assert (again.files, again.rows, again.refused) == (0, 0, (cut,))
    land(plan, "b.csv", HEADER + "2024-01-02,dan,4\n")
    mended = night()
    assert (mended.files, mended.refused) == (1, ())
    outcomes = Tables(plan).ledger().read(spark).where("outcome != 'unchanged'")
    told = outcomes.orderBy("seen_at", "_file").collect()
    assert [(row["_file"][-5:], row["outcome"], row["rows"]) for row in told] == [
        ("a.csv", "taken", 3),
        ("b.csv", "refused", 0),
        ("b.csv", "taken", 1),
    ]


def test_a_day_of_which_no_file_is_sound_is_lacking(plan: Plan, night: Night) -> None:
    land(plan, "a.csv", "")
    first = night()
    assert (first.files, first.lacking) == (0, (DAY,))
    assert "a.csv" in first.refused[0]
    land(plan, "b.csv", GOOD)
    second = night()
    assert (second.files, second.lacking, len(second.refused)) == (1, (), 1)
    # Half of the files is what the budget bears; two of three is more.
    land(plan, "c.csv", HEADER + "2024-01-02,dan")
    assert night().lacking == (DAY,)


def test_content_is_taken_once_and_a_correction_again(
    spark: SparkSession, plan: Plan, night: Night
) -> None:
    hour = dt.timedelta(hours=1)
    land(plan, "a.csv", GOOD)
    land(plan, "b.csv", GOOD)
    assert night().repeated == (f"{FOLDER}/b.csv has the same content as {FOLDER}/a.csv.",)
    assert night().repeated == ()

    land(plan, "a.csv", GOOD, NOON + hour)
    assert night().repeated == (f"{FOLDER}/a.csv was delivered again with the same content.",)
    assert len(bronze(spark, plan)) == 3

    land(plan, "a.csv", HEADER + "2024-01-02,ann,7\n", NOON + 2 * hour)
    assert night().rows == 1
    land(plan, "a.csv", GOOD, NOON + 3 * hour)
    assert night().rows == 3
    spent = [row[3] for row in bronze(spark, plan) if row[2] == "ann"]
    assert spent == ["1", "7", "1"]


def test_other_content_under_a_known_name_is_a_correction_whenever_it_says_it_came(
    spark: SparkSession, plan: Plan, night: Night
) -> None:
    land(plan, "a.csv", GOOD)
    land(plan, "b.csv", HEADER + "2024-01-02,dan,4\n")
    assert night().files == 2
    # The same as another file, and as old as what it replaces: put back from a backup.
    land(plan, "b.csv", GOOD)
    before = dt.datetime.now(dt.UTC)
    assert night().files == 1
    arrived = f.max(f.unix_micros("_arrived_at"))
    rows = Tables(plan).bronze("visits").read(spark)
    ((newest,),) = rows.where("_file like '%b.csv'").agg(arrived).collect()
    assert newest >= micros(before)
    again = night()
    assert (again.files, again.duplicates) == (0, 1)
    assert night().duplicates == 0


def test_other_content_of_the_same_size_and_arrival_is_noticed(
    spark: SparkSession, plan: Plan, night: Night
) -> None:
    first, second = (HEADER + f"2024-01-02,ann,{spent}\n" for spent in (1, 7))
    land(plan, "a.csv", first)
    assert night().files == 1
    for content in (second, first):
        land(plan, "a.csv", content)
        assert night().files == 1
    land(plan, "a.csv", first)
    # The same under the same arrival is nothing to be told of.
    assert (night().files, night().duplicates) == (0, 0)
    assert [row[3] for row in bronze(spark, plan)] == ["1", "7", "1"]


def test_what_was_not_written_since_it_was_looked_at_is_not_looked_at_again() -> None:
    def file(written_at: dt.datetime) -> LandedFile:
        return LandedFile("a.csv", "visits", DAY, 9, NOON, written_at)

    looked = NOON + dt.timedelta(hours=1)
    seen = Seen(settled={identity(file(NOON)): ("0" * 64, looked)})
    assert seen.is_settled(file(NOON))
    # Nor does it matter what it says of its arrival.
    assert not seen.is_settled(file(looked + dt.timedelta(hours=1)))
    # It may have been written again within the tick of a clock.
    assert not seen.is_settled(file(looked - dt.timedelta(milliseconds=1)))


def test_a_state_of_a_snapshot_may_come_back_under_another_name(
    spark: SparkSession, plan: Plan
) -> None:
    folder = Path(plan.settings.landing) / "people"
    folder.mkdir(parents=True)
    taken = []
    for name, city in (("1", "Bonn"), ("2", "Kiel"), ("3", "Bonn"), ("4", "Bonn")):
        (folder / f"{name}.csv").write_text(f"who,city\nann,{city}\n")
        taken.append(take_in(spark, Tables(plan), {"people": None})[0].files)
    assert taken == [1, 1, 1, 0]


def test_a_full_disk_is_not_held_against_a_file(
    spark: SparkSession, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = land(plan, "a.csv", GOOD)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    spec, store = plan.usecase.sources["visits"], landing_store(plan)
    file = {"name": f"{FOLDER}/a.csv", "size": path.stat().st_size, "batch_date": DAY}
    inspect = reader._Inspect(store, spec, Limits())
    assert inspect._one(file)[1:] == (3, "")
    monkeypatch.setattr(reader, "_opened", full)
    with pytest.raises(OSError, match="No space left on device"):
        inspect._one(file)


def test_a_file_put_under_the_wrong_day_can_come_under_the_right_one(
    spark: SparkSession, plan: Plan
) -> None:
    land(plan, "../date=2024-01-01/a.csv", GOOD)
    days = {"visits": Dates(DAY - dt.timedelta(days=1), DAY)}
    assert take_in(spark, Tables(plan), days)[0].rows == 3
    land(plan, "a.csv", GOOD)
    right = take_in(spark, Tables(plan), days)[0]
    assert (right.rows, right.repeated) == (3, ())


def test_killed_between_bronze_and_ledger_nothing_is_doubled(
    spark: SparkSession, plan: Plan, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(plan, "a.csv", GOOD)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as fault:
        fault.setattr(ledger, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            night()
    assert len(bronze(spark, plan)) == 3
    assert not Tables(plan).ledger().exists()

    land(plan, "b.csv", HEADER + "2024-01-02,dan,4\n")
    assert night().files == 2
    assert [row[2] for row in bronze(spark, plan)] == ["ann", None, "cid", "dan"]
    assert Tables(plan).ledger().read(spark).count() == 2
    assert night().files == 0


def test_a_table_is_taken_in_once_for_each_version(spark: SparkSession, plan: Plan) -> None:
    people = plan.usecase.sources["people"]
    delta = people.model_copy(update={"landing": "people", "format": Format(type="delta")})
    sources = {**plan.usecase.sources, "people": delta}
    tables = Tables(Plan(plan.usecase.model_copy(update={"sources": sources}), plan.settings))
    folder = Path(plan.settings.landing) / "people"
    folder.mkdir(parents=True)
    for who, files in (("ann", 1), (None, 0), ("bob", 1)):
        if who:
            write_deltalake(folder, pa.table({"who": [who], "city": ["Rome"]}), mode="append")
        assert take_in(spark, tables, {"people": None})[0].files == files
    rows = tables.bronze("people").read(spark).orderBy("_arrived_at", "_row").collect()
    assert [(row["_file"], row["who"]) for row in rows[:1]] == [("people", "ann")]
    assert sorted(row["who"] for row in rows[1:]) == ["ann", "bob"]


@pytest.fixture
def night_in_s3(spark: SparkSession, in_s3: Plan, workers: None) -> Night:
    return lambda: take_in(spark, Tables(in_s3), {"visits": Dates(DAY, DAY)})[0]


def test_takes_the_files_of_a_bucket_on_spark_s_workers(
    spark: SparkSession, in_s3: Plan, s3: Any, night_in_s3: Night
) -> None:
    arrived = {"arrived-at": NOON.isoformat()}
    for name, content in (("a.csv", GOOD), ("b.csv", HEADER + "2024-01-02,dan")):
        s3.put_object(Bucket="landing", Key=f"in/{FOLDER}/{name}", Body=content, Metadata=arrived)
    first = night_in_s3()
    assert (first.files, first.rows, len(first.refused)) == (1, 3, 1)
    assert [row[:4] for row in bronze(spark, in_s3)] == [
        ("a.csv", 1, "ann", "1"),
        ("a.csv", 2, None, None),
        ("a.csv", 3, "cid", "3"),
    ]
    assert night_in_s3().files == 0


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ((503, "SlowDown"), Unavailable),
        ((500, "InternalError"), Unavailable),
        ((400, "ExpiredToken"), Refused),
    ],
)
def test_what_a_store_says_of_itself_is_not_held_against_a_file(
    in_s3: Plan,
    s3: Any,
    night_in_s3: Night,
    faults: Faults,
    fault: tuple[int, str],
    kind: type[DaybreakError],
) -> None:
    s3.put_object(Bucket="landing", Key=f"in/{FOLDER}/a.csv", Body=GOOD)
    faults.planted = fault
    with pytest.raises(kind, match=fault[1]):
        night_in_s3()
    assert not Tables(in_s3).ledger().exists()
    faults.planted = None
    assert night_in_s3().files == 1


def test_an_archived_object_is_refused_by_name(s3: Any, night_in_s3: Night, faults: Faults) -> None:
    s3.put_object(Bucket="landing", Key=f"in/{FOLDER}/a.csv", Body=GOOD)
    faults.planted = (403, "InvalidObjectState")
    (why,) = night_in_s3().refused
    assert why.startswith(f"{FOLDER}/a.csv cannot be opened")
    assert "is archived" in why
