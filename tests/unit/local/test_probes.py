"""Services that others started, asked at the addresses of the settings; on loopback stand-ins."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from daybreak_local.ports import some_free_port
from daybreak_local.probes import SERVICES, Service
from jobs.display import plain
from jobs.settings import Settings, settings_file
from jobs.status import overview

LOGIN = base64.b64encode(b"daybreak:word").decode()
BEATING = {"status": "healthy"}


def _health() -> dict[str, object]:
    beat = (datetime.now(UTC) - timedelta(seconds=3)).isoformat()
    return {
        "metadatabase": BEATING,
        "scheduler": {**BEATING, "latest_scheduler_heartbeat": beat},
        "dag_processor": {**BEATING, "latest_dag_processor_heartbeat": beat},
        "triggerer": {"status": None, "latest_triggerer_heartbeat": None},
    }


class Pages(BaseHTTPRequestHandler):
    """What MLflow and Airflow answer, in one."""

    def do_GET(self) -> None:
        said = {
            "/version": "3.17.2",
            "/api/v2/version": json.dumps({"version": "3.3.2"}),
            "/api/v2/monitor/health": json.dumps(_health()),
        }[self.path]
        wanted = self.path != "/version" or self.headers["Authorization"] == f"Basic {LOGIN}"
        self.send_response(200 if wanted else 401)
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *_: object) -> None:
        """Nothing: the tests' own output is enough."""


@pytest.fixture
def page() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def spark() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"connect://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def elsewhere(page: str, spark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As in a container: all from the environment, and a home where nothing was started."""
    said = {
        "HOME": tmp_path,
        "USECASES": tmp_path,
        "SPARK": spark,
        "MLFLOW_URL": page,
        "MLFLOW_PASSWORD": "word",
        "AIRFLOW_URL": page,
        "WAREHOUSE_HOST": "127.0.0.1",
        "WAREHOUSE_PORT": some_free_port(),
        "READER_PASSWORD": "word",
    }
    for name, value in said.items():
        monkeypatch.setenv(f"DAYBREAK_{name}", str(value))
    return Settings()


def services(settings: Settings) -> dict[str, Service]:
    found = {service.name: service for service in overview(settings).services}
    assert tuple(found) == SERVICES
    return found


def test_each_is_asked_at_its_address(elsewhere: Settings, page: str, spark: str) -> None:
    found = services(elsewhere)
    said = {name: (each.state, each.address, each.detail) for name, each in found.items()}
    assert said["spark"] == ("RUNNING", spark, "its port is open")
    assert said["mlflow"] == ("RUNNING", page, "MLflow 3.17.2")
    assert said["airflow-api"] == ("RUNNING", page, "Airflow 3.3.2, its database is healthy")
    assert said["airflow-scheduler"] == ("RUNNING", page, "last heartbeat 3 s ago")
    assert said["airflow-triggerer"] == ("DOWN", page, "no heartbeat yet")


def test_one_that_does_not_answer_is_down_with_its_address(elsewhere: Settings) -> None:
    postgres = services(elsewhere)["postgres"]
    where = f"127.0.0.1:{elsewhere.warehouse_port}"
    assert (postgres.state, postgres.healthy, postgres.address) == ("DOWN", False, where)
    assert f"The warehouse at {where} does not answer" in postgres.detail


def test_a_login_that_is_refused_and_an_address_that_is_missing_are_said(
    elsewhere: Settings,
) -> None:
    update = {"mlflow_password": None, "airflow_url": "", "spark": "local[2]"}
    found = services(elsewhere.model_copy(update=update))
    assert found["mlflow"].detail.endswith("answers 401")
    assert found["airflow-scheduler"].detail == "the settings name no address"
    assert (found["spark"].healthy, found["spark"].detail) == (True, "each step starts its own")


def test_programs_read_the_same_fields(elsewhere: Settings) -> None:
    fields = {"name", "state", "address", "pid", "since", "healthy", "detail"}
    for service in plain(overview(elsewhere))["services"]:
        assert set(service) == fields


def test_without_addresses_or_with_a_home_of_their_own_the_embedded_ones_are_meant(
    elsewhere: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_file(tmp_path).write_text("{}")
    assert {each.state for each in services(elsewhere).values()} == {"DOWN"}
    settings_file(tmp_path).unlink()
    for name in ("SPARK", "MLFLOW_URL", "AIRFLOW_URL", "WAREHOUSE_HOST"):
        monkeypatch.delenv(f"DAYBREAK_{name}")
    found = services(Settings())
    assert {each.detail for each in found.values()} == {"not started; run `daybreak up`"}
