"""Secrets of the embedded services that no platform code needs, made once and kept (0600)."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import asdict, dataclass, fields

from daybreak_local.places import Places, write_private
from jobs.errors import Refused


@dataclass(frozen=True, repr=False)
class Keys:
    """Passwords of Postgres' roles for services, and Airflow's signing and encryption keys."""

    postgres_superuser: str
    airflow_database: str
    mlflow_database: str
    airflow_fernet: str
    airflow_jwt: str
    airflow_api: str
    mlflow_flask: str
    spark_rpc: str


def load_or_make(places: Places) -> Keys:
    """The keys of this home; made at first start.

    Raises:
        Refused: the file exists and is not what this module wrote.
    """
    if not places.keys.exists():
        keys = _make()
        write_private(places.keys, json.dumps(asdict(keys), indent=2) + "\n")
        return keys
    return load(places)


def load(places: Places) -> Keys:
    """The keys of a home that was started before.

    Raises:
        Refused: the file is missing, or is not what this module wrote.
    """
    try:
        return Keys(**json.loads(places.keys.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise Refused(
            f"No services were ever started in {places.home}.", "Run `daybreak up`."
        ) from error
    except (ValueError, TypeError) as error:
        raise Refused(
            f"{places.keys} is not readable as the keys of the embedded services.",
            "Restore the file; without it the databases of this home cannot be opened.",
        ) from error


def _make() -> Keys:
    # Fernet wants 32 bytes, and SHA-512 signatures want keys of 64; the rest is ample at 32.
    special = {
        "airflow_fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "airflow_jwt": secrets.token_urlsafe(64),
    }
    names = [field.name for field in fields(Keys)]
    return Keys(**{name: special.get(name) or secrets.token_urlsafe(32) for name in names})
