"""What is wrong in a use-case file is named by file and field."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xgboost
import yaml

from jobs.errors import Refused
from jobs.settings import PROJECT
from jobs.usecase import GROWING, load, names

FLIGHTS = PROJECT / "jobs/usecases/flight_delay/usecase.yaml"


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The flights' file with something else in it."""
    written = yaml.safe_load(FLIGHTS.read_text(encoding="utf-8"))
    change(written)
    (folder / "flight_delay").mkdir()
    path = folder / "flight_delay" / "usecase.yaml"
    path.write_text(yaml.safe_dump(written), encoding="utf-8")
    return path.parent


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda spec: spec.update(colour="red"), "unknown field 'colour'"),
        (lambda spec: spec["label"].update(mature=1), "unknown field 'label.mature'"),
        (lambda spec: spec.pop("entity"), "entity"),
        (lambda spec: spec["schedule"].update(cron="every day"), "schedule.cron"),
        (lambda spec: spec["split"].update(holdout="a month"), "split.holdout"),
        (lambda spec: spec["label"].update(source="nowhere"), "nowhere"),
        (lambda spec: spec["entity"].update(date="day"), "entity.date 'day'"),
        (lambda spec: spec.update(timezone="Mars/Olympus"), "Mars/Olympus"),
        (lambda spec: spec.update(name="other"), "name is 'other'"),
        (lambda spec: spec["model"]["parameters"].update(max_deep=6), "['max_deep'] cannot be set"),
        (lambda spec: spec["predict"].update(columns=["carrier"]), "['carrier'] are published"),
        (lambda spec: spec["predict"].update(columns=["colour"]), "['colour']"),
        (lambda spec: spec["sources"]["schedule"]["key"].append("nope"), "nope"),
        (
            lambda spec: (
                spec["sources"]["actuals"].update(date="day", drift="declared")
                or spec["sources"]["actuals"]["columns"].update(day={"type": "date"})
            ),
            "label.source 'actuals' is laid out by 'day', and labels are of entity.date",
        ),
        (
            lambda spec: (
                spec["sources"]["actuals"]["columns"]["carrier"].update(since="2013-02-01")
                or spec["sources"]["actuals"].update(drift="declared")
            ),
            "['carrier'] is key or date, which files of every day have",
        ),
        (
            lambda spec: spec["sources"]["actuals"]["columns"]["dest"].update(max=3),
            "min and max are of numbers, and this is a string",
        ),
        (
            lambda spec: spec["gates"]["silver"]["actuals"][0]["arguments"].update(column="delay"),
            "gates.silver.actuals names columns it has not: ['delay']",
        ),
        (
            lambda spec: spec["gates"].update(
                features=[{"expect": "expect_column_to_exist", "arguments": {"column": "nope"}}]
            ),
            "gates.features names unknown features: ['nope']",
        ),
    ],
)
def test_a_wrong_field_is_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    folder = changed(tmp_path, change)
    with pytest.raises(Refused) as refused:
        load(folder)
    assert said in refused.value.sentence
    assert str(folder / "usecase.yaml") in refused.value.sentence


def test_xgboost_knows_every_parameter_that_may_be_set() -> None:
    known = inspect.signature(xgboost.XGBModel).parameters
    assert [name for name in GROWING if name not in known] == []


def test_what_is_no_yaml_is_said(tmp_path: Path) -> None:
    folder = changed(tmp_path, lambda spec: None)
    (folder / "usecase.yaml").write_text("name: [flight_delay\n", encoding="utf-8")
    with pytest.raises(Refused, match="not valid YAML"):
        load(folder)


def test_an_unknown_use_case_names_the_known_ones() -> None:
    with pytest.raises(Refused) as refused:
        load(FLIGHTS.parents[1] / "flight_delays")
    assert "flight_delay" in refused.value.remedy
    assert "flight_delay" in names(FLIGHTS.parents[1])
