"""Start a service in this process's place, after what its last life left behind was cleared.

A service killed outright leaves children (Airflow's task processes are in groups of their own)
and scratch files. supervisord restarts the service through here, so that none of it doubles.
Imports little: it stands before every start.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from daybreak_local import processes
from daybreak_local.places import MARK, SERVICE_MARK, Places


def main() -> None:
    """`python -m daybreak_local.launch COMMAND…`; the environment names home and service."""
    places = Places(Path(os.environ[MARK]))
    service = os.environ[SERVICE_MARK]
    processes.kill(processes.ours(places, service))
    if service == "spark":
        shutil.rmtree(places.spark / "scratch", ignore_errors=True)
        (places.spark / "scratch").mkdir(mode=0o700, exist_ok=True)
    command = sys.argv[1:]
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
