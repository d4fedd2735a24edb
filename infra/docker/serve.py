"""Start one service of docker-compose.yml inside its container.

Each command writes the small files its service needs from the environment, into a folder that
only the container's user can read, and then becomes the service. So no secret is in an image
layer, in a mounted file or on a command line.

Usage: python infra/docker/serve.py SERVICE, one of SERVICES below.
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

from pydantic import SecretStr

from jobs.engine import JAVA_OPTIONS
from jobs.errors import DaybreakError, Refused, WrongUsage
from jobs.settings import Settings

# Inside a container, whose networks docker-compose.yml chooses.
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104
CONNECT_PORT = 15002
MASTER_PORT = 7077
MLFLOW_PORT = 5000
AIRFLOW_PORT = 8080
BUCKETS = ("landing", "mlflow")

_CONNECT_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"

# Spark's own default says several lines for every query.
_LOG4J = """\
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{yyyy-MM-dd HH:mm:ss} %p %c{1}: %m%n
"""

# Airflow imports a module of this name if there is one.
_PRELOAD = """\
from daybreak_local.preload import preload_for_tasks

preload_for_tasks()
__all__: list[str] = []
"""


def mlflow() -> None:
    """The MLflow server behind the same login as the embedded one, in this process."""
    import uvicorn

    from daybreak_local import tracking

    settings, database = Settings(), _needed("MLFLOW_DATABASE")
    password = _secret("DAYBREAK_MLFLOW_PASSWORD", settings.mlflow_password)
    os.environ.update(mlflow_environment(database))
    tracking.migrate(database)

    from mlflow.server.fastapi_app import app

    gate = tracking.Login(app, settings.mlflow_user, password)
    uvicorn.run(gate, host=EVERY_ADDRESS, port=MLFLOW_PORT, access_log=False, log_level="warning")


def mlflow_environment(database: str) -> dict[str, str]:
    """What MLflow's modules read when they are imported; artifacts are in the bucket `mlflow`."""
    from mlflow.server import constants

    return {
        constants.BACKEND_STORE_URI_ENV_VAR: database,
        constants.REGISTRY_STORE_URI_ENV_VAR: database,
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: "s3://mlflow",
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        constants.FLASK_SERVER_SECRET_KEY_ENV_VAR: _needed("MLFLOW_FLASK_KEY"),
    }


def mlflow_health() -> None:
    """Fails unless the MLflow server in this container answers behind its login."""
    import base64
    import urllib.request

    settings = Settings()
    password = _secret("DAYBREAK_MLFLOW_PASSWORD", settings.mlflow_password)
    login = base64.b64encode(f"{settings.mlflow_user}:{password}".encode()).decode()
    request = urllib.request.Request(f"http://127.0.0.1:{MLFLOW_PORT}/health")
    request.add_header("Authorization", f"Basic {login}")
    urllib.request.urlopen(request, timeout=4).close()  # noqa: S310 # the address is above


def spark_master() -> NoReturn:
    """The master of the standalone cluster, known to the others by its service's name."""
    master = ["org.apache.spark.deploy.master.Master", "--host", _needed("SPARK_MASTER_HOST")]
    # On by default, and takes jobs from anybody: it knows nothing of the shared secret.
    conf = _spark_conf({"spark.master.rest.enabled": "false"})
    _become([_spark("spark-class"), *master, "--port", str(MASTER_PORT)], conf)


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
    from jobs.engine import CONNECT_SERVER, static_conf

    return {
        **static_conf(settings),
        **CONNECT_SERVER,
        "spark.master": _master(),
        "spark.app.name": "daybreak",
        "spark.driver.host": _address(),
        "spark.driver.bindAddress": EVERY_ADDRESS,
        "spark.connect.grpc.binding.port": str(CONNECT_PORT),
        "spark.driver.extraJavaOptions": f"{' '.join(JAVA_OPTIONS)} -XX:+ExitOnOutOfMemoryError",
    }


def airflow_api_server() -> NoReturn:
    """Airflow's API server and UI, with the one user that the settings name."""
    settings = Settings()
    password = _secret("DAYBREAK_AIRFLOW_PASSWORD", settings.airflow_password)
    users = json.dumps({settings.airflow_user: password}) + "\n"
    config = _private({"passwords.json": users}) / "passwords.json"
    where = ["--host", EVERY_ADDRESS, "--port", str(AIRFLOW_PORT)]
    command = ["airflow", "api-server", *where, "--workers", "1"]
    _become(command, {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(config)})


def airflow_scheduler() -> NoReturn:
    """The scheduler, with the modules that tasks use imported once, as in the embedded one."""
    from daybreak_local.places import SERVICE_MARK

    folder = _private({"airflow_local_settings.py": _PRELOAD})
    marked = {"PYTHONPATH": str(folder), SERVICE_MARK: "airflow-scheduler"}
    _become(["airflow", "scheduler", "--skip-serve-logs"], marked)


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


def _secret(name: str, value: SecretStr | None) -> str:
    if value is None:
        raise Refused(f"{name} is not set.", "Run infra/docker/make-env, which writes .env.")
    return value.get_secret_value()


def _private(files: Mapping[str, str]) -> Path:
    """A new folder with these files, for this user's eyes only."""
    folder = Path(tempfile.mkdtemp(prefix="daybreak-"))
    for name, text in files.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def _spark_conf(conf: Mapping[str, str]) -> dict[str, str]:
    """The environment that makes Spark read `conf` and the secret its processes share."""
    shared = {
        "spark.authenticate": "true",
        "spark.authenticate.secret": _needed("SPARK_SECRET"),
    }
    lines = [f"{name} {value}\n" for name, value in {**conf, **shared}.items()]
    folder = _private({"spark-defaults.conf": "".join(lines), "log4j2.properties": _LOG4J})
    return {"SPARK_CONF_DIR": str(folder), "PYSPARK_PYTHON": sys.executable}


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
    os.execvp(command[0], command)  # noqa: S606 # to take its place is the purpose


SERVICES: dict[str, Callable[[], None]] = {
    "mlflow": mlflow,
    "mlflow-health": mlflow_health,
    "spark-master": spark_master,
    "spark-worker": spark_worker,
    "spark-connect": spark_connect,
    "airflow-api-server": airflow_api_server,
    "airflow-scheduler": airflow_scheduler,
    "migrate": migrate,
    "buckets": buckets,
}


def main(arguments: list[str]) -> int:
    """Exit code 0 done, 1 refused or failed, 2 wrong usage."""
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
