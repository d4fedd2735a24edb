"""The ports the services listen on: the usual ones at first, then for ever the recorded ones."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Collection, Mapping

import psutil

from jobs.errors import Refused

# Linux gives outgoing connections the ports from 32768 on, macOS those from 49152 on: one of them,
# free at first, may be taken when its service starts a moment later.
OWN = range(20_000, 32_000)
PREFERRED = {"airflow": 8080, "mlflow": 5000, "postgres": 5433, "spark": 15002}


def is_free(port: int) -> bool:
    """Whether this machine's loopback address has nobody listening on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # A port whose last owner died a moment ago lingers, and can be taken all the same.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def some_free_port(taken: Collection[int] = ()) -> int:
    """A port nobody has now, none of `taken`, and none that an outgoing connection is given.

    Raises:
        Refused: there is none.
    """
    # By chance, so that two who look at the same moment do not find the same.
    for port in random.sample(OWN, len(OWN)):
        if port not in taken and is_free(port):
            return port
    raise Refused(
        f"None of the ports {OWN[0]} to {OWN[-1]} is free.",
        "Stop what listens on them, or run `daybreak up --port SERVICE=PORT` with free ports.",
    )


def choose(
    recorded: Mapping[str, int], requested: Mapping[str, int], say: Callable[[str], None]
) -> dict[str, int]:
    """One port for each service: the requested, else the recorded, else the usual if it is free.

    Raises:
        Refused: a service is unknown, or a requested or recorded port is taken by another process.
    """
    unknown = sorted(set(requested) - set(PREFERRED))
    if unknown:
        raise Refused(
            f"There is no service named {unknown[0]!r} to give a port.",
            f"Services are: {', '.join(PREFERRED)}.",
        )
    settled = {**recorded, **requested}
    _refuse_twice(settled)
    for service, port in settled.items():
        if not is_free(port):
            raise _taken(service, port)
    for service, usual in PREFERRED.items():
        if service in settled:
            continue
        settled[service] = usual
        others = [port for name, port in settled.items() if name != service]
        if usual in others or not is_free(usual):
            settled[service] = some_free_port(others)
            say(f"Port {usual} is taken by {who_has(usual)}: {service} gets {settled[service]}.")
    return settled


def who_has(port: int) -> str:
    """The process that listens on a port, as a person would look for it."""
    try:
        listening = [
            found
            for found in psutil.net_connections(kind="tcp")
            if found.status == psutil.CONN_LISTEN and found.laddr and found.laddr.port == port
        ]
        if listening and listening[0].pid:
            owner = psutil.Process(listening[0].pid)
            return f"{owner.name()} (process {owner.pid})"
    except psutil.Error:
        pass
    return "another process"


def _refuse_twice(ports: Mapping[str, int]) -> None:
    for port in set(ports.values()):
        wanting = sorted(service for service, wanted in ports.items() if wanted == port)
        if len(wanting) > 1:
            raise Refused(
                f"Port {port} is wanted by {len(wanting)} services: {', '.join(wanting)}.",
                "Give each service a port of its own.",
            )


def _taken(service: str, port: int) -> Refused:
    return Refused(
        f"Port {port}, which {service} uses here, is taken by {who_has(port)}.",
        f"Stop that process, or run `daybreak up --port {service}=PORT` with a free port.",
    )
