"""Runs and model versions in MLflow; the one place that moves the alias `champion`.

Experiment and registered model bear the use case's name. Nothing here uses MLflow's model
loaders, which would run code named by the model.
"""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.errors import Refused, Unavailable
from jobs.learning.model import INDEX, Model, opened, sha256
from jobs.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, PREVIOUS = "champion", "previous"
DIGEST = "daybreak.sha256"
# Runs that answer a question and are never promoted, and what was decided on the others.
WHAT_IF, DECISION, REASON = "daybreak.what_if", "daybreak.decision", "daybreak.reason"
# Of a version that was decided on: the champion it was compared with, and on which days.
AGAINST, FIRST, LAST = "daybreak.against", "daybreak.judged_first", "daybreak.judged_last"
# Why a person took a version down, which no step puts up again.
DEMOTED = "daybreak.demoted"
# Names the process that trains, by which another one sees whether it still goes on.
ATTEMPT = "daybreak.attempt"
FOLDER = "candidates"
# The evaluation for people, at the top of a run's artifacts.
PAGE = "report.html"
# Seconds for one request, and how often one is tried again: a dead server is known in seconds.
REQUEST_SECONDS, RETRIES = 30, 2


@dataclass(frozen=True)
class LoadedModel:
    """A registered version, checked and opened.

    Attributes:
        version: its number in the registry.
        digest: SHA-256 of its `model.json`, which names those of its other files.
    """

    model: Model
    version: int
    digest: str


def connect(settings: Settings) -> MlflowClient:
    """A client of the tracking and registry server.

    Raises:
        Unavailable: no server answers, or it refuses the login.
        Refused: none is named.
    """
    if not settings.mlflow_url:
        raise Refused("No MLflow is set up here.", "Run `daybreak up`, or set DAYBREAK_MLFLOW_URL.")
    # MLflow takes these from the environment only.
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(REQUEST_SECONDS)
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = str(RETRIES)
    if settings.mlflow_password is not None:
        os.environ["MLFLOW_TRACKING_USERNAME"] = settings.mlflow_user
        os.environ["MLFLOW_TRACKING_PASSWORD"] = settings.mlflow_password.get_secret_value()
    import mlflow

    mlflow.set_tracking_uri(settings.mlflow_url)
    client = mlflow.MlflowClient(settings.mlflow_url)
    with reachable(settings):
        client.search_experiments(max_results=1)
    return client


@contextmanager
def reachable(settings: Settings) -> Iterator[None]:
    """Turn a lost MLflow server into `Unavailable`; a step's work with it goes inside."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    try:
        yield
    except (RequestException, MlflowException) as error:
        lost = isinstance(error, RequestException) or error.error_code in (
            "INTERNAL_ERROR",
            "TEMPORARILY_UNAVAILABLE",
            "UNAUTHENTICATED",
        )
        if not lost:
            raise
        raise Unavailable(
            f"MLflow at {settings.mlflow_url} does not answer: {str(error)[:200]}",
            "Run `daybreak status`; `daybreak up` starts embedded services that are down.",
        ) from error


def start_run(
    client: MlflowClient, use_case: str, name: str, tags: Mapping[str, str], parent: str = ""
) -> str:
    """Begin a run in the use case's experiment and give its id."""
    found = client.get_experiment_by_name(use_case)
    experiment = found.experiment_id if found else client.create_experiment(use_case)
    nested = {"mlflow.parentRunId": parent} if parent else {}
    run = client.create_run(experiment, run_name=name, tags={**tags, **nested})
    return str(run.info.run_id)


def find_run(client: MlflowClient, use_case: str, cutoff: dt.date, holdout: str) -> Run:
    """The latest finished training run for a cutoff's date and a holdout's dates.

    What answered a what-if is none.

    Raises:
        Refused: there is none.
    """
    experiment = client.get_experiment_by_name(use_case)
    wanted = f"tags.`daybreak.cutoff` = '{cutoff}' and tags.`daybreak.holdout` = '{holdout}'"
    runs = experiment and client.search_runs(
        [experiment.experiment_id],
        f"{wanted} and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"],
    )
    # MLflow cannot search for runs without a tag.
    found = [run for run in runs or () if WHAT_IF not in run.data.tags]
    if not found:
        raise Refused(
            f"No finished training of {use_case} has the cutoff {cutoff} and the holdout "
            f"{holdout}.",
            f"Run `daybreak run train {use_case} --date {cutoff}` first.",
        )
    run: Run = found[0]
    return run


def close_killed(
    client: MlflowClient, use_case: str, under_way: Callable[[str], bool]
) -> tuple[str, ...]:
    """Mark the trainings whose process was killed, and their trials, as killed.

    Args:
        under_way: whether the attempt of that name still goes on.

    Returns the ids of the trainings.
    """
    experiment = client.get_experiment_by_name(use_case)
    if experiment is None:
        return ()
    running = "attributes.status = 'RUNNING'"
    found = client.search_runs([experiment.experiment_id], f"{running} and tags.`{ATTEMPT}` != ''")
    killed = [run.info.run_id for run in found if not under_way(run.data.tags[ATTEMPT])]
    for run_id in killed:
        of_it = f"{running} and tags.`mlflow.parentRunId` = '{run_id}'"
        for trial in client.search_runs([experiment.experiment_id], of_it):
            client.set_terminated(trial.info.run_id, "KILLED")
        client.set_terminated(run_id, "KILLED")
    return tuple(killed)


def log_files(client: MlflowClient, run_id: str, files: Mapping[str, bytes], into: str) -> None:
    """Store files as a run's artifacts, below the folder `into` ("" is the top)."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        client.log_artifacts(run_id, folder, into or None)


def page_of(settings: Settings, run: Run) -> str:
    """Where a run's page is read: in MLflow, or below its artifacts where that shows none."""
    if not settings.mlflow_url.startswith("http"):
        return f"{run.info.artifact_uri}/{PAGE}"
    place = f"experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts/{PAGE}"
    return f"{settings.mlflow_url}/#/{place}"


def log_candidate(client: MlflowClient, run_id: str, model: Model) -> None:
    """Store a candidate's files with a training run, and their digest as its tag."""
    kind = model.candidate.kind
    files = model.files()
    log_files(client, run_id, files, f"{FOLDER}/{kind}")
    client.set_tag(run_id, f"{DIGEST}.{kind}", sha256(files[INDEX]))


def candidates(client: MlflowClient, run: Run) -> dict[str, Model]:
    """All candidates of a training run, checked against the run's tags."""
    prefix = f"{DIGEST}."
    return {
        tag.removeprefix(prefix): _fetched(
            client,
            run.info.run_id,
            f"{FOLDER}/{tag.removeprefix(prefix)}",
            digest,
            f"Candidate {tag.removeprefix(prefix)} of run {run.info.run_id}",
        )
        for tag, digest in run.data.tags.items()
        if tag.startswith(prefix)
    }


def register(client: MlflowClient, use_case: str, run: Run, kind: str) -> int:
    """Register a run's candidate as a version, once for each run, and give its number."""
    for found in _versions_of(client, use_case, run):
        if found.tags.get("daybreak.kind") == kind:
            return int(found.version)
    if not client.search_registered_models(f"name = '{use_case}'"):
        client.create_registered_model(use_case)
    made = client.create_model_version(
        use_case,
        source=f"{run.info.artifact_uri}/{FOLDER}/{kind}",
        run_id=run.info.run_id,
        tags={
            DIGEST: run.data.tags[f"{DIGEST}.{kind}"],
            "daybreak.kind": kind,
            "daybreak.cutoff": run.data.tags["daybreak.cutoff"],
        },
    )
    return int(made.version)


def to_beat(client: MlflowClient, use_case: str, run: Run) -> int | None:
    """The version that a run's challenger would replace.

    That is the champion, or `previous` if the champion came from this very run, so that judging
    a run again after its promotion gives the same answer.
    """
    now = alias(client, use_case, CHAMPION)
    own = {int(found.version) for found in _versions_of(client, use_case, run)}
    return alias(client, use_case, PREVIOUS) if now in own else now


def promote(client: MlflowClient, use_case: str, version: int) -> None:
    """Make a version the champion and keep the one before it as `previous`.

    One that was taken down cannot be gone back to, and is not kept. Done again, or after a kill in
    the middle, it ends in the same state.
    """
    now = alias(client, use_case, CHAMPION)
    if now == version:
        return
    if now is not None and DEMOTED not in version_of(client, use_case, now).tags:
        client.set_registered_model_alias(use_case, PREVIOUS, str(now))
    client.set_registered_model_alias(use_case, CHAMPION, str(version))


def tag_version(client: MlflowClient, use_case: str, version: int, tags: Mapping[str, str]) -> None:
    """Set some tags of a version."""
    for name, value in tags.items():
        client.set_model_version_tag(use_case, str(version), name, value)


def look(
    client: MlflowClient,
    use_case: str,
    run: Run,
    champion: int,
    days: tuple[str, str] | None,
) -> int:
    """The how-manieth challenger of a champion a run has on a holdout with any of its rows.

    Only those count that were decided on before: the run itself does not, nor what was registered
    after it, so that a run that is judged again is the same one.

    Args:
        days: first and last of the holdout; None where it has the same entities on all days.
    """
    same = f"name = '{use_case}' and tags.`{AGAINST}` = '{champion}'"
    first, last = days or ("", "9")
    own = [int(found.version) for found in _versions_of(client, use_case, run)]
    earlier = {
        found.run_id
        for found in client.search_model_versions(same)
        if found.tags[FIRST] <= last
        and found.tags[LAST] >= first
        # Whoever decides does it in turn, and registers first.
        and int(found.version) < min(own, default=int(found.version) + 1)
    }
    return 1 + len(earlier - {run.info.run_id})


def take_down(client: MlflowClient, use_case: str, version: int, reason: str) -> None:
    """Note that no step is to make a version champion again."""
    client.set_model_version_tag(use_case, str(version), DEMOTED, reason)


def forgive(client: MlflowClient, use_case: str, version: int) -> None:
    """The opposite of `take_down`."""
    if DEMOTED in version_of(client, use_case, version).tags:
        client.delete_model_version_tag(use_case, str(version), DEMOTED)


def demote(client: MlflowClient, use_case: str, version: int, reason: str) -> None:
    """Take the champion down, and leave none."""
    take_down(client, use_case, version, reason)
    client.delete_registered_model_alias(use_case, CHAMPION)


def alias(client: MlflowClient, use_case: str, name: str) -> int | None:
    """The version an alias points to, or None."""
    found = client.search_registered_models(f"name = '{use_case}'")
    version = found[0].aliases.get(name) if found else None
    return int(version) if version is not None else None


def load(settings: Settings, use_case: str, alias_name: str = CHAMPION) -> LoadedModel:
    """The model an alias points to, checked file by file before any of it is parsed.

    Raises:
        Refused: alias, version or a file is missing, or a file was changed.
        Unavailable: MLflow does not answer.
    """
    client = connect(settings)
    with reachable(settings):
        version = alias(client, use_case, alias_name)
        if version is None:
            raise Refused(
                f"{use_case} has no model with the alias {alias_name}.",
                f"Train one: `daybreak trigger {use_case} train`.",
            )
        return load_version(client, use_case, version)


def load_version(client: MlflowClient, use_case: str, version: int) -> LoadedModel:
    """One registered version, checked as `load` does."""
    found = version_of(client, use_case, version)
    digest = found.tags.get(DIGEST, "")
    folder = f"{FOLDER}/{found.tags.get('daybreak.kind', '')}"
    name = f"Version {version} of {use_case}"
    model = _fetched(client, str(found.run_id), folder, digest, name)
    return LoadedModel(model, version, digest)


def _versions_of(client: MlflowClient, use_case: str, run: Run) -> list[ModelVersion]:
    wanted = f"name = '{use_case}' and run_id = '{run.info.run_id}'"
    return list(client.search_model_versions(wanted))


def version_of(client: MlflowClient, use_case: str, version: int) -> ModelVersion:
    """A registered version; raises `Refused` if there is none of that number."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version(use_case, str(version))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise Refused(
            f"Version {version} of {use_case} is not in the registry.",
            f"Train one: `daybreak trigger {use_case} train`.",
        ) from error


def _fetched(client: MlflowClient, run_id: str, folder: str, digest: str, name: str) -> Model:
    """Download a model's files into memory, then check and open them."""
    with tempfile.TemporaryDirectory() as target:
        files = {
            Path(found.path).name: Path(
                client.download_artifacts(run_id, found.path, target)
            ).read_bytes()
            for found in client.list_artifacts(run_id, folder)
        }
    return opened(files, digest, name)
