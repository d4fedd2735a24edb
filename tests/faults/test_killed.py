"""A step killed at random moments: running it again leaves what one clean run would have left.

A night is run twice from the same state, once clean and once with every step killed on its way.
`pytest -m long tests/faults` kills at least fifty times.
"""

from __future__ import annotations

import datetime as dt
import random
import subprocess
import time

import pytest
from mlflow import MlflowClient

from jobs.drill.sandbox import Sandbox
from jobs.learning import registry
from tests import own_warehouse
from tests.night import STEPS, Clean, Night
from tests.stack import Stack

MANY = 54
CUTOFF = dt.date(2013, 10, 1)


def killed_night(stack: Stack, published: Sandbox, clean: Clean, chance: random.Random) -> int:
    """Kill every step once on its way, and compare; gives how many kills came in time."""
    with published.copy() as lake, own_warehouse.own_warehouse(stack, lake, published) as copy:
        night, kills = Night(stack, copy), 0
        for step in STEPS:
            work = chance.uniform(0.0, 0.9) * clean.seconds[step]
            kills += night.kill(step, 0.8 * clean.start + work)
            night.finish(step)
        assert night.state() == clean.state
        assert own_warehouse.state(copy) == clean.warehouse
        return kills


def test_every_step_of_a_night_killed_once(stack: Stack, published: Sandbox, clean: Clean) -> None:
    seed = int(time.time())
    print(f"seed {seed}")
    assert killed_night(stack, published, clean, random.Random(seed)) >= 6


@pytest.mark.long
def test_fifty_kills(stack: Stack, published: Sandbox, clean: Clean) -> None:
    total, seed = 0, int(time.time())
    while total < MANY:
        print(f"seed {seed}")
        total += killed_night(stack, published, clean, random.Random(seed))
        seed += 1
    print(f"{total} kills survived")


def known_to_mlflow(client: MlflowClient) -> dict[str, object]:
    versions = client.search_model_versions("name = 'flight_delay'")
    return {
        "versions": sorted((v.version, v.run_id, tuple(sorted(v.tags.items()))) for v in versions),
        "champion": registry.alias(client, "flight_delay", registry.CHAMPION),
        "previous": registry.alias(client, "flight_delay", registry.PREVIOUS),
    }


@pytest.mark.parametrize(("step", "after"), [("train", 20.0), ("evaluate", 5.0), ("promote", None)])
def test_a_killed_step_of_learning_leaves_the_registry_as_it_was(
    stack: Stack, step: str, after: float | None
) -> None:
    client = registry.connect(stack.settings)
    words = ["run", step, "flight_delay", "--date", str(CUTOFF)]
    if step == "promote":
        # Of the evaluation as it is now: more labels are known than when the demo trained. Done
        # again it takes as long, of which the kill leaves out the end.
        began = time.monotonic()
        assert stack.daybreak(*words).returncode == 0
        after = 0.7 * (time.monotonic() - began)
    before = known_to_mlflow(client)
    with pytest.raises(subprocess.TimeoutExpired):
        # At its end `subprocess.run` kills what it started.
        stack.daybreak(*words, seconds=after)
    assert known_to_mlflow(client) == before
    if step != "train":
        done = stack.daybreak(*words)
        assert done.returncode == 0, done.stderr
        assert known_to_mlflow(client) == before
