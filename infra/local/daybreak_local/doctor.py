"""What this machine has and lacks for the embedded services, before they are started."""

from __future__ import annotations

import platform
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import psutil

from daybreak_local import record
from daybreak_local.jars import missing_jars
from daybreak_local.java import OLDEST, REMEDY, executable, major_version
from daybreak_local.places import Places
from daybreak_local.ports import PREFERRED, is_free, who_has
from daybreak_local.supervision import Supervisor
from jobs.engine import JARS

_DISK_GB = 5.0
_MEMORY_GB = 6.0
_GB = 1e9

# These two own the same files: at different versions they break each other without a word.
_ALIKE = (("pyspark", "pyspark-client"),)
_FETCH = "Run `daybreak up`, which fetches and checks them."


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        ok: nothing to do.
        found: what is there.
        remedy: what to do if not ok; else empty.
    """

    name: str
    ok: bool
    found: str
    remedy: str = ""


def doctor(home: Path) -> list[Check]:
    """Look at everything `daybreak up` needs; starts and changes nothing."""
    places = Places(home.resolve())
    checks: tuple[Callable[[Places], list[Check]], ...] = (
        _python,
        _java,
        _packages,
        _disk,
        _memory,
        _jars,
        _ports,
    )
    return [check for look in checks for check in look(places)]


def _python(places: Places) -> list[Check]:
    ok = sys.version_info[:2] == (3, 11)
    remedy = "" if ok else "Install the project with Python 3.11: `uv sync --python 3.11`."
    return [Check("python", ok, platform.python_version(), remedy)]


def _java(places: Places) -> list[Check]:
    java = executable()
    found = major_version(java) if java else None
    if java is None or found is None:
        return [Check("java", False, "none that runs", REMEDY)]
    return [Check("java", found >= OLDEST, f"{found} at {java}", "" if found >= OLDEST else REMEDY)]


def _packages(places: Places) -> list[Check]:
    """Every requirement of the distribution with an exact version, and the pairs of `_ALIKE`."""
    pinned = _pinned()
    if not pinned:
        return [Check("packages", False, "daybreak is not installed", "Run `uv sync`.")]
    wrong = [
        f"{package} is {_installed(package)}, not {wanted}"
        for package, wanted in pinned.items()
        if _installed(package) != wanted
    ] + [
        f"{one} is {_installed(one)} but {other} is {_installed(other)}"
        for one, other in _ALIKE
        if _installed(one) != _installed(other)
    ]
    found = "; ".join(wrong) or f"{len(pinned)} as pinned"
    return [Check("packages", not wrong, found, "Run `uv sync`." if wrong else "")]


def _pinned() -> dict[str, str]:
    try:
        lines = requires("daybreak") or []
    except PackageNotFoundError:
        return {}
    found = (re.match(r"([\w.-]+)(?:\[.*\])?==([\w.]+)$", line) for line in lines)
    return {pin[1]: pin[2] for pin in found if pin}


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _disk(places: Places) -> list[Check]:
    folder = next(path for path in (places.home, *places.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free / _GB
    remedy = f"Free some space, or set DAYBREAK_HOME to a disk with {_DISK_GB:.0f} GB free."
    ok = free >= _DISK_GB
    return [Check("disk", ok, f"{free:.1f} GB free under {folder}", "" if ok else remedy)]


def _memory(places: Places) -> list[Check]:
    memory = psutil.virtual_memory()
    ok = memory.total / _GB >= _MEMORY_GB
    found = f"{memory.total / _GB:.1f} GB, {memory.available / _GB:.1f} GB of it available"
    remedy = "" if ok else "Set DAYBREAK_SPARK_MEMORY=1g, and expect training to be slow."
    return [Check("memory", ok, found, remedy)]


def _jars(places: Places) -> list[Check]:
    settings = record.read(places.home)
    folder = (settings.jars if settings else None) or places.home / "jars"
    missing = missing_jars(folder)
    if not missing:
        return [Check("jars", True, f"all {len(JARS)} in {folder}")]
    # `daybreak up` fetches them by itself, so their absence before it is no fault.
    found = f"{len(missing)} of {len(JARS)} to be fetched into {folder} by `daybreak up`"
    return [Check("jars", settings is None, found, "" if settings is None else _FETCH)]


def _ports(places: Places) -> list[Check]:
    recorded = record.recorded_ports(record.read(places.home))
    if Supervisor(places).alive():
        return [Check("ports", True, "in use by the services that run")]
    return [_port(name, recorded.get(name), usual) for name, usual in PREFERRED.items()]


def _port(name: str, recorded: int | None, usual: int) -> Check:
    port = recorded or usual
    if is_free(port):
        return Check(f"port of {name}", True, f"{port} is free")
    found = f"{port} is taken by {who_has(port)}"
    if recorded is None:
        return Check(f"port of {name}", True, f"{found}; `daybreak up` will take another")
    remedy = f"Stop that process, or run `daybreak up --port {name}=PORT` with a free port."
    return Check(f"port of {name}", False, found, remedy)
