"""One embedded stack for all integration tests: started by them, on free ports, stopped after.

Its state is what `daybreak demo` leaves: nine months loaded, a champion, seven nights published.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jobs.settings import PROJECT, Settings

DAYBREAK = Path(sys.executable).parent / "daybreak"
DEMO_SECONDS = 1500


@dataclass(frozen=True)
class Stack:
    """A running deployment and the environment in which `daybreak` finds it."""

    home: Path
    environment: dict[str, str] = field(repr=False)

    @property
    def settings(self) -> Settings:
        """Read anew: passwords are in its file, not in this process's environment."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DAYBREAK_HOME", str(self.home))
            return Settings()

    def daybreak(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run the command line as a user does."""
        return subprocess.run(
            [str(DAYBREAK), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            cwd=PROJECT,
            check=False,
        )


def fresh_home() -> Path:
    """A folder that Postgres's own user can reach when the tests run as root."""
    home = Path(tempfile.mkdtemp(prefix="daybreak-test-", dir="/var/tmp"))
    home.chmod(0o755)
    return home


def environment_of(home: Path) -> dict[str, str]:
    """The environment of a deployment in `home`, with the jars that `make` fetched."""
    jars = os.environ.get("DAYBREAK_JARS", str(PROJECT / ".daybreak" / "jars"))
    return {**os.environ, "DAYBREAK_HOME": str(home), "DAYBREAK_JARS": jars}


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The stack after a demo; what the demo printed is in `demo.txt` of its home."""
    home = fresh_home()
    running = Stack(home, environment_of(home))
    try:
        done = running.daybreak("demo", seconds=DEMO_SECONDS)
        (home / "demo.txt").write_text(done.stdout + done.stderr)
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        yield running
    finally:
        running.daybreak("down")
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def demo_output(stack: Stack) -> str:
    """What `daybreak demo` printed."""
    return (stack.home / "demo.txt").read_text()
