"""Java, which Spark needs and pip cannot bring."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from jobs.errors import Refused

OLDEST = 17
REMEDY = (
    "Install it: `apt-get install openjdk-17-jre-headless` on Debian and Ubuntu, "
    "`brew install openjdk@17` on macOS."
)


def executable() -> Path | None:
    """The `java` that Spark will start: JAVA_HOME's, else the one on PATH."""
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").is_file():
        return Path(home) / "bin" / "java"
    found = shutil.which("java")
    return Path(found) if found else None


def major_version(java: Path) -> int | None:
    """17 for Java 17.0.15; None if it does not run (macOS' stub, or a broken link)."""
    try:
        answer = subprocess.run(
            [str(java), "-version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    # Java 8 called itself 1.8.
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    return int(found.group(1)) if found else None


def require_java() -> Path:
    """The path of a Java that is new enough.

    Raises:
        Refused: there is none, or it is older than 17.
    """
    java = executable()
    version = major_version(java) if java else None
    if java is None or version is None:
        raise Refused(
            f"Java {OLDEST} or newer is not installed (no `java` on PATH or in JAVA_HOME).", REMEDY
        )
    if version < OLDEST:
        raise Refused(f"Java {version} at {java} is too old; Spark needs {OLDEST}.", REMEDY)
    return java
