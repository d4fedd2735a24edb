"""`settings.json`: what this home's services are called, where they listen, and their passwords.

The rest of the platform reads it through `jobs.settings.Settings`. Addresses and passwords are
kept from the first start on; paths and sizes may be changed by the environment at any start.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from daybreak_local.places import write_private
from jobs.errors import Refused
from jobs.settings import Settings, settings_file

_TUNABLE = ("landing", "lake", "usecases", "spark_memory", "spark_workers", "jars", "s3_endpoint")
# Of the warehouse's roles, which take theirs anew at every start.
_ROLES = ("owner_password", "publisher_password", "reader_password", "labeller_password")
_PASSWORDS = ("spark_token", "mlflow_password", *_ROLES, "airflow_password")


class _FromEnvironment(Settings):
    """What the environment alone says, without any other home's file."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings


def read(home: Path) -> Settings | None:
    """The settings recorded in a home; None before its first start.

    Raises:
        Refused: the file is there and does not hold settings.
    """
    path = settings_file(home)
    if not path.exists():
        return None
    try:
        recorded = _FromEnvironment(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise Refused(
            f"{path} does not hold valid settings: {_first_line(error)}.",
            "Correct the file by hand; it holds the passwords of this home's services.",
        ) from error
    return Settings(**recorded.model_dump())


def recorded_ports(settings: Settings | None) -> dict[str, int]:
    """The port of each service, by the addresses that were recorded."""
    if settings is None:
        return {}
    addresses = {
        "airflow": settings.airflow_url,
        "mlflow": settings.mlflow_url,
        "spark": settings.spark,
    }
    ports = {name: urlparse(address).port for name, address in addresses.items()}
    known = {name: port for name, port in ports.items() if port is not None}
    return {**known, "postgres": settings.warehouse_port}


def secret(value: SecretStr | None) -> str:
    """A recorded password.

    Raises:
        Refused: somebody took it out of `settings.json`.
    """
    if value is None:
        raise Refused(
            "A password of the embedded services is missing in settings.json.",
            "Restore the file, or remove the whole home and run `daybreak up`.",
        )
    return value.get_secret_value()


def write(home: Path, ports: Mapping[str, int]) -> Settings:
    """Record addresses, and what is not recorded yet, and return the whole.

    Raises:
        Refused: a `DAYBREAK_*` variable has a value that does not fit.
    """
    before = read(home)
    kept: dict[str, Any] = before.model_dump() if before else _made(_PASSWORDS)
    # A home of an older version has none of a newer role.
    kept |= _made([name for name in _ROLES if kept[name] is None])
    settings = _FromEnvironment(
        **{
            **kept,
            **_tuned_by_environment(),
            "home": home,
            "spark": f"connect://localhost:{ports['spark']}",
            "mlflow_url": f"http://localhost:{ports['mlflow']}",
            "airflow_url": f"http://localhost:{ports['airflow']}",
            "warehouse_host": "127.0.0.1",
            "warehouse_port": ports["postgres"],
        }
    )
    write_private(settings_file(home), json.dumps(_revealed(settings), indent=2) + "\n")
    return Settings(**settings.model_dump())


def _tuned_by_environment() -> dict[str, Any]:
    try:
        said = _FromEnvironment()
    except ValidationError as error:
        raise Refused(
            f"A DAYBREAK_* environment variable does not fit: {_first_line(error)}.",
            "Correct or unset it, then run `daybreak up` again.",
        ) from error
    named = said.model_fields_set & set(_TUNABLE)
    return {name: getattr(said, name) for name in sorted(named)}


def _made(names: Iterable[str]) -> dict[str, Any]:
    return {name: SecretStr(secrets.token_urlsafe(24)) for name in names}


def _revealed(settings: Settings) -> dict[str, Any]:
    return {
        name: value.get_secret_value()
        if isinstance(value, SecretStr)
        else (str(value) if isinstance(value, Path) else value)
        for name, value in settings.model_dump().items()
    }


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error).splitlines()[0]
