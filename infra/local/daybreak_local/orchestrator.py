"""Airflow's configuration and commands: four services that share one `airflow.cfg`."""

from __future__ import annotations

import configparser
import io
import json
import sys
from pathlib import Path
from urllib.parse import quote

from daybreak_local.keys import Keys
from daybreak_local.places import Places, write_private
from daybreak_local.record import recorded_ports, secret
from jobs.settings import PROJECT, Settings

# Airflow's log servers listen on every address; the API server reads the same disk instead.
COMMANDS = {
    "airflow-api": ["api-server"],
    "airflow-scheduler": ["scheduler", "--skip-serve-logs"],
    "airflow-dag-processor": ["dag-processor"],
    "airflow-triggerer": ["triggerer", "--skip-serve-logs"],
}

# Tasks are forked from the scheduler's workers: what the scheduler has imported costs them nothing.
_LOCAL_SETTINGS = """\
# Written by `daybreak up`. Airflow imports this in each of its processes.
from daybreak_local.preload import preload_for_tasks

preload_for_tasks()
__all__: list[str] = []
"""


def command(service: str) -> list[str]:
    """One of Airflow's services in the foreground."""
    return [sys.executable, "-m", "airflow", *COMMANDS[service]]


def migrate_command() -> list[str]:
    """Make Airflow's tables, or bring them to the installed version."""
    return [sys.executable, "-m", "airflow", "db", "migrate"]


def environment(places: Places) -> dict[str, str]:
    """All that Airflow needs: where its configuration is."""
    return {"AIRFLOW_HOME": str(places.airflow)}


def prepare(places: Places, settings: Settings, keys: Keys, project: Path = PROJECT) -> None:
    """Write `airflow.cfg`, the admin's password and the local settings, all 0600."""
    (places.airflow / "config").mkdir(mode=0o700, exist_ok=True)
    write_private(places.airflow / "airflow.cfg", _rendered(places, settings, keys, project))
    passwords = {settings.airflow_user: secret(settings.airflow_password)}
    write_private(_passwords_file(places), json.dumps(passwords) + "\n")
    write_private(places.airflow / "config" / "airflow_local_settings.py", _LOCAL_SETTINGS)


def database_uri(settings: Settings, keys: Keys) -> str:
    """SQLAlchemy's URL of Airflow's database; it holds the password."""
    password = quote(keys.airflow_database, safe="")
    return (
        f"postgresql+psycopg2://airflow:{password}"
        f"@{settings.warehouse_host}:{settings.warehouse_port}/airflow"
    )


def _rendered(places: Places, settings: Settings, keys: Keys, project: Path) -> str:
    sections = {
        **_core(places, settings, keys, project),
        **_services(places, settings, keys),
        **_pace(),
    }
    parser = configparser.RawConfigParser()
    # Airflow interpolates, so a per cent sign in a path must be doubled.
    parser.read_dict(
        {
            section: {name: value.replace("%", "%%") for name, value in options.items()}
            for section, options in sections.items()
        }
    )
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def _core(
    places: Places, settings: Settings, keys: Keys, project: Path
) -> dict[str, dict[str, str]]:
    port = recorded_ports(settings)["airflow"]
    return {
        "core": {
            "dags_folder": str(project / "dags"),
            "plugins_folder": str(project / "plugins"),
            "executor": "LocalExecutor",
            "parallelism": "4",
            "load_examples": "False",
            "fernet_key": keys.airflow_fernet,
            "simple_auth_manager_users": f"{settings.airflow_user}:admin",
            "simple_auth_manager_passwords_file": str(_passwords_file(places)),
            "execution_api_server_url": f"http://127.0.0.1:{port}/execution/",
            # The default asks DNS for a full name, which a laptop between networks waits for.
            "hostname_callable": "socket.gethostname",
            "min_serialized_dag_update_interval": "5",
        },
        "database": {"sql_alchemy_conn": database_uri(settings, keys)},
    }


def _services(places: Places, settings: Settings, keys: Keys) -> dict[str, dict[str, str]]:
    logs = places.logs / "airflow"
    return {
        "api": {
            "host": "127.0.0.1",
            "port": str(recorded_ports(settings)["airflow"]),
            "base_url": settings.airflow_url,
            "workers": "1",
            "secret_key": keys.airflow_api,
        },
        "api_auth": {"jwt_secret": keys.airflow_jwt, "jwt_issuer": "daybreak"},
        "logging": {
            "base_log_folder": str(logs),
            "dag_processor_child_process_log_directory": str(logs / "dag_processor"),
            "colored_console_log": "False",
        },
    }


def _pace() -> dict[str, dict[str, str]]:
    """Intervals in seconds: short gaps between tasks, and a dead process noticed in a minute."""
    return {
        "scheduler": {
            "scheduler_heartbeat_sec": "1",
            "scheduler_idle_sleep_time": "0.25",
            "orphaned_tasks_check_interval": "30",
            "task_instance_heartbeat_timeout": "60",
        },
        "dag_processor": {
            "refresh_interval": "10",
            "bundle_refresh_check_interval": "2",
            "min_file_process_interval": "30",
            "parsing_processes": "1",
        },
        # Two busy cores answer late; a task must not die of it.
        "workers": {"execution_api_timeout": "30"},
    }


def _passwords_file(places: Places) -> Path:
    return places.airflow / "passwords.json"
