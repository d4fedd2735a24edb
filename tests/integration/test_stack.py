"""The embedded services for real: started, hurt, started again, and gone without a trace.

The tests follow each other on one stack of their own, in the order they stand here.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import pytest

from daybreak_local import ports, processes
from daybreak_local.keys import load
from daybreak_local.places import SERVICE_MARK, Places
from daybreak_local.probes import SERVICES, Service, status
from daybreak_local.record import read, recorded_ports
from daybreak_local.stack import down, up
from jobs.errors import Refused
from jobs.settings import Settings
from tests.jars import jars_folder

COMES_BACK_WITHIN = 120.0


@dataclass
class Own:
    """A stack that these tests may hurt."""

    home: Path
    said: list[str] = field(default_factory=list)

    @property
    def places(self) -> Places:
        return Places(self.home)

    @property
    def settings(self) -> Settings:
        settings = read(self.home)
        assert settings is not None
        return settings

    def services(self) -> dict[str, Service]:
        return {service.name: service for service in status(self.home)}

    def pids(self) -> dict[str, int | None]:
        return {name: service.pid for name, service in self.services().items()}

    def ill(self) -> list[Service]:
        return [service for service in status(self.home) if not service.healthy]

    def await_health(self) -> None:
        until = time.monotonic() + COMES_BACK_WITHIN
        while ill := self.ill():
            assert time.monotonic() < until, ill
            time.sleep(0.5)


@pytest.fixture(scope="module")
def own() -> Iterator[Own]:
    home = Path(tempfile.mkdtemp(prefix="daybreak-stack-", dir="/var/tmp"))
    home.chmod(0o755)
    stack = Own(home)
    wanted: dict[str, int] = {}
    for service in ports.PREFERRED:
        wanted[service] = ports.some_free_port(wanted.values())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAYBREAK_SPARK_MEMORY", "1g")
        patch.setenv("DAYBREAK_JARS", str(jars_folder()))
        try:
            up(home, stack.said.append, wanted)
            yield stack
        finally:
            down(home, stack.said.append)
            shutil.rmtree(home)


def test_every_service_is_healthy_and_says_where(own: Own) -> None:
    found = own.services()
    assert [name for name, service in found.items() if service.healthy] == list(SERVICES)
    assert found["airflow-api"].address == own.settings.airflow_url
    assert all(f"{name} is healthy" in "\n".join(own.said) for name in SERVICES)


def test_a_second_up_changes_nothing(own: Own) -> None:
    before = own.pids()
    said: list[str] = []
    assert up(own.home, said.append) == own.settings
    assert own.pids() == before
    assert len(said) == 1


def test_a_running_stack_does_not_move(own: Own) -> None:
    with pytest.raises(Refused, match=r"mlflow runs on port \d+ and cannot move"):
        up(own.home, own.said.append, {"mlflow": ports.some_free_port()})


def test_everything_listens_on_loopback_only(own: Own) -> None:
    listening = {
        connection.laddr.ip.removeprefix("::ffff:")
        for process in processes.ours(own.places)
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_nobody_gets_in_without_a_password(own: Own) -> None:
    settings = own.settings
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{settings.mlflow_url}/version", timeout=10)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{settings.airflow_url}/api/v2/dags", timeout=10)
    for password in ({}, {"password": "guess"}):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(
                host="127.0.0.1", port=settings.warehouse_port, user="postgres", **password
            )


def test_a_wrong_spark_token_is_refused(own: Own) -> None:
    import grpc

    port = recorded_ports(own.settings)["spark"]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        release = channel.unary_unary("/spark.connect.SparkConnectService/ReleaseSession")
        with pytest.raises(grpc.RpcError) as refused:
            release(b"", timeout=10, metadata=[("authorization", "Bearer guess")])
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_secrets_are_in_private_files_and_nowhere_else(own: Own) -> None:
    secrets = {value.encode() for value in vars(load(own.places)).values()} | {
        value.get_secret_value().encode()
        for value in own.settings.model_dump().values()
        if hasattr(value, "get_secret_value")
    }
    assert len(secrets) == 15
    readable = [
        path
        for path in own.home.rglob("*")
        if path.is_file() and any(secret in path.read_bytes() for secret in secrets)
    ]
    assert {own.home / "settings.json", own.home / "secrets.json"} <= set(readable)
    assert [path for path in readable if stat.S_IMODE(path.stat().st_mode) != 0o600] == []
    assert [path for path in readable if path.is_relative_to(own.places.logs)] == []
    for process in processes.ours(own.places):
        said = "\0".join(process.cmdline()).encode()
        assert not any(secret in said for secret in secrets), process


@pytest.mark.parametrize("name", ["mlflow", "airflow-scheduler"])
def test_a_killed_service_comes_back_alone(own: Own, name: str) -> None:
    before = own.pids()
    killed = before[name]
    assert killed is not None
    left = {child.pid for child in psutil.Process(killed).children(recursive=True)}
    os.kill(killed, signal.SIGKILL)
    time.sleep(1)
    own.await_health()
    after = own.pids()
    assert after.pop(name) != before.pop(name)
    assert after == before
    living = {process.pid for process in processes.ours(own.places, name)}
    assert not left & living


def test_a_killed_postgres_comes_back_and_the_rest_with_it(own: Own) -> None:
    postgres = own.pids()["postgres"]
    assert postgres is not None
    os.kill(postgres, signal.SIGKILL)
    time.sleep(1)
    own.await_health()
    assert own.pids()["postgres"] != postgres


def test_up_recovers_when_the_supervisor_and_postgres_were_killed(own: Own) -> None:
    before = own.pids()
    orphans = {process.pid for process in processes.ours(own.places)}
    supervisor = int(own.places.supervisord_pid.read_text())
    postgres = before["postgres"]
    assert postgres is not None
    os.kill(supervisor, signal.SIGKILL)
    os.kill(postgres, signal.SIGKILL)
    # After a power cut the recorded process may be anybody's: here, it is this test.
    recorded = own.places.postgres_data / "postmaster.pid"
    lines = recorded.read_text().splitlines()
    recorded.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert {service.state for service in own.services().values()} == {"DOWN"}

    up(own.home, own.said.append)

    assert own.ill() == []
    assert not orphans & {process.pid for process in processes.ours(own.places)}


def test_down_leaves_no_process(own: Own) -> None:
    mine = processes.ours(own.places)
    assert len(mine) > len(SERVICES)
    down(own.home, own.said.append)
    assert [process for process in mine if _lives(process)] == []
    assert _mentioning(own.home) == []
    assert {service.state for service in own.services().values()} == {"DOWN"}


def test_a_recorded_port_taken_by_another_is_refused(own: Own) -> None:
    port = recorded_ports(own.settings)["mlflow"]
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(Refused, match=f"Port {port}, which mlflow uses here, is taken by") as error,
    ):
        up(own.home, own.said.append)
    assert f"process {os.getpid()}" in error.value.sentence
    assert "--port mlflow=" in error.value.remedy
    assert processes.ours(own.places) == []


def _lives(process: psutil.Process) -> bool:
    """Whether it runs; one that ended and was not collected by its parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _mentioning(home: Path) -> list[psutil.Process]:
    """Processes that name the home in their command line or environment, however they began."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            named = any(str(home) in word for word in process.cmdline())
            if named or (str(home) in environment.values() and SERVICE_MARK in environment):
                found.append(process)
        except psutil.Error:
            continue
    return found
