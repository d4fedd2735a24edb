"""docker-compose.yml agrees with the settings the code reads, with .env.example and with itself.

No Docker engine is needed. What the engine alone can tell (that the images build and the
containers become healthy) is not tested here.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlparse

import pytest
import yaml
from cryptography.fernet import Fernet

from jobs.settings import PROJECT, Settings

FILE = PROJECT / "docker-compose.yml"
EXAMPLE = PROJECT / ".env.example"
MAKE_ENV = PROJECT / "infra" / "docker" / "make-env"
DOCKERFILE = PROJECT / "infra" / "docker" / "Dockerfile"

COMPOSE = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {name for name, service in SERVICES.items() if service["restart"] == "no"}
IMAGE_SAYS = set(re.findall(r"(DAYBREAK_[A-Z0-9_]+)=", DOCKERFILE.read_text(encoding="utf-8")))

SCRIPT = "infra/docker/serve.py"


def loaded(script: Path) -> ModuleType:
    spec = spec_from_file_location(script.stem, script)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SERVE = loaded(PROJECT / SCRIPT)
STORE = (PROJECT / "infra/docker/store.sh").read_text(encoding="utf-8")
DATABASES = (PROJECT / "infra/docker/databases.sql").read_text(encoding="utf-8")

# Where each service listens, by what starts it.
PORTS = {
    "postgres": Settings.model_fields["warehouse_port"].default,
    "store": int(re.findall(r"-s3\.port=(\d+)", STORE)[0]),
    "mlflow": SERVE.MLFLOW_PORT,
    "spark-connect": SERVE.CONNECT_PORT,
    "spark-master": SERVE.MASTER_PORT,
    "airflow-api-server": SERVE.AIRFLOW_PORT,
}

# What the steps do without. Every other setting must be said, or it would have its default, which
# is for the embedded services.
UNSAID = {
    "owner_password": "only `migrate` may change the warehouse's tables",
    "labeller_password": "people write labels, and no step does",
    "spark_token": "with a token the client wants TLS of another host",
    "spark_memory": "of the Connect server, which is told itself",
    "usecases": "in the image, where the default looks",
}
STEPS = set(Settings.model_fields) - set(UNSAID)
PLACES = {"home", "lake", "jars", "landing", "s3_endpoint", "spark", "spark_workers"}
WAREHOUSE = {"warehouse_host", "warehouse_port", "warehouse_database"}
NEEDS = {
    "airflow-scheduler": STEPS,
    "airflow-triggerer": STEPS,
    "airflow-api-server": STEPS,
    "airflow-dag-processor": PLACES,
    "migrate": WAREHOUSE
    | {"owner_password", "publisher_password", "reader_password", "labeller_password"},
    "buckets": {"s3_endpoint"},
    "mlflow": {"mlflow_user", "mlflow_password"},
    "spark-connect": {"lake", "jars", "spark_memory"},
}


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .env as make-env writes it."""
    target = tmp_path_factory.mktemp("env") / ".env"
    subprocess.run([sys.executable, MAKE_ENV, target], check=True, capture_output=True)
    return target


@pytest.fixture(scope="module")
def values(env: Path) -> dict[str, str]:
    return dict(
        line.split("=", 1)
        for line in env.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    )


def environment(service: str) -> dict[str, str]:
    return dict(SERVICES[service].get("environment", {}))


def settings_of(service: str) -> set[str]:
    """The fields of Settings that a service's environment or its image sets."""
    named = {name for name in environment(service) if name.startswith("DAYBREAK_")}
    if SERVICES[service]["image"].startswith("daybreak:"):
        named |= IMAGE_SAYS
    return {name.removeprefix("DAYBREAK_").lower() for name in named}


def compose_command() -> list[str]:
    beside = Path(sys.executable).parent / "docker-compose"
    alone = str(beside) if beside.exists() else shutil.which("docker-compose")
    if alone:
        return [alone]
    docker = shutil.which("docker")
    if (
        docker
        and not subprocess.run([docker, "compose", "version"], capture_output=True).returncode
    ):
        return [docker, "compose"]
    pytest.skip("Docker Compose is not installed (neither docker-compose nor docker compose)")


def test_compose_accepts_the_file_with_a_made_env(env: Path) -> None:
    command = [
        *compose_command(),
        "--file",
        str(FILE),
        "--env-file",
        str(env),
        "config",
        "--format",
        "json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"HOME": "/"})
    assert done.returncode == 0, done.stderr
    resolved = yaml.safe_load(done.stdout)
    assert set(resolved["services"]) == set(SERVICES)
    published = {
        name: [(port["host_ip"], port["target"]) for port in service["ports"]]
        for name, service in resolved["services"].items()
        if service.get("ports")
    }
    assert published == {
        name: [("127.0.0.1", PORTS[name])] for name in ("airflow-api-server", "mlflow")
    }
    assert resolved["services"]["spark-worker"]["deploy"]["replicas"] == 2


def test_compose_refuses_to_start_without_secrets(tmp_path: Path) -> None:
    empty = tmp_path / ".env"
    empty.touch()
    command = [
        *compose_command(),
        "--file",
        str(FILE),
        "--env-file",
        str(empty),
        "config",
        "--quiet",
    ]
    plain = {"PATH": os.environ["PATH"], "HOME": "/"}
    done = subprocess.run(command, capture_output=True, text=True, env=plain)
    assert done.returncode != 0
    assert "run infra/docker/make-env" in done.stderr


def calls(service: str) -> list[str]:
    """What of serve.py a service calls, to start and to say whether it is healthy."""
    said = SERVICES[service]
    commands = [said.get("command", []), said.get("healthcheck", {}).get("test", [])]
    return [words[words.index(SCRIPT) + 1] for words in commands if SCRIPT in words]


def needed(function: str) -> Iterator[str]:
    """The variables without which a function of serve.py, or one that it calls, refuses."""
    tree = ast.parse((PROJECT / SCRIPT).read_text(encoding="utf-8"))
    bodies = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
    for call in (each for each in ast.walk(bodies[function]) if isinstance(each, ast.Call)):
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if name in ("_needed", "_secret"):
            assert isinstance(call.args[0], ast.Constant), "the test reads the name in the code"
            yield str(call.args[0].value)
        elif name in bodies:
            yield from needed(name)


def test_serve_is_called_with_what_it_knows_and_all_of_it() -> None:
    assert {word for name in SERVICES for word in calls(name)} == set(SERVE.SERVICES)


@pytest.mark.parametrize("service", [name for name in SERVICES if calls(name)])
def test_a_service_has_the_variables_that_serve_requires(service: str) -> None:
    required = {name for word in calls(service) for name in needed(SERVE.SERVICES[word].__name__)}
    assert required - set(environment(service)) == set()


def test_what_serve_requires_is_found_in_its_code() -> None:
    assert set(needed("spark_worker")) == {"SPARK_MASTER_HOST", "SPARK_SECRET"}
    assert "MLFLOW_FLASK_KEY" in set(needed("mlflow"))


def test_foreign_images_have_the_variables_that_our_scripts_require() -> None:
    store = set(re.findall(r"\$\{([A-Z_]+):\?\}", STORE))
    databases = set(re.findall(r"(?m)^\\getenv \w+ ([A-Z_]+)$", DATABASES))
    assert store
    assert databases
    assert store - set(environment("store")) == set()
    assert databases - set(environment("postgres")) == set()


@pytest.mark.parametrize("service", SERVICES)
def test_hosts_and_ports_that_stand_alone_are_of_a_service(service: str) -> None:
    said = environment(service)
    if "DAYBREAK_WAREHOUSE_HOST" in said:
        assert int(said["DAYBREAK_WAREHOUSE_PORT"]) == PORTS[said["DAYBREAK_WAREHOUSE_HOST"]]
    if "SPARK_MASTER_HOST" in said:
        assert SERVICES[said["SPARK_MASTER_HOST"]]["hostname"] == said["SPARK_MASTER_HOST"]
        assert calls(said["SPARK_MASTER_HOST"]) == ["spark-master"]
    for published in SERVICES[service].get("ports", []):
        assert int(published.rpartition(":")[2]) == PORTS[service]


@pytest.mark.parametrize("service", SERVICES)
def test_every_daybreak_variable_is_a_setting(service: str) -> None:
    assert settings_of(service) <= set(Settings.model_fields)


@pytest.mark.parametrize("service", NEEDS)
def test_a_service_has_the_settings_it_needs(service: str) -> None:
    assert NEEDS[service] - settings_of(service) == set()


def test_settings_can_be_read_from_the_schedulers_environment(
    values: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in environment("airflow-scheduler").items():
        if name.startswith("DAYBREAK_"):
            monkeypatch.setenv(name, interpolated(value, values))
    monkeypatch.setenv("DAYBREAK_HOME", str(tmp_path))
    settings = Settings()
    assert settings.publisher_password is not None
    assert settings.publisher_password.get_secret_value() == values["PUBLISHER_PASSWORD"]
    assert settings.warehouse_port == PORTS["postgres"]
    assert settings.spark_token is None, "with a token the client wants TLS of another host"


def interpolated(value: str, values: dict[str, str]) -> str:
    def one(found: re.Match[str]) -> str:
        return values.get(found[1]) or (found[3] if found[2] == ":-" else "")

    return re.sub(r"\$\{([A-Z0-9_]+)(:[-?])?([^}]*)\}", one, str(value))


def test_only_migrate_knows_the_owner_and_the_superuser() -> None:
    text = {name: yaml.safe_dump(service) for name, service in SERVICES.items()}
    assert {name for name in text if "${OWNER_PASSWORD" in text[name]} == {"migrate"}
    assert {name for name in text if "${POSTGRES_PASSWORD" in text[name]} == {"migrate", "postgres"}
    assert {name for name in text if "${STORE_ADMIN_SECRET" in text[name]} == {"buckets", "store"}


def test_variables_are_those_of_the_example(values: dict[str, str]) -> None:
    text = FILE.read_text(encoding="utf-8")
    used = re.findall(r"\$\{([A-Z0-9_]+)(:[-?])([^}]*)\}", text)
    assert len(used) == text.count("${"), "every variable is required or has a default"
    example = EXAMPLE.read_text(encoding="utf-8")
    choices = dict(re.findall(r"(?m)^#([A-Z0-9_]+)=(.+)$", example))
    assert {name for name, mark, _ in used if mark == ":?"} == set(values)
    assert {(name, default) for name, mark, default in used if mark == ":-"} == set(choices.items())
    assert re.findall(r"(?m)^[A-Z0-9_]+=.+$", example) == [], "the example holds no values"


def test_make_env_writes_private_fresh_secrets_once(env: Path, values: dict[str, str]) -> None:
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert len(set(values.values())) == len(values)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43,44}=?", value) for value in values.values())
    Fernet(values["AIRFLOW_FERNET_KEY"])
    before = env.read_bytes()
    again = subprocess.run([sys.executable, MAKE_ENV, env], capture_output=True, text=True)
    assert again.returncode == 1
    assert "was not changed" in again.stderr
    assert env.read_bytes() == before
    assert not any(value in again.stdout + again.stderr for value in values.values())


def test_make_env_gives_an_older_file_what_it_lacks(tmp_path: Path, env: Path) -> None:
    older = tmp_path / "older.env"
    name = "LABELLER_PASSWORD"
    kept = [line for line in env.read_text().splitlines() if not line.startswith(f"{name}=")]
    older.write_text("\n".join(kept))
    done = subprocess.run([sys.executable, MAKE_ENV, older], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"got what it lacked: {name}." in done.stdout
    *before, added = older.read_text().splitlines()
    assert before == kept
    assert re.fullmatch(rf"{name}=[A-Za-z0-9_-]{{43}}", added)
    assert added.partition("=")[2] not in done.stdout


def test_addresses_name_a_service_its_port_and_a_shared_network() -> None:
    found = 0
    for name in SERVICES:
        for value in environment(name).values():
            for address in re.findall(r"(?:https?|connect|spark)://[^\s,$}]+", str(value)):
                url = urlparse(address)
                if url.hostname in SERVICES:
                    found += 1
                    assert url.port == PORTS[url.hostname], (name, address)
    assert found >= 10
    for name, user in {
        "store": {"buckets", "mlflow", "airflow-scheduler", "airflow-triggerer", "spark-worker"},
        "postgres": {"migrate", "mlflow", "airflow-migrate", "airflow-scheduler", "spark-worker"},
        "mlflow": {"airflow-scheduler", "airflow-api-server"},
        "spark-connect": {"airflow-scheduler", "spark-worker"},
        "airflow-api-server": {"airflow-scheduler", "airflow-triggerer"},
    }.items():
        for other in user:
            assert set(SERVICES[name]["networks"]) & set(SERVICES[other]["networks"]), (name, other)


def test_spark_is_out_of_reach_of_the_published_services() -> None:
    assert {n for n, s in SERVICES.items() if "engine" in s["networks"]} == {
        "postgres",
        "store",
        "airflow-scheduler",
        "spark-master",
        "spark-worker",
        "spark-connect",
    }
    assert {n for n, s in SERVICES.items() if s.get("ports")} == {"mlflow", "airflow-api-server"}
    inner = {name for name, network in COMPOSE["networks"].items() if network.get("internal")}
    assert inner == {"services", "engine", "files"}


def test_every_lasting_service_says_whether_it_is_healthy() -> None:
    assert {"migrate", "buckets", "airflow-migrate"} == ONCE
    for name, service in SERVICES.items():
        assert ("healthcheck" in service) == (name not in ONCE), name
        for port in re.findall(r":(\d{4,5})\b|, (\d{4,5})\)", str(service.get("healthcheck"))):
            number = int(port[0] or port[1])
            # The worker's own page is the one port that nobody else calls.
            assert number == PORTS.get(name, 8081), name


def test_a_service_waits_until_what_it_needs_is_healthy_or_done() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            done = "service_completed_successfully" if other in ONCE else "service_healthy"
            assert how == {"condition": done}, (name, other)


def test_the_lake_is_at_the_same_place_wherever_it_is_used() -> None:
    lake = re.search(r"DAYBREAK_LAKE=(\S+)", DOCKERFILE.read_text(encoding="utf-8"))
    assert lake is not None
    for name in ("spark-worker", "spark-connect", "airflow-scheduler"):
        assert f"lake:{lake[1]}" in SERVICES[name]["volumes"], name


def test_what_is_mounted_run_and_built_from_is_in_the_checkout() -> None:
    for name, service in SERVICES.items():
        mounts = [volume.split(":")[0] for volume in service.get("volumes", [])]
        for source in mounts:
            there = (PROJECT / source).is_file() if "/" in source else source in COMPOSE["volumes"]
            assert there, (name, source)
        scripts = [word for word in service.get("command", []) if word.endswith(".py")]
        assert all((PROJECT / script).is_file() for script in scripts), name
    built = {name: service["build"] for name, service in SERVICES.items() if "build" in service}
    assert list(built) == ["migrate"]
    assert (PROJECT / built["migrate"]["context"] / built["migrate"]["dockerfile"]) == DOCKERFILE


def test_ours_run_without_privileges_and_foreign_images_are_pinned() -> None:
    for name, service in SERVICES.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        image, _, tag = service["image"].partition(":")
        assert tag not in {"", "latest"}, name
        if image == "daybreak":
            assert service["cap_drop"] == ["ALL"], name
