"""Ports: the usual ones if free, others if not, and never a recorded one of somebody else's."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import psutil
import pytest

from daybreak_local import ports
from jobs.errors import Refused


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def _free() -> dict[str, int]:
    chosen: dict[str, int] = {}
    for service in ports.PREFERRED:
        chosen[service] = ports.some_free_port(chosen.values())
    return chosen


def test_a_free_port_is_none_that_outgoing_connections_are_given() -> None:
    found = {ports.some_free_port() for _ in range(50)}
    assert all(1024 < port < 32_768 for port in found)
    assert len(found) > 1


def test_recorded_ports_are_kept() -> None:
    recorded = _free()
    assert ports.choose(recorded, {}, pytest.fail) == recorded


def test_a_requested_port_wins_over_the_recorded() -> None:
    recorded = _free()
    wanted = ports.some_free_port(recorded.values())
    assert ports.choose(recorded, {"mlflow": wanted}, pytest.fail)["mlflow"] == wanted


def test_a_taken_usual_port_is_replaced_and_said(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "PREFERRED", {**_free(), "airflow": taken})
    said: list[str] = []
    chosen = ports.choose({}, {}, said.append)
    assert chosen["airflow"] != taken
    assert len(set(chosen.values())) == len(chosen)
    assert said == [
        f"Port {taken} is taken by {psutil.Process().name()} (process {psutil.Process().pid}): "
        f"airflow gets {chosen['airflow']}."
    ]


@pytest.mark.parametrize("as_recorded", [True, False])
def test_a_taken_port_of_ours_is_refused_by_name(taken: int, as_recorded: bool) -> None:
    recorded = {**_free(), "mlflow": taken} if as_recorded else _free()
    requested = {} if as_recorded else {"mlflow": taken}
    with pytest.raises(Refused, match=f"Port {taken}, which mlflow uses here, is taken by"):
        ports.choose(recorded, requested, pytest.fail)


def test_one_port_for_two_services_is_refused() -> None:
    same = ports.some_free_port()
    with pytest.raises(Refused, match="wanted by 2 services: airflow, mlflow"):
        ports.choose({}, {"mlflow": same, "airflow": same}, pytest.fail)


def test_an_unknown_service_is_refused() -> None:
    with pytest.raises(Refused, match="'redis'"):
        ports.choose({}, {"redis": 6379}, pytest.fail)
