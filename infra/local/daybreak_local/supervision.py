"""One supervisord over all services: its configuration, its start, and how it is spoken to."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport

from daybreak_local.places import MARK, SERVICE_MARK, Places, write_private
from jobs.errors import Unavailable

_START_SECONDS = 20.0
# supervisord restarts by itself, so it may have done what we ask for a moment ago.
_AS_WANTED = (Faults.ALREADY_STARTED, Faults.NOT_RUNNING)

# What services need of the caller's environment; the rest (a shell's AIRFLOW__…, say) stays out.
_PASSED = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR", "JAVA_HOME"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"),
)


@dataclass(frozen=True)
class Program:
    """A service as supervisord runs it.

    Attributes:
        cleared: what its last life left behind is ended before each start (see `launch`).
        stop_seconds: how long it may take to end by itself after `stop_signal`.
    """

    name: str
    command: list[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    cleared: bool = True
    stop_signal: str = "TERM"
    stop_seconds: int = 10


class Supervisor:
    """Speaks to the supervisord of one home over its private socket."""

    def __init__(self, places: Places) -> None:
        self._places = places
        transport = SupervisorTransport(None, None, f"unix://{places.socket}")
        self._rpc = xmlrpc.client.ServerProxy("http://localhost", transport=transport)

    def alive(self) -> bool:
        """Whether a supervisord answers."""
        try:
            self._call("getState")
        except Unavailable:
            return False
        return True

    def services(self) -> dict[str, dict[str, Any]]:
        """What supervisord knows of each service: statename, pid, start (epoch seconds)…

        Raises:
            Unavailable: no supervisord answers.
        """
        return {str(info["name"]): info for info in self._call("getAllProcessInfo")}

    def start(self, names: Iterable[str]) -> None:
        """Start those of the services that do not run; does not wait.

        Raises:
            Unavailable: no supervisord answers.
        """
        known = self.services()
        for name in names:
            if known[name]["statename"] in ("STOPPED", "EXITED", "FATAL"):
                self._call("startProcess", name, False)

    def stop(self, names: Iterable[str], seconds: float) -> None:
        """Stop services at the same time, and wait for them up to `seconds`.

        Raises:
            Unavailable: no supervisord answers.
        """
        stopping = list(names)
        for name in stopping:
            if self.services()[name]["statename"] in ("STARTING", "RUNNING", "BACKOFF"):
                self._call("stopProcess", name, False)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            known = self.services()
            if all(not known[name]["pid"] for name in stopping):
                return
            time.sleep(0.1)

    def shutdown(self) -> None:
        """Ask supervisord to stop what is left and end.

        Raises:
            Unavailable: no supervisord answers.
        """
        self._call("shutdown")

    def _call(self, method: str, *arguments: object) -> Any:
        try:
            return getattr(self._rpc.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as error:
            if error.faultCode in _AS_WANTED:
                return None
            raise Unavailable(
                f"The supervisor of {self._places.home} will not {method}"
                f"{''.join(f' {argument}' for argument in arguments[:1])}: {error.faultString}.",
                f"See {self._places.log_of('supervisord')}.",
            ) from error
        except (OSError, HTTPException, xmlrpc.client.Error) as error:
            raise Unavailable(
                f"The supervisor of {self._places.home} does not answer.", "Run `daybreak up`."
            ) from error


def start(places: Places, programs: Iterable[Program]) -> Supervisor:
    """Write the configuration (0600) and start supervisord, with no service started yet.

    Raises:
        Unavailable: it does not answer within twenty seconds.
    """
    write_private(places.supervisord_conf, _rendered(places, programs))
    places.socket.unlink(missing_ok=True)
    places.supervisord_pid.unlink(missing_ok=True)
    log = places.log_of("supervisord")
    with (places.logs / "supervisord.start.log").open("w", encoding="utf-8") as output:
        subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(places.supervisord_conf)],
            env=service_environment(places),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=places.run,
            start_new_session=True,
            timeout=_START_SECONDS,
            check=False,
        )
    supervisor = Supervisor(places)
    until = time.monotonic() + _START_SECONDS
    while not supervisor.alive():
        if time.monotonic() > until:
            raise Unavailable(
                f"supervisord did not start in {_START_SECONDS:.0f} seconds.",
                f"See {log} and {output.name}.",
            )
        time.sleep(0.05)
    return supervisor


def service_environment(places: Places) -> dict[str, str]:
    """What every service inherits: the home, and nothing of the caller's that could confuse it."""
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    cloud = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    local = "localhost,127.0.0.1"
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY"), os.environ.get("no_proxy"), local]))
    return {
        "LANG": "C.UTF-8",
        **passed,
        **cloud,
        "NO_PROXY": direct,
        "no_proxy": direct,
        "DAYBREAK_HOME": str(places.home),
        MARK: str(places.home),
        "PYTHONUNBUFFERED": "1",
        # glibc keeps an arena for each thread, which doubles the size of threaded Python.
        "MALLOC_ARENA_MAX": "2",
        # A process that renames itself would else overwrite the environment we know it by.
        "SPT_NOENV": "1",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GX_ANALYTICS_ENABLED": "false",
    }


def _rendered(places: Places, programs: Iterable[Program]) -> str:
    root = ["user=root"] if os.geteuid() == 0 else []
    head = [
        "; Written by `daybreak up`; changes are lost.",
        "[supervisord]",
        f"logfile={_escaped(places.log_of('supervisord'))}",
        "logfile_maxbytes=5MB",
        "logfile_backups=2",
        "loglevel=info",
        f"pidfile={_escaped(places.supervisord_pid)}",
        f"directory={_escaped(places.run)}",
        "umask=077",
        *root,
        "",
        "[unix_http_server]",
        f"file={_escaped(places.socket)}",
        "chmod=0600",
        "",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "",
    ]
    return "\n".join([*head, *(_section(places, program) for program in programs)])


def _section(places: Places, program: Program) -> str:
    launcher = [sys.executable, "-m", "daybreak_local.launch"] if program.cleared else []
    environment = {**program.environment, SERVICE_MARK: program.name}
    lines = [
        f"[program:{program.name}]",
        f"command={_escaped(shlex.join([*launcher, *program.command]))}",
        f"directory={_escaped(program.folder)}",
        f"environment={_quoted(environment)}",
        *([f"user={program.user}"] if program.user else []),
        "autostart=false",
        "autorestart=true",
        "startsecs=1",
        "startretries=20",
        f"stopsignal={program.stop_signal}",
        f"stopwaitsecs={program.stop_seconds}",
        # Each ends its own children in order; a signal to all of them would cut that short.
        "stopasgroup=false",
        "killasgroup=true",
        "redirect_stderr=true",
        # supervisord expands this one value twice.
        f"stdout_logfile={_escaped(_escaped(places.log_of(program.name)))}",
        "stdout_logfile_maxbytes=10MB",
        "stdout_logfile_backups=3",
        "",
    ]
    return "\n".join(lines)


def _quoted(environment: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in environment.items())


def _escaped(value: object) -> str:
    return str(value).replace("%", "%%")
