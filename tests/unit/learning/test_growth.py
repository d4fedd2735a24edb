"""The learning curve: fits on shares of the rows, with the settings of the training."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.errors import Refused
from jobs.learning import growth as module
from jobs.learning.fitting import Trained
from jobs.learning.tune import Trial, Tuned
from jobs.settings import Settings
from tests.unit.learning import parcels


def fitted(rows: int, value: float) -> Trained:
    """What a training on so many rows gives."""
    return Trained(
        models={"linear": SimpleNamespace()},  # type: ignore[dict-item]
        validation={"linear": {"log_loss": value}},
        rows={"train": rows, "validation": 100},
        kept=rows,
        settings={"max_depth": 4, "rounds_kept": 9},
        tuning={},
        leaks=(),
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The models that were fitted again; of an eighth of the rows there is none."""
    seen: list[Any] = []

    def fit_all(parts: Any, plan: Any, *_: Any) -> Trained:
        seen.append(plan.usecase.model)
        if len(seen) == 1:
            raise Refused("No row is yes.", "Bring more.")
        return fitted(100 * len(seen), 0.5 if len(seen) == 2 else float("nan"))

    monkeypatch.setattr(module, "fit_all", fit_all)
    monkeypatch.setattr(module, "hash_of", lambda *_: 0)
    return seen


def grown(trained: Trained) -> Any:
    plan = parcels.plan(Settings(), model={**parcels.SPEC["model"], "metric": "log_loss"})
    rows = SimpleNamespace(where=lambda _: None)
    parts = SimpleNamespace(train=rows, validation=rows)
    return module.growth(parts, plan, "2024-02-01", trained)  # type: ignore[arg-type]


def test_what_a_search_found_is_kept_for_trees_and_line(asked: list[Any]) -> None:
    best = Trial("linear", 3, {"ridge": 0.25}, 0.4, None, False, 1.0)
    trained = replace(fitted(800, 0.4), tuning={"linear": Tuned(best, 5, 0, 2.0)})
    grown(trained)
    assert [each.ridge for each in asked] == [0.25] * 3
    assert all(dict(each.parameters) == {"max_depth": 4} for each in asked)


def test_a_share_that_teaches_nothing_is_left_out_and_what_has_no_value_is_none(
    asked: list[Any],
) -> None:
    found = grown(fitted(800, 0.4))
    assert found.rows == (200, 300, 800)
    assert found.candidates == {"linear": (0.5, None, 0.4)}
    assert asked[0].ridge == asked[2].ridge
