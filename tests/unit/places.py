"""Where a small use case of the tests lives."""

from __future__ import annotations

from pathlib import Path

from jobs.settings import Settings


def placed(settings: Settings, folder: Path) -> Settings:
    """The settings with lake and landing folder in a folder of their own."""
    return settings.model_copy(
        update={"landing": str(folder / "landing"), "lake": str(folder / "lake")}
    )
