"""Bring the schemas of Airflow and of the warehouse to the installed versions.

MLflow brings its own when its server starts (see `tracking`).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import psycopg

from daybreak_local import orchestrator
from daybreak_local.keys import Keys
from daybreak_local.places import SERVICE_MARK, Places, write_private
from daybreak_local.postgres import superuser_conninfo
from daybreak_local.supervision import service_environment
from jobs.errors import Unavailable
from jobs.settings import Settings

_SECONDS = 300


def migrate_airflow(
    places: Places, settings: Settings, keys: Keys, say: Callable[[str], None]
) -> None:
    """Run `airflow db migrate`, unless this version did so on this database before.

    Raises:
        Unavailable: it fails, or takes over five minutes.
    """
    if _airflow_is_current(places, settings, keys):
        return
    say("Making Airflow's tables.")
    log = places.log_of("airflow-migrate")
    try:
        with log.open("w", encoding="utf-8") as output:
            subprocess.run(
                orchestrator.migrate_command(),
                env={
                    **service_environment(places),
                    **orchestrator.environment(places),
                    SERVICE_MARK: "airflow-migrate",
                },
                cwd=places.airflow,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=_SECONDS,
                check=True,
            )
    except subprocess.SubprocessError as error:
        raise Unavailable(
            "Airflow's tables could not be brought to its version.",
            f"See the last lines of {log}, then run `daybreak up` again.",
        ) from error
    write_private(_mark(places), json.dumps({"airflow": version("apache-airflow")}) + "\n")


def migrate_warehouse(settings: Settings, keys: Keys, say: Callable[[str], None]) -> None:
    """Make the warehouse's roles and bring its schema to the newest revision.

    Raises:
        Unavailable: Postgres does not answer.
    """
    from jobs.prediction import migrations

    say("Bringing the warehouse to its newest schema.")
    migrations.ensure_roles(superuser_conninfo(keys, settings.warehouse_port), settings)
    migrations.upgrade(settings)


def _airflow_is_current(places: Places, settings: Settings, keys: Keys) -> bool:
    try:
        done = json.loads(_mark(places).read_text(encoding="utf-8")).get("airflow")
    except (FileNotFoundError, ValueError, AttributeError):
        return False
    if done != version("apache-airflow"):
        return False
    # The mark outlives a data folder that somebody removed.
    conninfo = superuser_conninfo(keys, settings.warehouse_port, "airflow")
    with psycopg.connect(conninfo) as connection:
        row = connection.execute("SELECT to_regclass('public.dag_run') IS NOT NULL").fetchone()
    return bool(row and row[0])


def _mark(places: Places) -> Path:
    return places.airflow / "migrated.json"
