"""A running deployment, as tests use it: by its command line and its settings."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jobs.settings import PROJECT, Settings
from tests.jars import jars_folder

DAYBREAK = Path(sys.executable).parent / "daybreak"


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
    return {**os.environ, "DAYBREAK_HOME": str(home), "DAYBREAK_JARS": str(jars_folder())}
