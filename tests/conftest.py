"""One embedded stack for all integration tests: started by them, on free ports, stopped after.

Its state is what `daybreak demo` leaves: nine months loaded, a champion, seven nights published.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.drill.sandbox import Sandbox
from tests import own_warehouse
from tests.night import DAY, NIGHT, STEPS, Clean, Night, lake_before
from tests.stack import Stack, environment_of, fresh_home

DEMO_SECONDS = 1500


def pytest_configure() -> None:
    """End as after Ctrl-C when CI cancels a run, so that no service of ours is left running."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The stack after a demo; what the demo printed is in `demo.txt` of its home.

    While tests are written, `DAYBREAK_TEST_HOME` names the home of one that is up already.
    """
    if there := os.environ.get("DAYBREAK_TEST_HOME"):
        yield Stack(Path(there), environment_of(Path(there)))
        return
    home = fresh_home()
    running = Stack(home, environment_of(home))
    try:
        done = running.daybreak("demo", seconds=DEMO_SECONDS)
        (home / "demo.txt").write_text(done.stdout + done.stderr)
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        yield running
    finally:
        running.daybreak("down")
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def demo_output(stack: Stack) -> str:
    """What `daybreak demo` printed."""
    return (stack.home / "demo.txt").read_text()


@pytest.fixture(scope="session")
def base(stack: Stack) -> Iterator[Sandbox]:
    with lake_before(stack, NIGHT, NIGHT) as box:
        yield box


@pytest.fixture
def night(stack: Stack, base: Sandbox) -> Iterator[Night]:
    """A fresh copy of the night."""
    with base.copy() as copy:
        yield Night(stack, copy)


@pytest.fixture(scope="session")
def published(stack: Stack, base: Sandbox) -> Iterator[Sandbox]:
    """The sandbox with a warehouse of its own, in which the two nights before were published."""
    with own_warehouse.own_warehouse(stack, base) as box:
        for date in (DAY - dt.timedelta(days=1), DAY):
            Night(stack, box).run([("publish",)], date)
        yield box


@pytest.fixture(scope="session")
def clean(stack: Stack, published: Sandbox) -> Clean:
    with published.copy() as lake, own_warehouse.own_warehouse(stack, lake, published) as copy:
        clean = Night(stack, copy)
        seconds = {step: clean.timed(step) for step in STEPS}
        state, warehouse = clean.state(), own_warehouse.state(copy)
        # A step whose work is done already takes its start.
        return Clean(state, warehouse, clean.finish(("labels",)), seconds)
