"""Where each embedded service keeps its state: every path below one home folder."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

# Every process of ours carries this in its environment, with the home as its value: a process
# that outlived its supervisor is known by it.
MARK = "DAYBREAK_SUPERVISED"
SERVICE_MARK = "DAYBREAK_SERVICE"

# The kernel allows 107 bytes in a socket's address; supervisord binds a temporary name that is
# longer by a dot and a process id.
_SOCKET_LIMIT = 96


@dataclass(frozen=True)
class Places:
    """The folders and files below `home`. Nothing is made until `make`."""

    home: Path

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def lock(self) -> Path:
        return self.run / "up.lock"

    @property
    def keys(self) -> Path:
        return self.home / "secrets.json"

    @property
    def supervisord_conf(self) -> Path:
        return self.run / "supervisord.conf"

    @property
    def supervisord_pid(self) -> Path:
        return self.run / "supervisord.pid"

    @property
    def socket(self) -> Path:
        """The supervisor's control socket, in a short private folder if the home's path is long."""
        inside = self.run / "supervisor.sock"
        if len(os.fsencode(inside)) <= _SOCKET_LIMIT:
            return inside
        mark = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"daybreak-{os.geteuid()}-{mark}" / "supervisor.sock"

    @property
    def postgres(self) -> Path:
        return self.home / "postgres"

    @property
    def postgres_data(self) -> Path:
        return self.postgres / "data"

    @property
    def spark(self) -> Path:
        return self.home / "spark"

    @property
    def mlflow(self) -> Path:
        return self.home / "mlflow"

    @property
    def airflow(self) -> Path:
        return self.home / "airflow"

    def make(self) -> None:
        """Make the folders; private, but that root's Postgres user may pass through the home."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.home.chmod(0o711 if os.geteuid() == 0 else 0o700)
        private = (self.run, self.logs, self.spark, self.mlflow, self.airflow, self.socket.parent)
        for folder in private:
            folder.mkdir(mode=0o700, exist_ok=True)
            # Another user could have made the short folder in /tmp before us; chmod then fails.
            folder.chmod(0o700)

    def log_of(self, service: str) -> Path:
        return self.logs / f"{service}.log"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
