"""The seven services as supervisord runs them, with their configuration written."""

from __future__ import annotations

import sys

from daybreak_local import orchestrator, postgres, spark
from daybreak_local.keys import Keys
from daybreak_local.places import Places
from daybreak_local.record import recorded_ports
from daybreak_local.supervision import Program
from jobs.settings import Settings


def programs(places: Places, settings: Settings, keys: Keys) -> list[Program]:
    """Write every service's configuration and say how each is run.

    Raises:
        Refused: the home cannot be used for Postgres, or a jar is missing.
    """
    ports = recorded_ports(settings)
    server = postgres.prepare(places, keys, ports["postgres"])
    spark.prepare(places, settings, keys, ports["spark"])
    orchestrator.prepare(places, settings, keys)
    return [
        Program(
            "postgres",
            server.command(),
            places.postgres,
            user=server.user,
            # Its user may not be able to read this Python; and Postgres clears up by itself.
            cleared=False,
            stop_signal="INT",
            stop_seconds=30,
        ),
        Program("spark", spark.command(), places.spark, spark.environment(places)),
        Program("mlflow", [sys.executable, "-m", "daybreak_local.tracking"], places.mlflow),
        *(_airflow(places, name) for name in orchestrator.COMMANDS),
    ]


def _airflow(places: Places, name: str) -> Program:
    return Program(
        name,
        orchestrator.command(name),
        places.airflow,
        orchestrator.environment(places),
        # The API server keeps nothing, and only its interpreter's end takes long.
        stop_seconds=4 if name == "airflow-api" else 10,
    )
