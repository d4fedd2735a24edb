"""`daybreak up` and `daybreak down`: all services of one home, started in order and healthy.

Every phase may be run again at any time: what is there already is left alone, so that a start
that was cut off, a power cut, or two starts at once all end in the same running stack.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from daybreak_local import orchestrator, postgres, processes, record
from daybreak_local.jars import MAVEN_CENTRAL, fetch_jars
from daybreak_local.java import require_java
from daybreak_local.keys import Keys, load, load_or_make
from daybreak_local.migrations import migrate_airflow, migrate_warehouse
from daybreak_local.places import Places
from daybreak_local.ports import choose
from daybreak_local.probes import SERVICES, ask
from daybreak_local.programs import programs
from daybreak_local.supervision import Supervisor
from daybreak_local.supervision import start as start_supervisord
from jobs.errors import Refused, Unavailable
from jobs.settings import Settings

Say = Callable[[str], None]

_HEALTHY_WITHIN = {"postgres": 120.0, "spark": 240.0, "mlflow": 240.0}
_AIRFLOW_HEALTHY_WITHIN = 300.0
_LOCK_SECONDS = 600.0
_STOP_SECONDS = 30.0
# A task that ends in time reports to the API server, and writes through Spark and MLflow.
_STOP_ORDER = (
    ("airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"),
    ("airflow-api", "mlflow", "spark"),
)


def up(
    home: Path,
    say: Say,
    ports: Mapping[str, int] | None = None,
    maven: str = MAVEN_CENTRAL,
) -> Settings:
    """Start every service of a home and wait until each is healthy.

    Args:
        home: folder of all state.
        say: takes one line of progress at a time.
        ports: a port for any of airflow, mlflow, postgres, spark; kept from then on.
        maven: repository the jars come from.

    Raises:
        Refused: Java is missing, a port is taken, or the home cannot be used.
        Unavailable: a service did not become healthy in its time.
    """
    require_java()
    places = Places(home.resolve())
    places.make()
    began = time.monotonic()
    with _one_at_a_time(places, say):
        settings, keys, supervisor = _supervised(places, say, dict(ports or {}), maven)
        if not _healthy(supervisor, settings, keys):
            _start_in_order(places, settings, keys, supervisor, say)
    say(f"All {len(SERVICES)} services are healthy ({time.monotonic() - began:.0f} s).")
    return settings


def down(home: Path, say: Say) -> None:
    """Stop every service of a home, and end what would not stop.

    Raises:
        Unavailable: a process of ours is still there after SIGKILL.
    """
    places = Places(home.resolve())
    if not places.run.is_dir():
        say(f"Nothing was ever started in {places.home}.")
        return
    began = time.monotonic()
    with _one_at_a_time(places, say):
        _stop(places, say)
    say(f"Nothing of {places.home} runs any more ({time.monotonic() - began:.0f} s).")


@contextmanager
def _one_at_a_time(places: Places, say: Say) -> Iterator[None]:
    """Hold the home's lock; the kernel frees it when its holder dies."""
    with places.lock.open("w") as file:
        until = time.monotonic() + _LOCK_SECONDS
        waiting = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waiting:
                    say("Another `daybreak up` or `down` is at work here; waiting for it.")
                    waiting = True
                if time.monotonic() > until:
                    raise Unavailable(
                        f"Another `daybreak up` or `down` holds {places.home} "
                        f"for over {_LOCK_SECONDS / 60:.0f} minutes.",
                        "End that process, then try again.",
                    ) from None
                time.sleep(0.2)
        yield


def _supervised(
    places: Places, say: Say, wanted: dict[str, int], maven: str
) -> tuple[Settings, Keys, Supervisor]:
    """The supervisord that runs, or a new one with the configuration written afresh."""
    supervisor = Supervisor(places)
    recorded = record.read(places.home)
    if recorded and supervisor.alive():
        _refuse_to_move(record.recorded_ports(recorded), wanted)
        return recorded, load(places), supervisor
    _clear_remains(places, say)
    settings = record.write(places.home, choose(record.recorded_ports(recorded), wanted, say))
    keys = load_or_make(places)
    fetch_jars(settings.jars or places.home / "jars", say, maven)
    for folder in (settings.lake, settings.landing):
        if "://" not in folder:
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    return settings, keys, start_supervisord(places, programs(places, settings, keys))


def _refuse_to_move(recorded: Mapping[str, int], wanted: Mapping[str, int]) -> None:
    moved = sorted(name for name, port in wanted.items() if recorded.get(name) != port)
    if moved:
        name = moved[0]
        raise Refused(
            f"{name} runs on port {recorded.get(name)} and cannot move to {wanted[name]} now.",
            "Run `daybreak down` first, then `daybreak up` with the new port.",
        )


def _clear_remains(places: Places, say: Say) -> None:
    """End what outlived a supervisord that was killed, and forget what a power cut left."""
    remains = processes.ours(places)
    if remains:
        say(f"Ending {len(remains)} processes that outlived their supervisor.")
        # In two steps: Postgres and Airflow end their own children when asked.
        left = processes.end(remains) + processes.ours(places)
        processes.kill(left)
    # Its process id may belong to somebody else by now, and Postgres would wait for them.
    (places.postgres_data / "postmaster.pid").unlink(missing_ok=True)


def _healthy(supervisor: Supervisor, settings: Settings, keys: Keys) -> bool:
    known = supervisor.services()
    return all(
        known[name]["statename"] == "RUNNING"
        and ask(name, settings, keys, _since(known[name]["start"])).healthy
        for name in SERVICES
    )


def _start_in_order(
    places: Places, settings: Settings, keys: Keys, supervisor: Supervisor, say: Say
) -> None:
    # Spark needs nothing of Postgres, so its slow JVM starts beside it.
    supervisor.start(["postgres", "spark"])
    _wait_for("postgres", places, settings, keys, supervisor, say)
    postgres.make_databases(keys, settings)
    supervisor.start(["mlflow"])
    migrate_airflow(places, settings, keys, say)
    supervisor.start(orchestrator.COMMANDS)
    migrate_warehouse(settings, keys, say)
    for name in SERVICES:
        if name != "postgres":
            _wait_for(name, places, settings, keys, supervisor, say)


def _wait_for(
    name: str, places: Places, settings: Settings, keys: Keys, supervisor: Supervisor, say: Say
) -> None:
    began = time.monotonic()
    limit = _HEALTHY_WITHIN.get(name, _AIRFLOW_HEALTHY_WITHIN)
    detail = "not started"
    while time.monotonic() - began < limit:
        info = supervisor.services()[name]
        if info["statename"] == "FATAL":
            raise _ill(places, name, "it ends as soon as it starts")
        if info["statename"] == "RUNNING":
            answer = ask(name, settings, keys, _since(info["start"]))
            if answer.healthy:
                say(f"{name} is healthy: {answer.detail} ({time.monotonic() - began:.1f} s).")
                return
            detail = answer.detail
        time.sleep(0.2)
    raise _ill(places, name, f"not healthy after {limit:.0f} seconds ({detail})")


def _ill(places: Places, name: str, why: str) -> Unavailable:
    return Unavailable(
        f"{name} did not start: {why}.",
        f"See the last lines of {places.log_of(name)}, then run `daybreak up` again.",
    )


def _since(epoch_seconds: int) -> datetime:
    return datetime.fromtimestamp(epoch_seconds, UTC)


def _stop(places: Places, say: Say) -> None:
    supervisor = Supervisor(places)
    if supervisor.alive():
        for wave in _STOP_ORDER:
            say(f"Stopping {', '.join(wave)}.")
            supervisor.stop(wave, _STOP_SECONDS)
        # A task that outlived Airflow still writes; Postgres stops after the last writer.
        processes.end(processes.strays(places))
        say("Stopping postgres.")
        supervisor.stop(["postgres"], _STOP_SECONDS)
        supervisor.shutdown()
        _await_end(supervisor)
    left = processes.end(processes.ours(places))
    if left:
        raise Unavailable(
            f"{len(left)} processes of {places.home} could not be ended: "
            f"{', '.join(str(process.pid) for process in left)}.",
            "See what they wait for (`ps`), and end them by hand.",
        )


def _await_end(supervisor: Supervisor) -> None:
    until = time.monotonic() + _STOP_SECONDS
    while supervisor.alive() and time.monotonic() < until:
        time.sleep(0.1)
