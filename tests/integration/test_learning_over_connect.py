"""XGBoost's workers as tasks of the warm engine, which is where trainings run by default."""

from __future__ import annotations

import pytest

from jobs.engine import Engine
from jobs.errors import Unavailable
from jobs.learning.candidates import boosted
from tests.stack import Stack
from tests.unit.learning import parcels

CUTOFF = parcels.START.replace(month=2, day=12)


def dealt(stack: Stack, workers: int) -> boosted.Shares:
    spark = Engine(stack.settings).session()
    return parcels.dealt(spark, parcels.plan(stack.settings), CUTOFF, workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_fit_again_gives_the_same_trees(stack: Stack, workers: int) -> None:
    model = parcels.plan(stack.settings).usecase.model

    one, two = (
        boosted.fit(dealt(stack, workers), model, model.parameters).candidate.content
        for _ in range(2)
    )

    assert one == two


def test_a_fit_that_takes_too_long_is_cancelled(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boosted, "FIT_SECONDS", 8.0)
    model = parcels.plan(stack.settings).usecase.model
    endless = model.model_copy(update={"rounds": 10**6, "early_stopping": 10**6})
    data = dealt(stack, 2)

    with pytest.raises(Unavailable, match="did not end within 8 seconds"):
        boosted.fit(data, endless, {"max_depth": 3})

    # Its slots are free for the next one.
    assert boosted.fit(data, model, model.parameters).rounds > 1
