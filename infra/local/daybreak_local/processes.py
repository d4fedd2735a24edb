"""Which processes are ours, and how they are ended for certain.

A process is ours by the mark in its environment, which children inherit and nothing else has.
Postgres' backends overwrite their environment with a title, so they are known by their folder.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable

import psutil

from daybreak_local.places import MARK, SERVICE_MARK, Places

_TERM_SECONDS = 8.0
_KILL_SECONDS = 5.0


def ours(places: Places, service: str | None = None) -> list[psutil.Process]:
    """Living processes of this home, or of one service in it; never this one or its parents."""
    found = {process.pid: process for process in psutil.process_iter() if _is_ours(process, places)}
    if service is not None:
        found = {pid: one for pid, one in found.items() if _service_of(one) == service}
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [process for pid, process in found.items() if pid not in spared]


def strays(places: Places) -> list[psutil.Process]:
    """Processes of services other than Postgres: not its backends, and not supervisord."""
    return [one for one in ours(places) if _service_of(one) not in (None, "postgres")]


def end(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """End processes: SIGTERM, then SIGKILL. Returns those that still live after both."""
    living = list(processes)
    for process in living:
        _signal(process, "terminate")
    return kill(_alive_after(living, _TERM_SECONDS))


def kill(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """SIGKILL at once, and wait until they are gone. Returns those that still live."""
    living = list(processes)
    for process in living:
        _signal(process, "kill")
    return _alive_after(living, _KILL_SECONDS)


def _alive_after(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that live on; a dead process that its parent has not collected does not count."""
    until = time.monotonic() + seconds
    living = [process for process in processes if _alive(process)]
    while living and time.monotonic() < until:
        time.sleep(0.05)
        living = [process for process in living if _alive(process)]
    return living


def _signal(process: psutil.Process, name: str) -> None:
    with contextlib.suppress(psutil.Error):
        getattr(process, name)()


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _is_ours(process: psutil.Process, places: Places) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if process.environ().get(MARK) == str(places.home):
            return True
        return process.name() == "postgres" and process.cwd() == str(places.postgres_data)
    except (psutil.Error, OSError):
        return False


def _service_of(process: psutil.Process) -> str | None:
    try:
        if process.name() == "postgres":
            return "postgres"
        return process.environ().get(SERVICE_MARK)
    except (psutil.Error, OSError):
        return None
