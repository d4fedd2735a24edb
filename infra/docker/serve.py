"""Start one service of docker-compose.yml inside its container.

Each command writes the small files its service needs from the environment, into a folder that
only the container's user can read, and then becomes the service. So no secret is in an image
layer, in a mounted file or on a command line.

Usage: python infra/docker/serve.py mlflow | spark-master | spark-worker | spark-connect
       | airflow-api-server | migrate | buckets
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from jobs.errors import DaybreakError, Refused, WrongUsage
from jobs.settings import Settings

CONNECT_PORT = 15002
MASTER_PORT = 7077
BUCKETS = ("landing", "mlflow")

_CONNECT_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"


def mlflow() -> NoReturn:
    """The MLflow server with a login; its users are kept in the same database."""
    store = _needed("MLFLOW_BACKEND_STORE_URI")
    lines = ["[mlflow]", "default_permission = READ", f"database_uri = {store.replace('%', '%%')}"]
    config = _private("mlflow", "auth.ini", "\n".join(lines) + "\n")
    command = ["mlflow", "server", "--app-name", "basic-auth", "--workers", "2"]
    _become([*command, "--host", "0.0.0.0", "--port", "5000"], {"MLFLOW_AUTH_CONFIG_PATH": config})


def spark_master() -> NoReturn:
    """The master of the standalone cluster, known to the others by its service's name."""
    master = ["org.apache.spark.deploy.master.Master", "--host", _needed("SPARK_MASTER_HOST")]
    _become([_spark("spark-class"), *master, "--port", str(MASTER_PORT)], _spark_conf({}))


def spark_worker() -> NoReturn:
    """One worker; it gives the others its address, which every copy of the service has."""
    worker = ["org.apache.spark.deploy.worker.Worker", "--host", _address(), _master()]
    _become([_spark("spark-class"), *worker], _spark_conf({"spark.worker.cleanup.enabled": "true"}))


def spark_connect() -> NoReturn:
    """The Connect server, whose executors are on the standalone cluster."""
    submit = [_spark("spark-submit"), "--class", _CONNECT_SERVER, "spark-internal"]
    _become(submit, _spark_conf(connect_conf(Settings())))


def connect_conf(settings: Settings) -> dict[str, str]:
    """What the Connect server's session needs: the platform's own, reachable by the executors."""
    from jobs.engine import static_conf

    return {
        **static_conf(settings),
        "spark.master": _master(),
        "spark.app.name": "daybreak",
        "spark.driver.host": _address(),
        "spark.driver.bindAddress": "0.0.0.0",
        "spark.connect.grpc.binding.port": str(CONNECT_PORT),
        "spark.driver.extraJavaOptions": "-XX:+ExitOnOutOfMemoryError",
    }


def airflow_api_server() -> NoReturn:
    """Airflow's API server and UI, with the one user that the settings name."""
    settings = Settings()
    if settings.airflow_password is None:
        raise Refused("DAYBREAK_AIRFLOW_PASSWORD is not set.", "Run infra/docker/make-env.")
    users = {settings.airflow_user: settings.airflow_password.get_secret_value()}
    config = _private("airflow", "passwords.json", json.dumps(users) + "\n")
    command = ["airflow", "api-server", "--host", "0.0.0.0", "--port", "8080", "--workers", "1"]
    _become(command, {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": config})


def migrate() -> None:
    """Make the warehouse's roles and tables; the second time nothing happens."""
    from psycopg.conninfo import make_conninfo

    from jobs.prediction.migrations import ensure_roles, upgrade

    settings = Settings()
    superuser = make_conninfo(
        host=settings.warehouse_host,
        port=settings.warehouse_port,
        user="postgres",
        password=_needed("POSTGRES_PASSWORD"),
        dbname="postgres",
    )
    ensure_roles(superuser, settings)
    upgrade(settings)
    print(f"The warehouse {settings.warehouse_database} is up to date.")


def buckets() -> None:
    """Make the buckets that are missing, as the store's administrator."""
    import boto3

    store = boto3.client("s3", endpoint_url=Settings().s3_endpoint)
    there = {bucket["Name"] for bucket in store.list_buckets()["Buckets"]}
    missing = [bucket for bucket in BUCKETS if bucket not in there]
    for bucket in missing:
        store.create_bucket(Bucket=bucket)
    print(f"{len(missing)} buckets made, {len(BUCKETS) - len(missing)} were there.")


def _needed(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise Refused(f"{name} is not set.", "Run infra/docker/make-env, which writes .env.")
    return value


def _private(service: str, name: str, text: str) -> str:
    # mkdtemp's folder is open to this user only.
    path = Path(tempfile.mkdtemp(prefix=f"{service}-")) / name
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return str(path)


def _spark_conf(conf: Mapping[str, str]) -> dict[str, str]:
    """The environment that makes Spark read `conf` and the secret its processes share."""
    shared = {
        "spark.authenticate": "true",
        "spark.authenticate.secret": _needed("SPARK_SECRET"),
    }
    lines = [f"{name} {value}\n" for name, value in {**conf, **shared}.items()]
    defaults = _private("spark", "spark-defaults.conf", "".join(lines))
    return {"SPARK_CONF_DIR": str(Path(defaults).parent), "PYSPARK_PYTHON": sys.executable}


def _spark(program: str) -> str:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise Refused("The package pyspark is not in this image.", "Build the image again.")
    return str(Path(spec.origin).parent / "bin" / program)


def _master() -> str:
    return f"spark://{_needed('SPARK_MASTER_HOST')}:{MASTER_PORT}"


def _address() -> str:
    # The Spark services are on one network, so there is one address.
    return socket.gethostbyname(socket.gethostname())


def _become(command: list[str], environment: Mapping[str, str]) -> NoReturn:
    os.environ.update(environment)
    os.execvp(command[0], command)


SERVICES: dict[str, Callable[[], None]] = {
    "mlflow": mlflow,
    "spark-master": spark_master,
    "spark-worker": spark_worker,
    "spark-connect": spark_connect,
    "airflow-api-server": airflow_api_server,
    "migrate": migrate,
    "buckets": buckets,
}


def main(arguments: list[str]) -> int:
    try:
        if len(arguments) != 1 or arguments[0] not in SERVICES:
            raise WrongUsage("serve.py takes one service.", f"One of: {', '.join(SERVICES)}.")
        SERVICES[arguments[0]]()
    except DaybreakError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, WrongUsage) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
