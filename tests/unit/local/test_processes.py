"""What outlived its service is found by its mark and ended; nothing else is touched."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daybreak_local import processes
from daybreak_local.places import MARK, SERVICE_MARK, Places

Start = Callable[[Path, str], "subprocess.Popen[bytes]"]
SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def start_one(home: Path, service: str) -> subprocess.Popen[bytes]:
        marks = {MARK: str(home), SERVICE_MARK: service}
        started.append(subprocess.Popen(SLEEP, env={**os.environ, **marks}))
        return started[-1]

    yield start_one
    for process in started:
        process.kill()
        process.wait()


def test_only_this_homes_processes_are_ours(tmp_path: Path, start: Start) -> None:
    mine, other = start(tmp_path / "a", "spark"), start(tmp_path / "b", "spark")
    assert [one.pid for one in processes.ours(Places(tmp_path / "a"))] == [mine.pid]
    assert [one.pid for one in processes.ours(Places(tmp_path / "b"), "spark")] == [other.pid]
    assert processes.ours(Places(tmp_path / "a"), "mlflow") == []


def test_end_leaves_none(tmp_path: Path, start: Start) -> None:
    start(tmp_path, "spark")
    assert processes.end(processes.ours(Places(tmp_path))) == []
    assert processes.ours(Places(tmp_path)) == []


def test_a_service_starts_after_its_own_remains_are_gone(tmp_path: Path, start: Start) -> None:
    scratch = tmp_path / "spark" / "scratch"
    scratch.mkdir(parents=True)
    (scratch / "blockmgr-old").mkdir()
    left, neighbour = start(tmp_path, "spark"), start(tmp_path, "mlflow")
    launched = subprocess.run(
        [sys.executable, "-m", "daybreak_local.launch", "/bin/echo", "started"],
        env={**os.environ, MARK: str(tmp_path), SERVICE_MARK: "spark"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert launched.stdout == b"started\n"
    assert left.wait(timeout=5) == -9
    assert neighbour.poll() is None
    assert list(scratch.iterdir()) == []


def test_strays_are_services_but_not_the_supervisor(tmp_path: Path, start: Start) -> None:
    task = start(tmp_path, "airflow-scheduler")
    supervisor = subprocess.Popen(SLEEP, env={**os.environ, MARK: str(tmp_path)})
    try:
        time.sleep(0.1)
        assert [one.pid for one in processes.strays(Places(tmp_path))] == [task.pid]
    finally:
        supervisor.kill()
        supervisor.wait()
