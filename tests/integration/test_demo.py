"""The demo, and what the command line says of its result, as a new user would try it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from tests.stack import Stack

REFUSED = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.ObjectNotInPrerequisiteState,
    psycopg.errors.ReadOnlySqlTransaction,
)
KEY = ("2013-10-07", "UA", "535", "JFK", "1759")


def _json(stack: Stack, *arguments: str) -> Any:
    done = stack.daybreak(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_demo_shows_what_it_did(demo_output: str) -> None:
    for part in (
        "gold.features",
        "wind_speed",
        "1048.36058",
        "Decision: promote. The challenger (xgboost) beats",
        "The ten riskiest flights of 7 October, as daybreak_reader",
        "Seven nights by Airflow's backfill",
        "http://localhost:",
    ):
        assert part in demo_output, part
    rows = dict(re.findall(r"^\s+(gold\.\w+|quarantine)\s+([\d,]+)\s*$", demo_output, re.M))
    assert rows["quarantine"] == "1"
    assert int(rows["gold.predictions"].replace(",", "")) == 6528


def test_a_second_demo_repeats_nothing(stack: Stack) -> None:
    again = stack.daybreak("demo", seconds=300)
    assert again.returncode == 0, again.stderr
    assert "0 files for the nights of 2013-01-01 to 2013-09-30 landed" in again.stdout
    assert "was trained and decided on before" in again.stdout
    assert "All seven nights were published before." in again.stdout
    assert "The ten riskiest flights of 7 October" in again.stdout


def test_status_names_services_champion_and_last_batch(stack: Stack) -> None:
    found = _json(stack, "status")
    assert all(service["healthy"] for service in found["services"])
    by_name = {each["name"]: each for each in found["use_cases"]}
    use_case = by_name.pop("flight_delay")
    assert (use_case["name"], use_case["champion_version"]) == ("flight_delay", 1)
    assert use_case["last_batch"]["prediction_date"] == "2013-10-07"
    assert 0 <= use_case["age_hours"] < 24
    # The other use cases are there, and have done nothing yet.
    assert set(by_name) == {"bike_demand", "content_tags"}
    assert all(each["last_batch"] is None for each in by_name.values())


def test_status_asks_services_that_others_started(stack: Stack, tmp_path: Path) -> None:
    known = stack.settings
    said = {
        "SPARK": known.spark,
        "MLFLOW_URL": known.mlflow_url,
        "MLFLOW_PASSWORD": known.mlflow_password,
        "AIRFLOW_URL": known.airflow_url,
        "WAREHOUSE_PORT": known.warehouse_port,
        "READER_PASSWORD": known.reader_password,
        # No settings.json is here, as in a container.
        "HOME": tmp_path,
    }
    named = {
        f"DAYBREAK_{name}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in said.items()
    }
    other = replace(stack, environment={**stack.environment, **named})
    services = _json(other, "status")["services"]
    assert {each["name"]: each["detail"] for each in services if not each["healthy"]} == {}
    assert {each["state"] for each in services} == {"RUNNING"}


def test_the_evaluation_has_every_candidate_with_intervals(stack: Stack) -> None:
    found = _json(stack, "evaluate", "flight_delay")
    candidates = {each["name"]: each["metrics"] for each in found["evaluation"]["candidates"]}
    assert list(candidates) == ["constant", "rule", "linear", "xgboost"]
    for metrics in candidates.values():
        assert {"roc_auc", "pr_auc", "log_loss", "brier", "f1"} <= metrics.keys()
    auc = candidates["xgboost"]["roc_auc"]
    assert auc["low"] < auc["value"] < auc["high"]
    assert auc["value"] > candidates["rule"]["roc_auc"]["value"] + 0.03
    assert {each["slice"] for each in found["evaluation"]["slices"]} == {
        "origin",
        "carrier",
        "hour_band",
    }
    assert (found["decision"], "gain in log loss" in found["sentence"]) == ("promote", True)


def test_seven_nights_are_live_and_a_flight_is_found(stack: Stack) -> None:
    batches = _json(stack, "publications", "flight_delay")
    live = sorted(each["prediction_date"] for each in batches if each["live"])
    assert live == [f"2013-10-0{day}" for day in range(1, 8)]
    answer = _json(stack, "lookup", "flight_delay", *KEY)
    assert answer["found"]
    assert 0 <= answer["score"] <= 1
    assert answer["model_version"] == 1
    nobody = _json(stack, "lookup", "flight_delay", "2013-10-07", "UA", "1", "JFK", "1")
    assert not nobody["found"]


def test_the_reader_s_url_selects_and_does_nothing_else(stack: Stack) -> None:
    url = stack.daybreak("warehouse-url", "--role", "reader").stdout.strip()
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "select count(*), count(distinct batch_id) from predictions.flight_delay_latest"
        ).fetchone()
        assert row == (994, 1)
        for forbidden in (
            "delete from predictions.flight_delay",
            "create table predictions.mine (a int)",
            "select * from monitoring.decisions",
        ):
            with pytest.raises(REFUSED):
                connection.execute(forbidden)  # type: ignore[arg-type]  # literals above


def test_a_person_may_promote_what_there_is(stack: Stack) -> None:
    done = stack.daybreak("promote", "flight_delay", "--version", "1", "--reason", "seen")
    assert done.returncode == 0, done.stderr
    assert "made version 1 of flight_delay the champion: seen" in done.stdout
    none = stack.daybreak("promote", "flight_delay", "--version", "99", "--reason", "seen")
    assert (none.returncode, "Version 99 of flight_delay" in none.stderr) == (1, True)
    assert stack.daybreak("promote", "flight_delay", "--version", "1").returncode == 2
    newest, *_, first = _json(stack, "decisions", "flight_delay")
    assert (newest["outcome"], newest["reason"], newest["challenger_version"]) == (
        "promote",
        "seen",
        1,
    )
    assert newest["ruled"] == first["sentence"]
    assert (first["outcome"], first["by"]) == ("promote", "daybreak")
    assert first["evidence"]["metric"] == "log_loss"


def test_a_rollback_needs_a_reason_and_a_batch(stack: Stack) -> None:
    without = stack.daybreak("rollback", "flight_delay", "--date", "2013-10-07")
    assert (without.returncode, "needs a reason" in without.stderr) == (2, True)


def test_a_failing_gate_stops_the_night_and_leaves_its_predictions_up(stack: Stack) -> None:
    landing = stack.home / "landing" / "flight_delay" / "schedule" / "date=2013-10-08"
    stack.daybreak("sample", "flight_delay", "--from", "2013-10-08", "--to", "2013-10-08")
    (file,) = landing.glob("*.csv")
    whole = file.read_text()
    header, *rows = whole.splitlines(keepends=True)
    # A schedule without one of the three airports, in time and well formed.
    file.write_text("".join([header, *[row for row in rows if ",LGA," not in row]]))
    for step in (["ingest"], ["conform"]):
        done = stack.daybreak("run", *step, "flight_delay", "--date", "2013-10-08")
        assert done.returncode == 0, done.stderr
    gate = stack.daybreak(
        "run", "gate", "flight_delay", "--layer", "silver", "--date", "2013-10-08"
    )
    assert gate.returncode == 1
    assert "expect_column_distinct_values_to_contain_set(origin) failed" in gate.stderr
    assert "Nothing was changed" in gate.stderr
    (last,) = (
        each["last_batch"]
        for each in _json(stack, "status")["use_cases"]
        if each["name"] == "flight_delay"
    )
    assert last["prediction_date"] == "2013-10-07"
