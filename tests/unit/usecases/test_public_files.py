"""Samples that are one public file: fetched or copied, it lands as it is known or not at all."""

from __future__ import annotations

import hashlib
import io
import re
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from jobs.errors import Refused, Unavailable, WrongUsage
from jobs.ingest.landing import landed
from jobs.ingest.public_file import PublicFile
from jobs.ingest.sample import write_sample
from jobs.ingest.store import Folder
from jobs.plan import Dates, Plan
from jobs.settings import Settings
from jobs.usecases.bike_demand import sample as bikes
from jobs.usecases.content_tags import sample as tags
from tests.shared_data import BIKES, TAGS, shared

TEXT = b"hr,cnt\n0,16\n"


class Answers(BaseHTTPRequestHandler):
    """Gives the text under one name, and 404 under every other."""

    def do_GET(self) -> None:
        found = self.path == "/hours.csv"
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(TEXT if found else b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hours.csv"
        server.shutdown()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def file_at(address: str, **changed: str) -> PublicFile:
    sha256 = hashlib.sha256(TEXT).hexdigest()
    made = PublicFile(address, "bikes/hours.csv", sha256, tags.FILE.arrived)
    return replace(made, **changed)


def test_a_file_is_fetched_once_and_arrives_when_it_could_be_had(
    address: str, settings: Settings
) -> None:
    there, said = Folder(settings.landing), list[str]()
    for _ in range(2):
        file_at(address).land(there, None, said.append)
    (found,) = there.find(["bikes/*"])
    assert (Path(settings.landing) / found.name).read_bytes() == TEXT
    assert found.modified == tags.FILE.arrived
    assert said == [
        f"bikes/hours.csv, 12 bytes from {address}, {done}."
        for done in ("landed", "was there already")
    ]


def test_another_file_than_the_one_that_is_meant_does_not_land(
    address: str, settings: Settings
) -> None:
    there = Folder(settings.landing)
    with pytest.raises(Refused, match=r"hours\.csv holds is not the file that is meant"):
        file_at(address, sha256="0" * 64).land(there, None, print)
    with pytest.raises(Unavailable, match="404"):
        file_at(f"{address}.gz").land(there, None, print)
    with pytest.raises(Unavailable, match="cannot be fetched"):
        file_at("http://127.0.0.1:9/hours.csv").land(there, None, print)
    with pytest.raises(Refused, match="nowhere cannot be read: No such file"):
        file_at(address).land(there, Path("nowhere"), print)
    assert there.find(["**/*"]) == []


def test_a_sample_takes_what_it_is_made_of(settings: Settings) -> None:
    flights, rentals = (Plan.of(name, settings) for name in ("flight_delay", "bike_demand"))
    day = rentals.usecase.schedule.start
    with pytest.raises(WrongUsage, match="one file, whatever the date"):
        write_sample(rentals, Dates.one(day))
    with pytest.raises(WrongUsage, match="made of no file"):
        write_sample(flights, None, copy=Path("flights.csv"))
    with pytest.raises(WrongUsage, match="Which dates"):
        write_sample(flights, None)


@pytest.mark.parametrize(("name", "file"), [("bike_demand", BIKES), ("content_tags", TAGS)])
def test_the_files_of_the_reference_use_cases_are_those_that_are_meant(
    name: str, file: str, settings: Settings
) -> None:
    plan = Plan.of(name, settings)
    write_sample(plan, None, print, copy=shared(file))
    for source in plan.usecase.sources:
        (found,) = landed(plan, source, None)
        assert found.arrived_at in (bikes.FILE.arrived, tags.FILE.arrived)


def test_hours_are_the_same_whichever_copy_they_are_made_of() -> None:
    meant = shared(BIKES).read_bytes()

    def iso(match: re.Match[bytes]) -> bytes:
        month, day, year = (int(part) for part in match.groups())
        return b",%04d-%02d-%02d," % (year, month, day)

    # As the archive has it: 1 156 736 bytes.
    original = re.sub(rb",(\d+)/(\d+)/(\d{4}),", iso, meant).replace(b"\n", b"\r\n")
    assert len(original) == 1_156_736
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("day.csv", "instant\n")
        archive.writestr("hour.csv", original)
    for copy in (meant, original, packed.getvalue()):
        assert bikes.FILE.made_of(copy) == meant
