"""The MLflow server in one process, behind a login.

MLflow's own login app guards its routes one by one and needs packages this environment does
without. Here one gate stands before the whole application: no request passes without the
generated user name and password, whatever route it names.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from daybreak_local.keys import Keys, load
from daybreak_local.places import MARK, Places
from daybreak_local.record import recorded_ports, secret
from jobs.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Login:
    """An ASGI application that lets through who names the user and the password (RFC 7617)."""

    def __init__(self, application: Application, user: str, password: str) -> None:
        self._application = application
        self._expected = f"{user}:{password}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and self._knows(scope)):
            await self._application(scope, receive, send)
        elif scope["type"] == "http":
            await _ask_for_password(send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _knows(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        if len(given) != 1 or given[0][:6].lower() != b"basic ":
            return False
        try:
            said = base64.b64decode(given[0][6:].strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(said, self._expected)


async def _ask_for_password(send: Send) -> None:
    body = b"A user name and a password are needed; see settings.json.\n"
    headers = [
        (b"www-authenticate", b'Basic realm="Daybreak MLflow"'),
        (b"content-type", b"text/plain"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def environment(settings: Settings, places: Places, keys: Keys) -> dict[str, str]:
    """What MLflow's server modules read from their environment; holds secrets."""
    from mlflow.server import constants

    artifacts = places.mlflow / "artifacts"
    return {
        constants.BACKEND_STORE_URI_ENV_VAR: database_uri(settings, keys),
        constants.REGISTRY_STORE_URI_ENV_VAR: database_uri(settings, keys),
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: artifacts.as_uri(),
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        constants.FLASK_SERVER_SECRET_KEY_ENV_VAR: keys.mlflow_flask,
    }


def database_uri(settings: Settings, keys: Keys) -> str:
    """SQLAlchemy's URL of MLflow's database; it holds the password."""
    password = quote(keys.mlflow_database, safe="")
    return (
        f"postgresql+psycopg2://mlflow:{password}"
        f"@{settings.warehouse_host}:{settings.warehouse_port}/mlflow"
    )


# MLflow exports no function for this but a command, whose argument would show the password.
def migrate(uri: str) -> None:
    """Make the tables of an empty database, or bring older ones to this version's schema."""
    from mlflow.store.db import utils

    engine = utils.create_sqlalchemy_engine_with_retry(uri)  # type: ignore[no-untyped-call]
    try:
        complete = utils._all_tables_exist(engine)  # type: ignore[no-untyped-call]
        if not complete:
            utils._initialize_tables(engine)  # type: ignore[no-untyped-call]
        elif not _at_newest_revision(engine):
            utils._upgrade_db(engine)  # type: ignore[no-untyped-call]
    finally:
        engine.dispose()


def _at_newest_revision(engine: Engine) -> bool:
    from mlflow.store.db import utils

    found = utils._get_schema_version(engine)  # type: ignore[no-untyped-call]
    newest = utils._get_latest_schema_revision()  # type: ignore[no-untyped-call]
    return bool(found == newest)


def main() -> None:
    """`python -m daybreak_local.tracking`: serve the home that the environment names."""
    import uvicorn

    places = Places(Path(os.environ[MARK]))
    settings, keys = Settings(), load(places)
    (places.mlflow / "artifacts").mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ.update(environment(settings, places, keys))
    logging.getLogger("alembic").setLevel(logging.WARNING)
    migrate(database_uri(settings, keys))

    from mlflow.server.fastapi_app import app

    gate = Login(app, settings.mlflow_user, secret(settings.mlflow_password))
    port = recorded_ports(settings)["mlflow"]
    uvicorn.run(gate, host="127.0.0.1", port=port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
