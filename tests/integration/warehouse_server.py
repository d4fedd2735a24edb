"""A real Postgres with the warehouse in it, made by what `daybreak up` makes it with."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from pydantic import SecretStr

from daybreak_local import postgres
from daybreak_local.keys import Keys, load_or_make
from daybreak_local.places import Places
from jobs.prediction.migrations import ensure_roles, upgrade
from jobs.settings import Settings
from tests.jars import jars_folder


@dataclass
class Warehouse:
    """A running server; `kill` and `start` it as a power cut would."""

    places: Places
    keys: Keys
    settings: Settings
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def superuser(self) -> str:
        return postgres.superuser_conninfo(self.keys, self.settings.warehouse_port)

    @property
    def binaries(self) -> Path:
        return postgres.server(self.places).bin

    def start(self) -> None:
        server = postgres.prepare(self.places, self.keys, self.settings.warehouse_port)
        # For root this is the user that `prepare` has made.
        with (self.places.logs / "postgres.log").open("ab") as log:
            self.process = subprocess.Popen(
                server.command(),
                user=server.user,
                group=server.user,
                extra_groups=[] if server.user else None,
                cwd=self.places.postgres,
                stdout=log,
                stderr=log,
            )
        self._wait()

    def kill(self) -> None:
        """SIGKILL the server and all its backends at once."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = [int(pid) for pid in children.read_text().split()]
        self.process.kill()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(30)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.superuser).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def warehouse_server() -> Iterator[Warehouse]:
    """A server of its own in a fresh folder that is removed afterwards."""
    home = Path(tempfile.mkdtemp(prefix="daybreak-test-", dir="/var/tmp"))
    places = Places(home)
    places.make()
    settings = Settings(
        home=home,
        spark="local[2]",
        spark_memory="2g",
        jars=jars_folder(),
        warehouse_port=free_port(),
        # What a URL must escape, and what SQL must.
        owner_password=SecretStr("owner's pass/w@rd?"),
        publisher_password=SecretStr('pub"lisher %20 \\ pass'),
        reader_password=SecretStr("läser:#1"),
        labeller_password=SecretStr("label? & say"),
    )
    server = Warehouse(places, load_or_make(places), settings)
    try:
        server.start()
        ensure_roles(server.superuser, settings)
        upgrade(settings)
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
