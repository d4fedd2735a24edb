"""Where the jars are that Spark needs in the tests."""

from __future__ import annotations

import os
from pathlib import Path

from jobs.settings import PROJECT


def jars_folder() -> Path:
    """Named by `DAYBREAK_JARS`, or the checkout's own, which `make` fills."""
    return Path(os.environ.get("DAYBREAK_JARS", PROJECT / ".daybreak" / "jars"))
