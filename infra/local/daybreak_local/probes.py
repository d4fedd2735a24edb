"""How each service is, by asking it: a login to Postgres, a call to Spark, pages of the others."""

from __future__ import annotations

import base64
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import psycopg

from daybreak_local.keys import Keys, load
from daybreak_local.orchestrator import COMMANDS
from daybreak_local.places import Places
from daybreak_local.postgres import superuser_conninfo
from daybreak_local.record import read, recorded_ports, secret
from daybreak_local.supervision import Supervisor
from jobs.errors import DaybreakError, Unavailable
from jobs.prediction import warehouse
from jobs.settings import Settings

SERVICES = ("postgres", "spark", "mlflow", *COMMANDS)
_SECONDS = 5.0
# Airflow writes a heartbeat's time with the database's clock, a moment before or after ours.
_CLOCK_SLACK = timedelta(seconds=1)
# Of a service that others started nobody says since when it runs.
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_HEARTBEATS = {
    "airflow-scheduler": "scheduler",
    "airflow-dag-processor": "dag_processor",
    "airflow-triggerer": "triggerer",
}


@dataclass(frozen=True)
class Service:
    """One service as it is now.

    Attributes:
        state: supervisord's word (RUNNING, BACKOFF, FATAL…), or DOWN without a supervisord. Of one
            that others started: RUNNING if it answers, else DOWN.
        address: where people and programs reach it; empty for those nobody calls.
        since: when this life of it began, if known.
        healthy: it answered as it should.
        detail: what it answered, or why it counts as ill.
    """

    name: str
    state: str
    address: str
    pid: int | None
    since: datetime | None
    healthy: bool
    detail: str


@dataclass(frozen=True)
class Answer:
    """What came of asking a service."""

    healthy: bool
    detail: str


def status(home: Path) -> list[Service]:
    """Every service of a home, in the order they start, each really asked.

    A home that was never started, or has no supervisord, gives services that are DOWN.
    """
    places = Places(home)
    settings = read(home)
    try:
        known: dict[str, dict[str, Any]] = Supervisor(places).services()
    except Unavailable:
        known = {}
    if settings is None or not known:
        return [_down(name, settings) for name in SERVICES]
    keys = load(places)
    with ThreadPoolExecutor(max_workers=len(SERVICES)) as pool:
        return list(pool.map(lambda name: _service(name, known[name], settings, keys), SERVICES))


def elsewhere(settings: Settings) -> list[Service]:
    """Every service where the settings say that it is, each really asked.

    For services that others started: containers, say, or a cluster's own.
    """
    with ThreadPoolExecutor(max_workers=len(SERVICES)) as pool:
        return list(pool.map(lambda name: _elsewhere(name, settings), SERVICES))


def ask(name: str, settings: Settings, keys: Keys, since: datetime) -> Answer:
    """Ask one embedded service how it is; never raises.

    `since` is when its process began: a heartbeat older than that was its last life's.
    """
    ours: Mapping[str, Callable[[], Answer]] = {
        "postgres": lambda: _postgres(settings, keys),
        "spark": lambda: _spark(settings),
    }
    return _asked(ours.get(name) or _of_any_home(name, settings, since))


def _of_any_home(name: str, settings: Settings, since: datetime) -> Callable[[], Answer]:
    questions: Mapping[str, Callable[[], Answer]] = {
        "mlflow": lambda: _mlflow(settings),
        "airflow-api": lambda: _airflow_api(settings),
    }
    return questions.get(name, lambda: _airflow_heartbeat(settings, _HEARTBEATS[name], since))


def _asked(question: Callable[[], Answer]) -> Answer:
    try:
        return question()
    except DaybreakError as error:
        return Answer(False, error.sentence)
    except (OSError, ValueError, psycopg.Error, KeyError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        return Answer(False, said[-1])


def address(name: str, settings: Settings) -> str:
    """Where a service is reached, without any secret."""
    return {
        "postgres": f"{settings.warehouse_host}:{settings.warehouse_port}",
        "spark": settings.spark,
        "mlflow": settings.mlflow_url,
        "airflow-api": settings.airflow_url,
    }.get(name, "")


def _service(name: str, info: Mapping[str, Any], settings: Settings, keys: Keys) -> Service:
    state = str(info["statename"])
    running = state == "RUNNING"
    since = datetime.fromtimestamp(info["start"], UTC) if running else None
    answer = ask(name, settings, keys, since) if since else Answer(False, str(info["description"]))
    return Service(
        name=name,
        state=state,
        address=address(name, settings),
        pid=int(info["pid"]) or None,
        since=since,
        healthy=answer.healthy,
        detail=answer.detail,
    )


def _down(name: str, settings: Settings | None) -> Service:
    where = address(name, settings) if settings else ""
    return Service(name, "DOWN", where, None, None, False, "not started; run `daybreak up`")


def _elsewhere(name: str, settings: Settings) -> Service:
    # What nobody calls tells Airflow's API server that it is alive.
    where = settings.airflow_url if name in _HEARTBEATS else address(name, settings)
    theirs: Mapping[str, Callable[[], Answer]] = {
        "postgres": lambda: _warehouse(settings),
        "spark": lambda: _spark_port(settings),
    }
    question = theirs.get(name) or _of_any_home(name, settings, _LONG_AGO)
    answer = _asked(question) if where else Answer(False, "the settings name no address")
    state = "RUNNING" if answer.healthy else "DOWN"
    return Service(name, state, where, None, None, answer.healthy, answer.detail)


def _postgres(settings: Settings, keys: Keys) -> Answer:
    conninfo = superuser_conninfo(keys, settings.warehouse_port)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version'),"
            " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')"
        ).fetchone()
    version, connections = row or ("?", 0)
    return Answer(True, f"PostgreSQL {version}, {connections} connections")


def _warehouse(settings: Settings) -> Answer:
    with warehouse.connect(settings, "reader") as connection:
        (version,) = warehouse.one(connection, "SELECT current_setting('server_version')")
    return Answer(True, f"PostgreSQL {version}")


def _spark_port(settings: Settings) -> Answer:
    at = urlparse(settings.spark)
    if at.hostname is None or at.port is None:
        return Answer(True, "each step starts its own")
    with socket.create_connection((at.hostname, at.port), timeout=_SECONDS):
        return Answer(True, "its port is open")


def _spark(settings: Settings) -> Answer:
    import grpc  # type: ignore[import-untyped]

    port = recorded_ports(settings)["spark"]
    bearer = ("authorization", f"Bearer {secret(settings.spark_token)}")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        release = channel.unary_unary("/spark.connect.SparkConnectService/ReleaseSession")
        try:
            release(b"", timeout=_SECONDS, metadata=[bearer])
        except grpc.RpcError as error:
            # The empty request names no session: a server that says so has let the token in.
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                return Answer(False, "no answer")
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                return Answer(False, "the token of settings.json is refused")
    return Answer(True, "answers with the token")


def _mlflow(settings: Settings) -> Answer:
    headers = {}
    if settings.mlflow_password:
        login = f"{settings.mlflow_user}:{settings.mlflow_password.get_secret_value()}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    return Answer(True, f"MLflow {_page(f'{settings.mlflow_url}/version', headers)}")


def _airflow_api(settings: Settings) -> Answer:
    said = json.loads(_page(f"{settings.airflow_url}/api/v2/version"))
    database = _airflow_health(settings)["metadatabase"]["status"]
    return Answer(database == "healthy", f"Airflow {said['version']}, its database is {database}")


def _airflow_heartbeat(settings: Settings, component: str, since: datetime) -> Answer:
    told = _airflow_health(settings)[component]
    beat = told.get(f"latest_{component}_heartbeat")
    if not beat:
        return Answer(False, "no heartbeat yet")
    at = datetime.fromisoformat(beat)
    if at < since - _CLOCK_SLACK:
        return Answer(False, "no heartbeat since it started")
    age = (datetime.now(UTC) - at).total_seconds()
    return Answer(told["status"] == "healthy", f"last heartbeat {max(age, 0):.0f} s ago")


def _airflow_health(settings: Settings) -> dict[str, Any]:
    health: dict[str, Any] = json.loads(_page(f"{settings.airflow_url}/api/v2/monitor/health"))
    return health


def _page(url: str, headers: Mapping[str, str] | None = None) -> str:
    # A proxy has no business between us and loopback, or inside a private network.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310
    try:
        with opener.open(request, timeout=_SECONDS) as answer:
            return str(answer.read().decode("utf-8"))
    except urllib.error.HTTPError as error:
        raise OSError(f"{url} answers {error.code}") from error
