"""Measurements in a real warehouse and a real MLflow store."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from jobs.context import Context
from jobs.engine import Engine
from jobs.errors import Refused, Unavailable
from jobs.learning import registry
from jobs.monitoring import retrain
from jobs.monitoring.decisions import decisions
from jobs.monitoring.drift import Drift
from jobs.monitoring.freshness import Freshness
from jobs.monitoring.night import measure
from jobs.monitoring.performance import Measured
from jobs.monitoring.record import log_night, record_decision, record_night
from jobs.plan import Dates, Plan
from jobs.prediction import turn
from jobs.prediction.turn import attempt
from jobs.prediction.warehouse import connect
from jobs.settings import Settings
from tests.integration.warehouse_server import warehouse_server

DAY = dt.date(2013, 10, 3)
MOMENT = dt.datetime(2013, 10, 3, 6, tzinfo=dt.UTC)
QUIET = Drift("hour", 0.01, 0.2, 0.3, 0.4, 0.4, drifted=False, rows=900)
LOUD = Drift("temp", 0.4, 0.3, 9.0, 0.0, 0.0, drifted=True, rows=900)
AREA = Measured(dt.date(2013, 10, 1), 2, "all", "roc_auc", 0.7, 0.6, 0.8, 800, 0.9)
ONE_CLASS = replace(AREA, slice="carrier=UA", value=None, low=None, high=None)
FRESH = Freshness(MOMENT, DAY, 7, 2.0, fresh=True)


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with warehouse_server() as server:
        yield server.settings


def _rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with connect(settings, "publisher") as connection:
        return connection.execute(query.encode()).fetchall()


def test_a_night_monitored_again_later_is_still_one_row(settings: Settings, tmp_path: Path) -> None:
    also = settings.model_copy(update={"mlflow_url": f"sqlite:///{tmp_path}/mlflow.db"})
    plan = Plan.of("flight_delay", also)
    for date in (DAY, DAY, DAY + dt.timedelta(days=1)):
        before = dt.datetime.now(dt.UTC)
        measure(Context(plan, Dates.one(date), Engine(also)), None)
    query = "SELECT night FROM monitoring.freshness WHERE use_case = 'flight_delay' ORDER BY night"
    assert _rows(settings, query) == [(DAY,), (DAY + dt.timedelta(days=1),)]
    newest = "SELECT max(checked_at) FROM monitoring.freshness WHERE use_case = 'flight_delay'"
    assert _rows(settings, newest)[0][0] >= before


def test_a_night_measured_again_replaces_and_never_doubles(settings: Settings) -> None:
    record_night(settings, "once", DAY, 2, [QUIET, LOUD], [AREA, ONE_CLASS], FRESH)
    record_night(settings, "once", DAY, 2, [LOUD], [replace(AREA, value=0.75)], FRESH)
    drift = "SELECT feature, psi, drifted FROM monitoring.drift WHERE use_case = 'once' ORDER BY 1"
    assert _rows(settings, drift) == [("hour", 0.01, False), ("temp", 0.4, True)]
    measured = (
        "SELECT slice, value, rows FROM monitoring.performance WHERE use_case = 'once' ORDER BY 1"
    )
    assert _rows(settings, measured) == [("all", 0.75, 800), ("carrier=UA", None, 800)]
    fresh = "SELECT batch_id, fresh FROM monitoring.freshness WHERE use_case = 'once'"
    assert _rows(settings, fresh) == [(7, True)]


def test_a_night_without_scores_still_records_freshness(settings: Settings) -> None:
    none = Freshness(MOMENT, None, None, None, fresh=False)
    record_night(settings, "empty", DAY, None, [], [], none)
    query = "SELECT prediction_date, fresh FROM monitoring.freshness WHERE use_case = 'empty'"
    assert _rows(settings, query) == [(None, False)]


def test_a_decision_is_recorded_once_with_its_evidence(settings: Settings) -> None:
    facts = {
        "run_id": "r1",
        "status": "promote",
        "model_version": 3,
        "champion_before": 2,
        "evaluation": {"roc_auc": 0.7, "of": [float("nan")], "name": "x'); DROP TABLE y; --"},
    }
    for _ in range(2):
        record_decision(settings, "decided", facts, sentence="It is better.")
    found = _rows(
        settings,
        "SELECT outcome, sentence, challenger_version, champion_version, by, evidence "
        "FROM monitoring.decisions WHERE use_case = 'decided'",
    )
    wanted = {"roc_auc": 0.7, "of": [None], "name": "x'); DROP TABLE y; --"}
    assert found == [("promote", "It is better.", 3, 2, "daybreak", wanted)]
    record_decision(settings, "decided", facts, sentence="No.", by="ann", reason="holiday")
    count = "SELECT count(*) FROM monitoring.decisions WHERE use_case = 'decided'"
    assert _rows(settings, count) == [(2,)]
    # An evaluation with more labels may come to the same for another reason.
    kept = {**facts, "run_id": "r2", "status": "keep"}
    for sentence in ("It is no better.", "It is no better.", "It is worse."):
        record_decision(settings, "decided", kept, sentence=sentence)
    assert _rows(settings, count) == [(4,)]


def test_the_same_override_after_another_champion_is_recorded_again(settings: Settings) -> None:
    def promoted(run: str, version: int, before: int | None, **by: str) -> None:
        facts = {
            "run_id": run,
            "status": "promote",
            "model_version": version,
            "champion_before": before,
            "evaluation": {},
        }
        record_decision(settings, "overridden", facts, sentence="So be it.", **by)

    promoted("r1", 1, None)
    promoted("r2", 2, 1)
    for _ in range(2):
        promoted("r1", 1, 2, by="ann", reason="rollback")
    promoted("r3", 3, 1)
    promoted("r1", 1, 3, by="ann", reason="rollback")
    found = _rows(
        settings,
        "SELECT challenger_version, by FROM monitoring.decisions WHERE use_case = 'overridden' "
        "ORDER BY id",
    )
    assert found == [(1, "daybreak"), (2, "daybreak"), (1, "ann"), (3, "daybreak"), (1, "ann")]


def test_who_decided_what_is_kept_and_nobody_changes_it(settings: Settings) -> None:
    facts = {
        "run_id": "r1",
        "model_version": 1,
        "champion_before": None,
        "evaluation": {},
    }
    record_decision(settings, "kept", {**facts, "status": "needs_person"}, sentence="It may leak.")
    by_ann = {"by": "ann", "ruled": "It may leak.", "acknowledged": ("leak",)}
    for status, reason in (("promote", "known in time"), ("demote", "it was not")):
        for _ in range(2):
            decided = {**facts, "status": status}
            record_decision(settings, "kept", decided, sentence="So.", reason=reason, **by_ann)
    found = decisions(settings, "kept")
    assert [(each.outcome, each.by, each.reason) for each in found] == [
        ("demote", "ann", "it was not"),
        ("promote", "ann", "known in time"),
        ("needs_person", "daybreak", ""),
    ]
    assert (found[0].ruled, found[0].acknowledged) == ("It may leak.", ["leak"])
    for change in ("UPDATE monitoring.decisions SET by = 'x'", "DELETE FROM monitoring.decisions"):
        with (
            connect(settings, "publisher") as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(change)
    with pytest.raises(Refused, match="decisions_outcome"):
        record_decision(settings, "kept", {**facts, "status": "maybe"}, sentence="Hm.")


def test_taking_a_champion_down_gives_no_rest(settings: Settings) -> None:
    for date in (DAY - dt.timedelta(days=1), DAY):
        record_night(settings, "down", date, 2, [LOUD], [], FRESH)
    facts = {
        "run_id": "r2",
        "status": "demote",
        "model_version": 2,
        "champion_before": 2,
        "evaluation": {},
    }
    record_decision(settings, "down", facts, sentence="Down.", by="ann", reason="wrong")
    assert retrain.reason(settings, "down", 2, DAY) is not None


def test_an_attempt_is_seen_until_it_ends(settings: Settings) -> None:
    with attempt(settings, "train a") as one, attempt(settings, "train b") as other:
        # Looking does not take anything away.
        assert [other.under_way(one.name) for _ in range(2)] == [True, True]
    with attempt(settings, "train c") as third:
        assert [third.under_way(one.name) for _ in range(2)] == [False, False]


def test_one_at_a_time_decides_on_a_champion(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "CHAMPION_SECONDS", 0.3)
    with (
        turn.champion_turn(settings, "one"),
        turn.champion_turn(settings, "other"),
        pytest.raises(Unavailable, match="deciding on the champion of one"),
        turn.champion_turn(settings, "one"),
    ):
        pytest.fail("two decide at once")
    with turn.champion_turn(settings, "one"):
        pass


def test_two_drifted_nights_ask_for_a_model_until_one_is_decided_on(settings: Settings) -> None:
    earlier = DAY - dt.timedelta(days=2)
    record_night(settings, "drifty", earlier, 2, [LOUD, QUIET], [], FRESH)
    assert retrain.reason(settings, "drifty", 2, earlier) is None
    record_night(settings, "drifty", DAY, 2, [LOUD, QUIET], [], FRESH)
    assert retrain.reason(settings, "drifty", 2, DAY) == (
        "drift on 2 of the last 2 nights and tonight: temp"
    )
    # Another version starts anew, and a decision gives rest.
    assert retrain.reason(settings, "drifty", 3, DAY) is None
    facts = {
        "run_id": "r2",
        "status": "keep",
        "model_version": 3,
        "champion_before": 2,
        "evaluation": {},
    }
    record_decision(settings, "drifty", facts, sentence="Not better.")
    assert retrain.reason(settings, "drifty", 2, DAY) is None


def test_the_main_numbers_are_one_point_a_date_in_mlflow(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, mlflow_url=f"sqlite:///{tmp_path}/mlflow.db")
    for _ in range(2):
        log_night(settings, "flight_delay", DAY, [QUIET, LOUD], [AREA, ONE_CLASS])
    client = registry.connect(settings)
    experiment = client.get_experiment_by_name("flight_delay")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "monitoring"
    (area,) = client.get_metric_history(run.info.run_id, "performance.roc_auc")
    assert (area.value, area.step) == (0.7, dt.date(2013, 10, 1).toordinal())
    (drifted,) = client.get_metric_history(run.info.run_id, "drift.drifted_features")
    assert (drifted.value, drifted.step) == (1.0, DAY.toordinal())


def test_a_lost_warehouse_is_unavailable_and_not_bad_data(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"warehouse_port": 1})
    with pytest.raises(Unavailable):
        record_night(nowhere, "once", DAY, 2, [], [], FRESH)
