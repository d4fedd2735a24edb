"""The jars come from a repository and must have the pinned digest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from daybreak_local.doctor import Check, doctor
from daybreak_local.jars import fetch_jars, maven_path, missing_jars
from jobs.engine import JARS
from jobs.errors import Refused, Unavailable
from jobs.settings import Settings


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    """A Maven repository on loopback that serves the folder `tmp_path / "maven"`."""
    folder = tmp_path / "maven"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _serve(tmp_path: Path, contents: dict[str, bytes]) -> None:
    for jar, content in contents.items():
        place = tmp_path / "maven" / maven_path(jar)
        place.parent.mkdir(parents=True)
        place.write_bytes(content)


def test_the_jars_arrive_whole_and_are_not_fetched_again(
    tmp_path: Path, repository: str, settings: Settings
) -> None:
    assert settings.jars is not None
    _serve(tmp_path, {jar: (settings.jars / jar).read_bytes() for jar in JARS})
    said: list[str] = []
    fetch_jars(tmp_path / "jars", said.append, repository)
    fetch_jars(tmp_path / "jars", said.append, repository)
    assert missing_jars(tmp_path / "jars") == []
    assert len(said) == 3


def test_a_wrong_digest_is_refused_and_nothing_kept(tmp_path: Path, repository: str) -> None:
    _serve(tmp_path, dict.fromkeys(JARS, b"something else"))
    with pytest.raises(Refused, match="not the pinned one"):
        fetch_jars(tmp_path / "jars", maven=repository)
    assert list((tmp_path / "jars").iterdir()) == []


def test_the_doctor_counts_them(tmp_path: Path, settings: Settings) -> None:
    def said(home: Path) -> Check:
        (check,) = [check for check in doctor(home) if check.name == "jars"]
        return check

    folder = tmp_path / "jars"
    assert said(tmp_path).found == f"3 of 3 to be fetched into {folder} by `daybreak up`"
    folder.symlink_to(settings.jars)
    assert (said(tmp_path).ok, said(tmp_path).found) == (True, f"all 3 in {folder}")


def test_a_damaged_jar_on_disk_counts_as_missing(tmp_path: Path) -> None:
    for jar in JARS:
        (tmp_path / jar).write_bytes(b"half")
    assert missing_jars(tmp_path) == list(JARS)


def test_a_jar_that_is_not_there_is_unavailable(tmp_path: Path, repository: str) -> None:
    with pytest.raises(Unavailable, match="404"):
        fetch_jars(tmp_path / "jars", maven=repository)
