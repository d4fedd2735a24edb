"""Java is looked for first, and its absence is said with the package to install."""

from __future__ import annotations

from pathlib import Path

import pytest

from daybreak_local.doctor import doctor
from daybreak_local.java import executable, major_version, require_java
from jobs.errors import Refused


def _pretend_java(folder: Path, says: str) -> Path:
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    java.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_292"', 8),
        ('openjdk version "21" 2023-09-19', 21),
        ("The operation could not be completed. Unable to locate a Java Runtime.", None),
    ],
)
def test_versions_are_read(tmp_path: Path, says: str, version: int | None) -> None:
    assert major_version(_pretend_java(tmp_path, says) / "bin" / "java") == version


def test_no_java_is_refused_with_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(Refused, match="openjdk-17-jre-headless") as refused:
        require_java()
    assert refused.value.sentence.startswith("Java 17 or newer is not installed")
    (check,) = [check for check in doctor(tmp_path) if check.name == "java"]
    assert not check.ok
    assert "brew install openjdk@17" in check.remedy


def test_an_old_java_home_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(_pretend_java(tmp_path, 'java version "1.8.0_292"')))
    with pytest.raises(Refused, match="Java 8 at"):
        require_java()


def test_this_machines_java_is_found() -> None:
    assert executable() == require_java()
