"""The Spark Connect server: a JVM that stays warm, so that no nightly step pays for its start."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from daybreak_local.keys import Keys
from daybreak_local.places import Places, write_private
from daybreak_local.record import secret
from jobs.engine import CONNECT_SERVER, JAVA_OPTIONS, local_conf, static_conf
from jobs.errors import Refused
from jobs.settings import Settings

_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"

_LOG4J = """\
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{yyyy-MM-dd HH:mm:ss} %p %c{1}: %m%n
# One line for the people who look whether it is up.
logger.connect.name = org.apache.spark.sql.connect.service.SparkConnectServer
logger.connect.level = info
"""


def prepare(places: Places, settings: Settings, keys: Keys, port: int) -> None:
    """Write the server's configuration (0600: it holds the token) and its folders.

    Raises:
        Refused: a jar is missing.
    """
    folder = conf_folder(places)
    for made in (folder, places.spark / "scratch", places.spark / "tmp"):
        made.mkdir(mode=0o700, exist_ok=True)
    lines = [f"{name} {value}" for name, value in _conf(places, settings, keys, port).items()]
    write_private(folder / "spark-defaults.conf", "\n".join(lines) + "\n")
    write_private(folder / "log4j2.properties", _LOG4J)


def command() -> list[str]:
    """The server in the foreground. No secret is on the command line."""
    return [str(_spark_home() / "bin" / "spark-submit"), "--class", _SERVER, "spark-internal"]


def environment(places: Places) -> dict[str, str]:
    """Where Spark finds its configuration and keeps its scratch files."""
    return {
        "SPARK_HOME": str(_spark_home()),
        "SPARK_CONF_DIR": str(conf_folder(places)),
        "SPARK_LOCAL_DIRS": str(places.spark / "scratch"),
        # Python workers must import what the steps import.
        "PYSPARK_PYTHON": sys.executable,
    }


def conf_folder(places: Places) -> Path:
    """The folder of `spark-defaults.conf`."""
    return places.spark / "conf"


def _conf(places: Places, settings: Settings, keys: Keys, port: int) -> dict[str, str]:
    java = [
        *JAVA_OPTIONS,
        # After an OutOfMemoryError a JVM may limp on; a new one is better.
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        f"-Djava.io.tmpdir={places.spark / 'tmp'}",
    ]
    return {
        **static_conf(settings),
        **local_conf(settings),
        **CONNECT_SERVER,
        "spark.master": "local[*]",
        "spark.app.name": "daybreak",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.connect.authenticate.token": secret(settings.spark_token),
        # The driver's own block and RPC ports are on loopback too, where others may be logged in.
        "spark.authenticate": "true",
        "spark.authenticate.secret": keys.spark_rpc,
        "spark.driver.extraJavaOptions": " ".join(java),
    }


def _spark_home() -> Path:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise Refused("The package pyspark is not installed.", "Install the project: `uv sync`.")
    return Path(spec.origin).parent
