"""A client of Airflow's REST API: what the command line asks of a running Airflow."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from jobs.errors import DaybreakError, Refused, Unavailable
from jobs.plan import Dates
from jobs.settings import Settings

Say = Callable[[str], None]

# Of a task that waits for what a person answers.
ASKING = "awaiting_input"
FINISHED = ("success", "failed")
# A fresh Airflow reads its DAG files within a minute.
PARSED_WITHIN_SECONDS = 60.0
# Airflow looks every 30 s for backfills that have nothing left to run.
CLOSED_WITHIN_SECONDS = 60.0
POLL_SECONDS = 1.0
# Dates of a backfill that are under way at a time.
AT_ONCE = 2
# While something waits for a run, its supervisor may have to restart the API server.
RESTARTED_WITHIN_SECONDS = 90.0
STATUS = "Run `daybreak status`."


@dataclass(frozen=True)
class Run:
    """One run of a DAG.

    Attributes:
        date: its partition key, `yyyy-mm-dd`, if it has one.
        state: `queued`, `running`, `success` or `failed`.
        seconds: how long it ran, if it has ended.
    """

    dag: str
    run_id: str
    date: str | None
    state: str
    seconds: float | None


@dataclass(frozen=True)
class Task:
    """One task of a run; `attempt` counts from 1 and is 0 before it started."""

    name: str
    state: str
    attempt: int
    seconds: float | None

    def __str__(self) -> str:
        took = f", {self.seconds:.1f} s" if self.seconds is not None else ""
        again = f", attempt {self.attempt}" if self.attempt > 1 else ""
        return f"{self.name}: {self.state}{again}{took}"


@dataclass(frozen=True)
class AirflowApi:
    """A signed-in client; make one with `connect`."""

    http: httpx.Client

    def ready(self, dag: str, within: float = PARSED_WITHIN_SECONDS) -> None:
        """Wait until Airflow knows a DAG.

        Raises:
            Refused: it does not in `within` seconds; the sentence has Airflow's own reasons.
        """
        if not _until(lambda: self._knows(dag), within):
            reasons = " ".join(self.import_errors())
            raise Refused(f"Airflow has no DAG {dag}. {reasons}".rstrip(), STATUS)

    def unpause(self, dag: str) -> None:
        """Let a DAG run on its schedule, and let what is queued for it start."""
        self._call("PATCH", f"/dags/{dag}", json={"is_paused": False})

    def trigger(
        self, dag: str, params: Mapping[str, Any] | None = None, date: dt.date | None = None
    ) -> str:
        """Start a run, with fields of the DAG's form and a partition key; gives its run id."""
        body = {
            "logical_date": None,
            "conf": dict(params or {}),
            "partition_key": str(date) if date else None,
        }
        return str(self._call("POST", f"/dags/{dag}/dagRuns", json=body)["dag_run_id"])

    def unfinished(self, dag: str, params: Mapping[str, Any]) -> str | None:
        """The run with these fields of the DAG's form that has not ended, if there is one."""
        query = {"state": ["queued", "running"], "order_by": "-run_after"}
        runs = self._every(f"/dags/{dag}/dagRuns", "dag_runs", query)
        return next((each["dag_run_id"] for each in runs if each["conf"] == dict(params)), None)

    def unfinished_backfill(self, dag: str) -> int | None:
        """The backfill of a DAG that is under way; Airflow allows one at a time.

        One that somebody has paused would never end.
        """
        found = self._every("/backfills", "backfills", {"dag_id": dag})
        under_way = (each for each in found if not each["completed_at"] and not each["is_paused"])
        return next((int(each["id"]) for each in under_way), None)

    def closed(self, dag: str, within: float = CLOSED_WITHIN_SECONDS) -> bool:
        """Wait until no backfill of a DAG is under way; False if one still is after `within`."""
        return _until(lambda: self.unfinished_backfill(dag) is None, within)

    def backfill(self, dag: str, dates: Dates) -> int:
        """Run a range of past dates by Airflow's backfill; gives its id.

        Two dates are under way at a time: while one waits for Airflow to start its next task, the
        other computes (seen: 22 instead of 30 s a night). They take turns on the lake by its lock.
        Dates that are under way are left out; those whose newest run has ended run again.
        An earlier backfill whose runs have ended is waited for until Airflow has closed it.
        """
        self.closed(dag)
        # Airflow takes the clock time of both ends as local, and both as inclusive moments.
        body = {
            "dag_id": dag,
            "from_date": f"{dates.first}T00:00:00Z",
            "to_date": f"{dates.last}T23:59:59Z",
            "max_active_runs": AT_ONCE,
            "reprocess_behavior": "completed",
        }
        return int(self._call("POST", "/backfills", json=body)["id"])

    def runs(self, dag: str, limit: int = 100) -> list[Run]:
        """The newest runs of a DAG, newest first."""
        query = {"limit": limit, "order_by": "-run_after"}
        return [_run(each) for each in self._get(f"/dags/{dag}/dagRuns", query)["dag_runs"]]

    def run(self, dag: str, run_id: str) -> Run:
        """One run as it is now."""
        return _run(self._get(f"/dags/{dag}/dagRuns/{run_id}"))

    def tasks(self, dag: str, run_id: str) -> list[Task]:
        """The tasks of a run as they are now, in the order they started."""
        found = self._get(f"/dags/{dag}/dagRuns/{run_id}/taskInstances")
        instances = sorted(found["task_instances"], key=lambda each: each["start_date"] or "~")
        return [
            Task(each["task_id"], each["state"] or "none", each["try_number"], each["duration"])
            for each in instances
        ]

    def wait(self, dag: str, run_id: str, say: Say) -> Run:
        """Wait for a run to end, and say each task's state as it changes.

        A run that asks a person is not waited for, and is given as it is, running.

        Raises:
            Refused: it has not begun, because one before it asks a person.
        """
        said: dict[str, str] = {}
        while True:
            run, tasks = self.run(dag, run_id), self.tasks(dag, run_id)
            for task in tasks:
                if task.state != "none" and said.get(task.name) != task.state:
                    said[task.name] = task.state
                    say(str(task))
            if run.state in FINISHED or any(task.state == ASKING for task in tasks):
                return run
            if run.state == "queued" and (asking := self._asking(dag)) is not None:
                raise Refused(
                    f"{run_id} of {dag} has not begun: {asking} comes first, and waits for a "
                    "person's answer.",
                    f"Answer on {self.page(dag, asking)}; the other then begins by itself.",
                )
            time.sleep(POLL_SECONDS)

    def page(self, dag: str, run_id: str) -> str:
        """The address of a run in Airflow's UI."""
        return f"{str(self.http.base_url).rstrip('/')}/dags/{dag}/runs/{run_id}"

    def _asking(self, dag: str) -> str | None:
        """The run of a DAG that waits for what a person answers, if there is one."""
        running = self._every(f"/dags/{dag}/dagRuns", "dag_runs", {"state": ["running"]})
        names = (str(each["dag_run_id"]) for each in running)
        return next((n for n in names if any(t.state == ASKING for t in self.tasks(dag, n))), None)

    def wait_backfill(self, dag: str, backfill: int, dates: Dates, say: Say) -> list[Run]:
        """Wait for a backfill's runs to end, say each as it ends, and give them by date.

        Airflow made all of them when it took the backfill. It closes the backfill itself up to half
        a minute after the last one, which is not waited for.
        """
        said: set[str] = set()
        while True:
            found = self._get(f"/backfills/{backfill}")
            runs = self._backfilled(dag, dates, since=found["created_at"])
            for run in runs:
                if run.state in FINISHED and run.run_id not in said:
                    said.add(run.run_id)
                    say(f"{run.date}: {run.state}, {run.seconds or 0:.0f} s")
            if (runs or found["completed_at"]) and all(run.state in FINISHED for run in runs):
                return runs
            time.sleep(POLL_SECONDS)

    def task_log(self, dag: str, run_id: str, task: Task, lines: int = 20) -> list[str]:
        """The last lines of a task's newest attempt, an error's own sentence among them."""
        path = f"/dags/{dag}/dagRuns/{run_id}/taskInstances/{task.name}/logs/{task.attempt}"
        found = self._get(path, {"full_content": True})
        return [line for each in found["content"] for line in _lines(each)][-lines:]

    def failures(self, dag: str, run_id: str) -> list[str]:
        """One sentence for every task of a run that failed by itself."""
        failed = [task for task in self.tasks(dag, run_id) if task.state == "failed"]
        return [f"{task.name}: {self._sentence(dag, run_id, task)}" for task in failed]

    def import_errors(self) -> list[str]:
        """Why DAG files cannot be read: the last line of each error."""
        found = self._get("/importErrors")["import_errors"]
        return [each["stack_trace"].strip().splitlines()[-1] for each in found]

    def _knows(self, dag: str) -> bool:
        return self.http.get(f"/api/v2/dags/{dag}").status_code == httpx.codes.OK

    def _backfilled(self, dag: str, dates: Dates, since: str) -> list[Run]:
        """The runs that a backfill made; those of an earlier one were queued before `since`."""
        query = {
            "partition_date_gte": str(dates.first),
            "partition_date_lte": str(dates.last),
            "run_type": "backfill",
            "order_by": "run_after",
        }
        began = dt.datetime.fromisoformat(since)
        return [
            _run(each)
            for each in self._every(f"/dags/{dag}/dagRuns", "dag_runs", query)
            if dt.datetime.fromisoformat(each["queued_at"]) >= began
        ]

    def _every(self, path: str, name: str, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """All entries of a list, page by page; Airflow gives no more than 100 at a time."""
        offset = 0
        while page := self._get(path, {**query, "limit": 100, "offset": offset})[name]:
            yield from page
            offset += len(page)

    def _sentence(self, dag: str, run_id: str, task: Task) -> str:
        errors = [line for line in self.task_log(dag, run_id, task) if _ERROR in line]
        return errors[-1].removeprefix(_ERROR).partition("\n")[0] if errors else "see its log."

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        patience = Retrying(
            retry=retry_if_exception_type(Unavailable),
            stop=stop_after_delay(RESTARTED_WITHIN_SECONDS),
            wait=wait_fixed(POLL_SECONDS),
            reraise=True,
        )
        return patience(self._call, "GET", path, params=query)

    def _call(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        try:
            answer = self.http.request(method, f"/api/v2{path}", **kwargs)
        except httpx.TransportError as error:
            raise _unreachable(self.http.base_url) from error
        if answer.is_error:
            raise _error(answer)
        found: dict[str, Any] = answer.json()
        return found


@contextmanager
def connect(settings: Settings) -> Iterator[AirflowApi]:
    """Sign in to Airflow.

    Raises:
        Refused: no address or password is known, or Airflow does not take them.
        Unavailable: Airflow does not answer.
    """
    if not settings.airflow_url or settings.airflow_password is None:
        raise Refused("No Airflow is set up here.", "Run `daybreak up`, or set DAYBREAK_AIRFLOW_*.")
    login = {
        "username": settings.airflow_user,
        "password": settings.airflow_password.get_secret_value(),
    }
    # Airflow is on this machine or in the same network: proxies of the environment are not asked.
    with httpx.Client(base_url=settings.airflow_url, timeout=30, trust_env=False) as http:
        try:
            answer = http.post("/auth/token", json=login)
        except httpx.TransportError as error:
            raise _unreachable(http.base_url) from error
        if answer.is_error:
            raise _error(answer)
        http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield AirflowApi(http)


_ERROR = "error: "


def _until(done: Callable[[], bool], within: float) -> bool:
    """Wait for something; False if it has not come about in `within` seconds."""
    give_up = time.monotonic() + within
    while not done():
        if time.monotonic() > give_up:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _run(found: Mapping[str, Any]) -> Run:
    return Run(
        dag=found["dag_id"],
        run_id=found["dag_run_id"],
        date=found["partition_key"],
        state=found["state"],
        seconds=found["duration"],
    )


def _lines(entry: Mapping[str, Any] | str) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
        return
    # What only folds the page of a log says nothing in a terminal.
    if not entry["event"].startswith(("::group::", "::endgroup::")):
        yield str(entry["event"])
    for detail in entry.get("error_detail") or ():
        yield f"{_ERROR}{detail['exc_value']}"


def _error(answer: httpx.Response) -> DaybreakError:
    try:
        detail = answer.json().get("detail", "")
    except ValueError:
        detail = answer.text[:200]
    reason = str(detail).partition("\n")[0].rstrip(".")
    sentence = f"Airflow answered {answer.status_code} to {answer.request.url.path}: {reason}."
    kind = Unavailable if answer.is_server_error else Refused
    return kind(sentence, STATUS)


def _unreachable(address: httpx.URL) -> Unavailable:
    return Unavailable(f"Airflow at {address} does not answer.", STATUS)
