"""What counts as landed, in a folder and in a real S3 server."""

from __future__ import annotations

import datetime as dt
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import NoCredentialsError
from botocore.stub import Stubber

from jobs.errors import DaybreakError, Refused, Unavailable
from jobs.ingest.landing import landed, landing_store, missing
from jobs.ingest.store import Bucket, Folder
from jobs.plan import Dates, Plan

FIRST, SECOND = dt.date(2024, 1, 2), dt.date(2024, 1, 3)
LATE_EVENING = dt.datetime(2024, 1, 3, 3, 30, tzinfo=dt.UTC)  # still 2 January in New York


def put(plan: Plan, name: str, at: dt.datetime = LATE_EVENING) -> Path:
    path = Path(plan.settings.landing) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x\n")
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def test_lists_the_files_of_the_dates_with_their_arrival(plan: Plan) -> None:
    for day in ("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"):
        put(plan, f"visits/date={day}/a.csv")
    found = landed(plan, "visits", Dates(FIRST, SECOND))
    assert [(each.name, each.batch_date, each.size, each.arrived_at) for each in found] == [
        ("visits/date=2024-01-02/a.csv", FIRST, 2, LATE_EVENING),
        ("visits/date=2024-01-03/a.csv", SECOND, 2, LATE_EVENING),
    ]


def test_a_snapshot_belongs_to_the_local_date_of_its_arrival(plan: Plan) -> None:
    put(plan, "people/all.csv")
    assert [each.batch_date for each in landed(plan, "people", None)] == [dt.date(2024, 1, 2)]


@pytest.mark.parametrize(
    "name", [".a.csv", "_SUCCESS", "a.csv.tmp", "a.csv.part", "_temporary/a.csv"]
)
def test_unfinished_and_hidden_files_have_not_landed(plan: Plan, name: str) -> None:
    put(plan, f"visits/date=2024-01-02/{name}")
    assert landed(plan, "visits", Dates.one(FIRST)) == []


def test_a_link_that_leads_out_is_listed_but_must_not_be_opened(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("x\n")
    folder = put(plan, "visits/date=2024-01-02/a.csv").parent
    (folder / "b.csv").symlink_to(tmp_path / "secret.csv")
    problems = [each.problem for each in landed(plan, "visits", Dates.one(FIRST))]
    assert problems == ["", "is a link to a place outside the landing folder"]


@pytest.mark.parametrize("pattern", ["../date={date}/*", "/etc/date={date}/*", "a/../../{date}"])
def test_a_pattern_that_leads_out_is_refused(plan: Plan, pattern: str) -> None:
    visits = plan.usecase.sources["visits"].model_copy(update={"landing": pattern})
    usecase = plan.usecase.model_copy(update={"sources": {"visits": visits}})
    with pytest.raises(Refused, match="leads out of the landing root"):
        landed(Plan(usecase, plan.settings), "visits", Dates.one(FIRST))


def test_a_night_says_which_files_it_lacks(plan: Plan) -> None:
    assert missing(plan, SECOND) == ["visits/date=2024-01-02/*", "people/*.csv"]
    put(plan, "people/all.csv")
    put(plan, "visits/date=2024-01-02/_SUCCESS")
    assert missing(plan, SECOND) == ["visits/date=2024-01-02/*"]
    put(plan, "visits/date=2024-01-02/a.csv")
    assert missing(plan, SECOND) == []


def test_the_first_night_needs_nothing_from_before_the_start(plan: Plan) -> None:
    put(plan, "people/all.csv")
    assert missing(plan, dt.date(2024, 1, 1)) == []


def test_lists_a_bucket_like_a_folder(in_s3: Plan, s3: Any) -> None:
    arrived = {"arrived-at": LATE_EVENING.isoformat()}
    for name in ("date=2024-01-02/a.csv", "date=2024-01-02/_x", "date=2024-01-12/a.csv"):
        s3.put_object(Bucket="landing", Key=f"in/visits/{name}", Body=b"abc", Metadata=arrived)
    s3.put_object(Bucket="landing", Key="in/visits/date=2024-01-03/b.csv", Body=b"abc")
    found = landed(in_s3, "visits", Dates(FIRST, SECOND))
    assert [(each.name, each.batch_date, each.size) for each in found] == [
        ("visits/date=2024-01-02/a.csv", FIRST, 3),
        ("visits/date=2024-01-03/b.csv", SECOND, 3),
    ]
    assert found[0].arrived_at == LATE_EVENING
    assert abs(found[1].arrived_at - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5)


def test_a_key_that_climbs_is_not_opened(in_s3: Plan, s3: Any) -> None:
    s3.put_object(Bucket="landing", Key=f"in/visits/date={FIRST}/../x.csv", Body=b"day,who,spent")
    climbing = in_s3.usecase.sources["visits"].model_copy(
        update={"landing": "visits/date={date}/**"}
    )
    usecase = in_s3.usecase.model_copy(update={"sources": {"visits": climbing}})
    (found,) = landed(Plan(usecase, in_s3.settings), "visits", Dates.one(FIRST))
    assert found.problem == "has a name that leads out of its folder"


def test_reads_from_a_bucket_and_notices_a_file_that_has_gone(in_s3: Plan, s3: Any) -> None:
    s3.put_object(Bucket="landing", Key="in/people/all.csv", Body=b"who,city\nann,Rome\n")
    there = landing_store(in_s3)
    with there.open("people/all.csv") as stream:
        assert stream.read() == b"who,city\nann,Rome\n"
    with pytest.raises(FileNotFoundError), there.open("people/other.csv"):
        pass


def test_delivers_to_a_folder_once_and_in_pieces(tmp_path: Path) -> None:
    class Pieces(BytesIO):
        """As a file too large to be held whole."""

        def read(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            assert size > 0
            return super().read(size)

    there = Folder(str(tmp_path))
    assert there.deliver("people/new.csv", Pieces(b"x\n"), LATE_EVENING)
    assert not there.deliver("people/new.csv", Pieces(b"x\n"), LATE_EVENING)
    assert there.deliver("people/new.csv", Pieces(b"y\n"), LATE_EVENING)
    assert (tmp_path / "people" / "new.csv").read_bytes() == b"y\n"
    assert there.arrivals(there.find(["people/new.csv"])) == [LATE_EVENING]


def test_delivers_to_a_bucket_once(in_s3: Plan, s3: Any) -> None:
    there = landing_store(in_s3)
    assert there.deliver("people/new.csv", BytesIO(b"x\n"), LATE_EVENING)
    assert not there.deliver("people/new.csv", BytesIO(b"x\n"), LATE_EVENING)
    assert there.deliver("people/new.csv", BytesIO(b"y\n"), LATE_EVENING)
    assert there.arrivals(there.find(["people/new.csv"])) == [LATE_EVENING]


def test_a_store_that_is_down_is_unavailable_and_a_missing_bucket_is_refused(
    in_s3: Plan, endpoint: str
) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        Bucket("landing", "", "http://127.0.0.1:1").find(["*"])
    with pytest.raises(Refused, match="nowhere"):
        Bucket("nowhere", "", endpoint).find(["*"])


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (500, "InternalError", Unavailable),
        (503, "SlowDown", Unavailable),
        (429, "", Unavailable),
        (400, "RequestTimeout", Unavailable),
        (400, "ThrottlingException", Unavailable),
        (400, "ExpiredToken", Refused),
        (403, "InvalidAccessKeyId", Refused),
        (403, "AccessDenied", Refused),
        (403, "RequestTimeTooSkewed", Refused),
        (404, "NoSuchBucket", Refused),
    ],
)
def test_what_may_pass_is_unavailable_and_what_stays_is_refused(
    status: int, code: str, kind: type[DaybreakError], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = boto3.client("s3", region_name="us-east-1")
    monkeypatch.setattr(Bucket, "_client", lambda _: client)
    with Stubber(client) as stubbed:
        stubbed.add_client_error("get_object", service_error_code=code, http_status_code=status)
        with pytest.raises(kind, match=r"s3://landing/in/a\.csv"):
            Bucket("landing", "in", None).open("a.csv").__enter__()


def test_without_credentials_the_store_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        def get_paginator(self, _: str) -> None:
            raise NoCredentialsError

    monkeypatch.setattr(Bucket, "_client", lambda _: Client())
    with pytest.raises(Refused, match="Unable to locate credentials"):
        Bucket("landing", "in", None).find(["*"])


def test_a_time_without_zone_in_the_metadata_is_refused(in_s3: Plan, s3: Any) -> None:
    s3.put_object(
        Bucket="landing",
        Key="in/people/zoneless.csv",
        Body=b"x",
        Metadata={"arrived-at": "2024-01-02T10:00:00"},
    )
    with pytest.raises(Refused, match="not an ISO 8601 time with a zone"):
        landed(in_s3, "people", None)


def test_all_days_of_a_daily_source_are_found_from_its_files(plan: Plan) -> None:
    names = [
        "visits/date=2024-01-02/a.csv",
        "visits/date=2019-12-31/2024-02-30.csv",
        "visits/date=someday/a.csv",
        "visits/date=2024-01-03/_hidden.csv",
    ]
    for name in names:
        put(plan, name)
    found = [(each.name, each.batch_date) for each in landed(plan, "visits", None)]
    assert found == [(names[1], dt.date(2019, 12, 31)), (names[0], dt.date(2024, 1, 2))]
