"""A step killed at any moment: running it again leaves what one clean run would have left."""

from __future__ import annotations

import subprocess
import time

import psycopg
import pytest

from jobs.engine import Engine
from jobs.lake.tables import Tables
from jobs.learning.dataset import content_hash
from jobs.plan import Plan
from jobs.settings import PROJECT
from tests.conftest import DAYBREAK, Stack

NIGHT = "2013-10-06"
STEPS = (
    ("conform",),
    ("gate", "--layer", "silver"),
    ("features",),
    ("gate", "--layer", "features"),
    ("predict",),
    ("gate", "--layer", "predictions"),
    ("publish",),
)


def _state(stack: Stack) -> dict[str, str]:
    """Checksums of what a night leaves; the moment of scoring is not part of a score."""
    plan = Plan.of("flight_delay", stack.settings)
    tables, spark = Tables(plan), Engine(stack.settings).session()
    found = {
        table.name: content_hash(table.read(spark).drop("scored_at"))
        for table in (
            *(tables.silver(name) for name in plan.usecase.sources),
            *(tables.quarantine(name) for name in plan.usecase.sources),
            tables.features(),
            tables.predictions(),
        )
    }
    url = stack.daybreak("warehouse-url", "--role", "reader").stdout.strip()
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "select count(*), count(distinct (prediction_date, batch_id)),"
            " md5(string_agg(flight || origin || score, ',' order by flight, origin, score))"
            " from predictions.flight_delay"
        ).fetchone()
    return {**found, "warehouse": str(row)}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: " ".join(step))
def test_killed_and_run_again(stack: Stack, step: tuple[str, ...]) -> None:
    before = _state(stack)
    words = [str(DAYBREAK), "run", step[0], "flight_delay", "--date", NIGHT, *step[1:]]
    for seconds in (1.5, 3.0):
        started = subprocess.Popen(
            words,
            env=stack.environment,
            cwd=PROJECT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(seconds)
        started.kill()
        started.wait()
    again = stack.daybreak(*words[1:])
    assert again.returncode == 0, again.stderr
    for gated, layer in (("features", "features"), ("predict", "predictions")):
        if step[0] == gated:
            passed = stack.daybreak(
                "run", "gate", "flight_delay", "--date", NIGHT, "--layer", layer
            )
            assert passed.returncode == 0, passed.stderr
    assert _state(stack) == before
