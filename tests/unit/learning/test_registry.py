"""Runs in a real MLflow store of a file: which one is meant, and which ones were killed."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs import champion, evaluation
from jobs.champion import Person
from jobs.context import Context
from jobs.engine import Engine
from jobs.errors import Refused, Unavailable
from jobs.learning import registry
from jobs.learning.evaluation import Evaluation
from jobs.learning.evidence import EVIDENCE, FOLDER
from jobs.learning.fitting import parameters
from jobs.learning.intervals import Estimate
from jobs.learning.promotion import decide
from jobs.learning.rebuild import Learned, log_learned, require_unseen
from jobs.learning.train import promote
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


def judged(client: MlflowClient, run_id: str, found: Evaluation | None = None) -> None:
    """Evaluate a run: its trees, of which there are no files here, may be champion."""
    evidence = (found or evaluated({})).model_dump_json().encode()
    registry.log_files(client, run_id, {EVIDENCE: evidence}, FOLDER)
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


def test_an_approval_that_the_use_case_requires_is_not_waived_by_a_form(
    client: MlflowClient, settings: Settings
) -> None:
    run_id = trained(client)
    judged(client, run_id)
    plan = parcels.plan(settings, promote={"approval": "required"})
    for asked in ({"approval": "auto"}, {}):
        options = {"run_id": run_id, **asked}
        found = promote(Context(plan, Dates.one(CUTOFF), Engine(settings), options))
        assert found.facts["status"] == "needs_person"


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


LEARNED = Learned(
    features=0,
    labels=0,
    first=parcels.START,
    last=HOLDOUT.first - dt.timedelta(days=1),
    known_at=dt.datetime(2024, 2, 12, tzinfo=dt.UTC),
    columns=(),
    rows=1,
    sha256="",
)


def test_a_champion_is_not_judged_on_days_that_it_learned_from() -> None:
    require_unseen(LEARNED, HOLDOUT)
    with pytest.raises(Refused, match="up to 2024-01-30, and the holdout begins on 2024-01-30"):
        require_unseen(LEARNED.model_copy(update={"last": HOLDOUT.first}), HOLDOUT)
    # A champion of a later year is fair on an older holdout.
    require_unseen(LEARNED, Dates(dt.date(2023, 1, 1), dt.date(2023, 12, 31)))


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
        self.held, self.taken = False, False
        self.recorded: list[str] = []
        self.last: dict[str, Any] = {}

    @contextmanager
    def take(self, *_: object) -> Iterator[None]:
        if self.taken:
            raise Unavailable("Somebody else decides.", "Let it end.")
        self.held = True
        yield
        self.held = False

    def record(self, settings: Settings, name: str, facts: dict[str, Any], **more: Any) -> None:
        assert self.held
        self.recorded.append(facts["status"])
        self.last = {**facts, **more}


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
    ann = Person("why", by="ann")
    for decides in (
        lambda: champion.promote(ctx.plan, 1, ann),
        lambda: champion.refuse(ctx.plan, 1, ann),
        lambda: champion.demote(ctx.plan, ann),
        lambda: champion.roll_back(ctx.plan, ann),
        lambda: run("promote", ctx),
    ):
        with pytest.raises(Unavailable, match="Somebody else decides"):
            decides()
    assert registry.alias(client, NAME, "champion") is None
    turn.taken = False
    assert run("promote", ctx).facts["status"] == "promote"
    champion.promote(ctx.plan, 1, ann)
    assert registry.alias(client, NAME, "champion") == 1
    assert registry.alias(client, NAME, "previous") == 2
    assert turn.recorded == ["promote", "promote"]


def registered(client: MlflowClient, number: int = 1) -> list[str]:
    """Versions 1 to `number`, and their runs."""
    runs = [trained(client) for _ in range(number)]
    for run_id in runs:
        registry.register(client, NAME, client.get_run(run_id), "constant")
    return runs


def champion_and_previous(client: MlflowClient) -> tuple[int | None, int | None]:
    return registry.alias(client, NAME, "champion"), registry.alias(client, NAME, "previous")


def test_a_person_goes_back_once_and_not_to_what_was_taken_down(
    client: MlflowClient, settings: Settings, turn: Turn
) -> None:
    registered(client, 3)
    plan, ann = parcels.plan(settings), Person("scores too high", by="ann")
    for version in (1, 2, 3):
        champion.promote(plan, version, ann)
    said = champion.roll_back(plan, ann)
    assert said.startswith(f"ann went back from version 3 of {NAME} to version 2: scores too high.")
    assert champion_and_previous(client) == (2, None)
    # Who was called at the same moment does not put version 3 up again.
    with pytest.raises(Refused, match="No champion of late_parcel before version 2 is known"):
        champion.roll_back(plan, ann)
    champion.promote(plan, 3, ann)
    assert champion_and_previous(client) == (3, 2)
    assert registry.DEMOTED not in registry.version_of(client, NAME, 3).tags
    assert turn.recorded == ["promote", "promote", "promote", "rollback", "promote"]


def test_a_rollback_that_was_killed_is_ended_by_the_next(
    client: MlflowClient, settings: Settings, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(client, 2)
    plan, ann = parcels.plan(settings), Person("too high", by="ann")
    for version in (1, 2):
        champion.promote(plan, version, ann)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(registry, "promote", killed)
        with pytest.raises(KeyboardInterrupt):
            champion.roll_back(plan, ann)
    assert champion_and_previous(client) == (2, 1)
    champion.roll_back(plan, ann)
    assert champion_and_previous(client) == (1, None)


def test_a_promotion_that_was_killed_still_knows_the_champion_before(
    client: MlflowClient, settings: Settings, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(client, 2)
    plan, ann = parcels.plan(settings), Person("it is better", by="ann")
    champion.promote(plan, 1, ann)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("jobs.champion.record_decision", killed)
        with pytest.raises(KeyboardInterrupt):
            champion.promote(plan, 2, ann)
    champion.promote(plan, 2, ann)
    assert champion_and_previous(client) == (2, 1)
    assert turn.last["champion_before"] == 1


def test_an_answer_that_comes_after_another_s_word_changes_nothing(
    client: MlflowClient, settings: Settings, turn: Turn
) -> None:
    registered(client, 2)
    plan, ann = parcels.plan(settings), Person("why", by="ann")
    champion.promote(plan, 1, ann)
    champion.promote(plan, 2, ann)
    # Nobody answered in Airflow, because somebody promoted it by the command line.
    said = champion.refuse(plan, 2, Person("nobody answered within 6 days", by="nobody"))
    assert said.startswith("Version 2 of late_parcel was made champion before this answer")
    assert turn.recorded == ["promote", "promote"]
    champion.roll_back(plan, Person("too high", by="bob"))
    # The task of the answer is cleared.
    with pytest.raises(Refused, match="was taken down after ann was asked about it: too high"):
        champion.promote(plan, 2, ann, against=1)
    assert champion_and_previous(client) == (1, None)


def test_a_champion_that_was_taken_down_is_not_put_up_again_by_its_step(
    client: MlflowClient, settings: Settings, turn: Turn
) -> None:
    run_id = trained(client)
    judged(client, run_id)
    ctx, ann = context(settings, run_id=run_id), Person("it is wrong", by="ann")
    assert run("promote", ctx).facts["status"] == "promote"
    assert "There is no champion" in champion.demote(ctx.plan, ann)
    assert champion_and_previous(client) == (None, None)
    assert turn.last["evaluation"]["metric"] == "roc_auc"
    assert "beats a constant" in turn.last["ruled"]
    with pytest.raises(Refused, match="has no champion"):
        champion.demote(ctx.plan, ann)
    again = run("promote", ctx)
    assert again.facts["status"] == "keep"
    assert "Version 1 was taken down by a person: it is wrong" in again.sentence
    assert champion_and_previous(client) == (None, None)


def test_what_may_know_too_much_is_promoted_once_that_is_acknowledged(
    client: MlflowClient, settings: Settings, turn: Turn
) -> None:
    (run_id,) = registered(client)
    leaky = evaluated({}, leaks=("The feature temp alone tells all.",))
    registry.log_files(client, run_id, {EVIDENCE: leaky.model_dump_json().encode()}, FOLDER)
    plan = parcels.plan(settings)
    with pytest.raises(Refused, match=r"The feature temp alone tells all\. .*--acknowledge leak"):
        champion.promote(plan, 1, Person("why", by="ann"))
    assert champion_and_previous(client) == (None, None)
    champion.promote(plan, 1, Person("it is known in time", by="ann", acknowledged=("leak",)))
    assert champion_and_previous(client) == (1, None)
    assert turn.last["acknowledged"] == ("leak",)


def test_an_answer_about_another_champion_does_nothing(
    client: MlflowClient, settings: Settings, turn: Turn
) -> None:
    registered(client, 3)
    plan, ann = parcels.plan(settings), Person("why", by="ann")
    champion.promote(plan, 2, ann)
    with pytest.raises(Refused, match="is version 2 by now, and ann was asked about one beside 1"):
        champion.promote(plan, 3, ann, against=1)
    with pytest.raises(Refused, match="beside none"):
        champion.promote(plan, 3, ann, against=None)
    assert "The champion is version 2 as before" in champion.refuse(plan, 3, ann)
    champion.promote(plan, 3, ann, against=2)
    # Asked again after a kill, it is champion already.
    champion.promote(plan, 3, ann, against=2)
    assert champion_and_previous(client) == (3, 2)
    assert turn.recorded == ["promote", "keep", "promote", "promote"]


def test_challengers_are_counted_that_met_a_champion_on_days_of_the_holdout(
    client: MlflowClient,
) -> None:
    runs = registered(client, 5)
    met = [("7", "01-01", "01-28"), ("7", "01-08", "02-04"), ("7", "02-12", "03-10")]
    for number, (against, first, last) in enumerate([*met, ("6", "01-01", "01-28")], start=1):
        tags = {registry.AGAINST: against, registry.FIRST: first, registry.LAST: last}
        registry.tag_version(client, NAME, number, tags)
    looks = [
        registry.look(client, NAME, client.get_run(run_id), 7, ("01-15", "02-11"))
        for run_id in runs
    ]
    # The third met it on other days, the fourth met another; who is judged again is no new one.
    assert looks == [1, 2, 3, 3, 3]
    not_registered = client.get_run(trained(client))
    assert registry.look(client, NAME, not_registered, 7, ("01-15", "02-11")) == 3
    new = client.get_run(runs[4])
    assert registry.look(client, NAME, new, 7, ("02-05", "03-01")) == 2
    assert registry.look(client, NAME, new, 8, ("01-01", "03-10")) == 1
    # The same entities are held out on all days.
    assert registry.look(client, NAME, new, 7, None) == 4


@pytest.fixture
def champion_1(client: MlflowClient) -> None:
    registered(client)
    registry.promote(client, NAME, 1)


def challenging(client: MlflowClient) -> str:
    """A run that was evaluated as the first challenger of version 1, with a gain."""
    run_id = trained(client)
    gain = {"champion": Estimate(0.02, 0.004, 0.036)}
    judged(client, run_id, evaluated(gain, champion_version=1))
    log_learned(client, run_id, LEARNED)
    return run_id


def test_a_challenger_is_counted_when_it_is_decided_on(
    client: MlflowClient, settings: Settings, champion_1: None
) -> None:
    # All are evaluated before any of them is decided on.
    runs = [challenging(client) for _ in range(6)]
    asked = {"approval": "required"}
    found = [promote(context(settings, run_id=run_id, **asked)) for run_id in runs]
    assert [each.facts["status"] for each in found] == [*["needs_person"] * 2, *["keep"] * 4]
    assert "of which 6 challengers of it were judged on some" in found[5].sentence
    assert found[5].facts["evaluation"]["look"] == 6
    # Decided on again, as after a kill, it is what it was.
    assert promote(context(settings, run_id=runs[1], **asked)) == found[1]


def test_a_decision_that_was_killed_stops_nobody_else(
    client: MlflowClient, settings: Settings, champion_1: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = challenging(client), client.get_run(challenging(client))
    whole = registry.tag_version
    for left in range(6):

        def killed(*args: Any, left: int = left) -> None:
            *which, tags = args
            whole(*which, dict(list(tags.items())[:left]))
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(registry, "tag_version", killed)
            with pytest.raises(KeyboardInterrupt):
                promote(context(settings, run_id=one, approval="required"))
        found = registry.look(client, NAME, other, 1, ("2024-01-01", "2024-01-28"))
        assert found == (1 if left < 3 else 2)
