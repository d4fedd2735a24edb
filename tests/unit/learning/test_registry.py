"""Runs in a real MLflow store of a file: which one is meant, and which ones were killed."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs import champion, evaluation
from jobs.context import Context
from jobs.engine import Engine
from jobs.errors import Refused, Unavailable
from jobs.learning import registry
from jobs.learning.fitting import parameters
from jobs.learning.promotion import decide
from jobs.learning.rebuild import Learned, require_unseen
from jobs.learning.train import EVIDENCE, promote
from jobs.plan import Dates
from jobs.settings import Settings
from jobs.steps import run
from tests.unit.learning import parcels
from tests.unit.learning.test_model_files import MODEL
from tests.unit.learning.test_promotion import evaluation as evaluated

if TYPE_CHECKING:
    from mlflow import MlflowClient

NAME = parcels.SPEC["name"]
CUTOFF = dt.date(2024, 2, 12)
HOLDOUT = Dates(dt.date(2024, 1, 30), dt.date(2024, 2, 10))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that is made once, because that takes seconds."""
    store = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    registry.connect(Settings(home=store.parent, mlflow_url=f"sqlite:///{store}"))
    return store


@pytest.fixture
def settings(empty: Path, tmp_path: Path) -> Settings:
    store = shutil.copy(empty, tmp_path)
    return Settings(home=tmp_path, mlflow_url=f"sqlite:///{store}")


@pytest.fixture
def client(settings: Settings, tmp_path: Path) -> MlflowClient:
    client = registry.connect(settings)
    client.create_experiment(NAME, artifact_location=str(tmp_path / "artifacts"))
    return client


def trained(client: MlflowClient, status: str = "FINISHED", **tags: str) -> str:
    """A run as a training leaves it."""
    of = {"daybreak.cutoff": str(CUTOFF), "daybreak.holdout": str(HOLDOUT)}
    run_id = registry.start_run(client, NAME, str(CUTOFF), {**of, **tags})
    registry.log_candidate(client, run_id, MODEL)
    if status != "RUNNING":
        client.set_terminated(run_id, status)
    return run_id


def judged(client: MlflowClient, run_id: str) -> None:
    """Evaluate a run: its trees, of which there are no files here, may be champion."""
    evidence = evaluated({}).model_dump_json().encode()
    registry.log_files(client, run_id, {EVIDENCE: evidence}, "evaluation")
    client.set_tag(run_id, f"{registry.DIGEST}.xgboost", "0" * 64)


def test_a_what_if_is_not_the_training_that_is_meant(client: MlflowClient) -> None:
    with pytest.raises(Refused, match="No finished training"):
        registry.find_run(client, NAME, CUTOFF, str(HOLDOUT))
    meant = trained(client)
    trained(client, **{registry.WHAT_IF: "true"})
    assert registry.find_run(client, NAME, CUTOFF, str(HOLDOUT)).info.run_id == meant


def context(settings: Settings, **options: str) -> Context:
    return Context(parcels.plan(settings), Dates.one(CUTOFF), Engine(settings), options)


def test_the_run_that_is_named_is_promoted_and_not_the_latest(
    client: MlflowClient, settings: Settings
) -> None:
    first, latest = trained(client), trained(client)
    judged(client, first)
    assert promote(context(settings, run_id=first)).facts["run_id"] == first
    with pytest.raises(Refused, match="was not evaluated"):
        promote(context(settings, run_id=latest))


def test_a_what_if_is_never_promoted(client: MlflowClient, settings: Settings) -> None:
    run_id = trained(client, **{registry.WHAT_IF: "true"})
    judged(client, run_id)
    with pytest.raises(Refused, match="answers a what-if"):
        promote(context(settings, run_id=run_id))


def test_an_evaluation_is_shown_with_the_decision_that_was_made(
    client: MlflowClient, settings: Settings
) -> None:
    plan = parcels.plan(settings)
    with pytest.raises(Refused, match="decided on yet"):
        evaluation.newest(plan)
    run_id = trained(client)
    judged(client, run_id)
    # By the file the challenger may score; the run's own form asked for a person.
    assert decide(evaluated({}), plan.usecase.promote).status == "promote"
    decided = promote(context(settings, run_id=run_id, approval="required"))
    assert decided.facts["status"] == "needs_person"
    shown = evaluation.newest(plan)
    assert (shown.decision, shown.sentence) == ("needs_person", decided.sentence)
    assert "daybreak promote" in shown.sentence


def test_trainings_whose_process_is_gone_are_marked_as_killed(client: MlflowClient) -> None:
    gone = trained(client, "RUNNING", **{registry.ATTEMPT: "gone"})
    trial = registry.start_run(client, NAME, "trial 0", {}, parent=gone)
    others = {
        trained(client, "RUNNING", **{registry.ATTEMPT: "there"}): "RUNNING",
        trained(client, "FINISHED", **{registry.ATTEMPT: "done"}): "FINISHED",
        registry.start_run(client, NAME, "monitoring", {}): "RUNNING",
    }
    assert registry.close_killed(client, NAME, lambda name: name == "there") == (gone,)
    assert {client.get_run(run_id).info.status for run_id in (gone, trial)} == {"KILLED"}
    assert {run_id: client.get_run(run_id).info.status for run_id in others} == others
    assert registry.close_killed(client, "never_trained", lambda _: False) == ()


def test_a_champion_is_not_judged_on_days_that_it_learned_from() -> None:
    learned = Learned(
        features=0,
        labels=0,
        first=parcels.START,
        last=HOLDOUT.first - dt.timedelta(days=1),
        known_at=dt.datetime(2024, 2, 12, tzinfo=dt.UTC),
        columns=(),
        rows=1,
        sha256="",
    )
    require_unseen(learned, HOLDOUT)
    with pytest.raises(Refused, match="up to 2024-01-30, and the holdout begins on 2024-01-30"):
        require_unseen(learned.model_copy(update={"last": HOLDOUT.first}), HOLDOUT)
    # A champion of a later year is fair on an older holdout.
    require_unseen(learned, Dates(dt.date(2023, 1, 1), dt.date(2023, 12, 31)))


def test_all_that_was_chosen_is_among_the_parameters(settings: Settings) -> None:
    usecase = parcels.plan(settings).usecase
    assert parameters(usecase, {**usecase.model.parameters, "rounds_kept": 9}) == {
        "metric": "roc_auc",
        "calibrate": "auto",
        "seed": 7,
        "rule.by": "depot",
        "rule.prior_rows": 20,
        "linear.ridge": 1e-4,
        "linear.most_rows": 100_000,
        "xgboost.most_rounds": 60,
        "xgboost.early_stopping": 10,
        "xgboost.max_depth": 3,
        "xgboost.learning_rate": 0.3,
        "xgboost.rounds_kept": 9,
    }


class Turn:
    """A turn that can be refused, and what was done outside of it."""

    def __init__(self) -> None:
        self.held, self.taken, self.recorded = False, False, 0

    @contextmanager
    def take(self, *_: object) -> Iterator[None]:
        if self.taken:
            raise Unavailable("Somebody else decides.", "Let it end.")
        self.held = True
        yield
        self.held = False

    def record(self, *_: object, **__: object) -> None:
        assert self.held
        self.recorded += 1


@pytest.fixture
def turn(monkeypatch: pytest.MonkeyPatch) -> Turn:
    """In place of the warehouse's, and a registry that moves the alias in a turn only."""
    turn, move = Turn(), registry.promote

    def moved(client: MlflowClient, use_case: str, version: int) -> None:
        assert turn.held
        move(client, use_case, version)

    monkeypatch.setattr(registry, "promote", moved)
    for module in ("jobs.champion", "jobs.prediction.turn"):
        monkeypatch.setattr(f"{module}.champion_turn", turn.take)
    for module in ("jobs.champion", "jobs.monitoring.record"):
        monkeypatch.setattr(f"{module}.record_decision", turn.record)
    return turn


def test_whoever_decides_on_the_champion_does_it_in_turn(
    client: MlflowClient, settings: Settings, turn: Turn
) -> None:
    run_id = trained(client)
    judged(client, run_id)
    ctx = context(settings, run_id=run_id)
    registry.register(client, NAME, client.get_run(run_id), "constant")
    turn.taken = True
    for decides in (lambda: champion.promote(ctx.plan, 1, "why"), lambda: run("promote", ctx)):
        with pytest.raises(Unavailable, match="Somebody else decides"):
            decides()
    assert registry.alias(client, NAME, "champion") is None
    turn.taken = False
    assert run("promote", ctx).facts["status"] == "promote"
    champion.promote(ctx.plan, 1, "why")
    assert registry.alias(client, NAME, "champion") == 1
    assert registry.alias(client, NAME, "previous") == 2
    assert turn.recorded == 2
