"""A night without a champion scores nothing, says so, and leaves what is live."""

from __future__ import annotations

from jobs.learning import registry
from jobs.prediction.batches import publications
from tests.stack import Stack


def batches(stack: Stack) -> list[tuple[int, bool]]:
    """Each batch that there is, and whether it is live."""
    return [(each.batch_id, each.live) for each in publications(stack.settings, "flight_delay")]


def test_without_a_champion_the_last_batch_stays_up(stack: Stack) -> None:
    name, client = "flight_delay", registry.connect(stack.settings)
    champion = registry.alias(client, name, registry.CHAMPION)
    before = batches(stack)
    assert any(live for _, live in before)
    client.delete_registered_model_alias(name, registry.CHAMPION)
    try:
        done = stack.daybreak("run", "predict", name, "--date", "2013-10-07")
    finally:
        client.set_registered_model_alias(name, registry.CHAMPION, str(champion))
    assert done.returncode == 1
    assert "flight_delay has no model with the alias champion" in done.stderr
    assert "daybreak trigger flight_delay train" in done.stderr
    assert batches(stack) == before
