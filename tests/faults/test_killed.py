"""A step killed at random moments: running it again leaves what one clean run would have left.

A night is run twice from the same state, once clean and once with every step killed on its way.
`pytest -m long tests/faults` kills at least fifty times.
"""

from __future__ import annotations

import datetime as dt
import random
import subprocess
import time
from collections.abc import Mapping

import pytest
from mlflow import MlflowClient

from jobs.drill.sandbox import Sandbox
from jobs.learning import registry
from tests import own_warehouse
from tests.night import STEPS, Clean, Night
from tests.stack import Stack

MANY = 54
CUTOFF = dt.date(2013, 10, 1)


def killed_night(
    stack: Stack, published: Sandbox, clean: Clean, chance: random.Random
) -> tuple[int, Mapping[str, str]]:
    """Kill every step once on its way; gives how many kills came in time, and what is left."""
    with published.copy() as lake, own_warehouse.own_warehouse(stack, lake, published) as copy:
        night, kills = Night(stack, copy), 0
        for step in STEPS:
            work = chance.uniform(0.0, 0.9) * clean.seconds[step]
            kills += night.kill(step, 0.8 * clean.start + work)
            night.finish(step)
        return kills, {**night.state(), **own_warehouse.state(copy)}


def test_every_step_of_a_night_killed_once(stack: Stack, published: Sandbox, clean: Clean) -> None:
    seed = int(time.time())
    kills, found = killed_night(stack, published, clean, random.Random(seed))
    assert found == clean.state, f"seed {seed}"
    assert kills >= 6, f"seed {seed}"


@pytest.mark.long
def test_fifty_kills(stack: Stack, published: Sandbox, clean: Clean) -> None:
    total, seed = 0, int(time.time())
    while total < MANY:
        kills, found = killed_night(stack, published, clean, random.Random(seed))
        assert found == clean.state, f"seed {seed}"
        total, seed = total + kills, seed + 1
    print(f"{total} kills survived")


def known_to_mlflow(client: MlflowClient) -> dict[str, object]:
    versions = client.search_model_versions("name = 'flight_delay'")
    return {
        "versions": sorted((v.version, v.run_id, tuple(sorted(v.tags.items()))) for v in versions),
        "champion": registry.alias(client, "flight_delay", registry.CHAMPION),
        "previous": registry.alias(client, "flight_delay", registry.PREVIOUS),
    }


@pytest.mark.parametrize(("step", "after"), [("train", 20.0), ("evaluate", 5.0), ("promote", 3.0)])
def test_a_killed_step_of_learning_leaves_the_registry_as_it_was(
    stack: Stack, step: str, after: float
) -> None:
    client = registry.connect(stack.settings)
    words = ["run", step, "flight_delay", "--date", str(CUTOFF)]
    if step == "promote":
        # Of the evaluation as it is now: more labels are known than when the demo trained.
        assert stack.daybreak(*words).returncode == 0
    before = known_to_mlflow(client)
    with pytest.raises(subprocess.TimeoutExpired):
        # At its end `subprocess.run` kills what it started.
        stack.daybreak(*words, seconds=after)
    assert known_to_mlflow(client) == before
    if step != "train":
        done = stack.daybreak(*words)
        assert done.returncode == 0, done.stderr
        assert known_to_mlflow(client) == before
