"""Training and a night on a Spark standalone cluster: one master and two workers of one core."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Stack

SPARK_CLASS = Path(sys.executable).parent / "spark-class"
NIGHT = "2013-10-07"
# Far enough into the history for a train, a validation and a holdout part, and soon trained.
EARLY_CUTOFF = "2013-03-20"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def alive_workers(page: str) -> int:
    try:
        with urllib.request.urlopen(f"{page}/json/", timeout=2) as answer:
            return int(json.load(answer)["aliveworkers"])
    except OSError:
        return 0


@pytest.fixture(scope="module")
def cluster(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack, with `DAYBREAK_SPARK` naming a cluster of two workers on loopback."""
    folder = tmp_path_factory.mktemp("cluster")
    port, page = free_port(), free_port()
    environment = {
        **os.environ,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_WORKER_DIR": str(folder),
        "SPARK_NO_DAEMONIZE": "1",
    }
    master = ["org.apache.spark.deploy.master.Master", "--host", "127.0.0.1"]
    worker = ["org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--cores", "1"]
    commands = [
        [*master, "--port", str(port), "--webui-port", str(page)],
        *[[*worker, "--memory", "3g", f"spark://127.0.0.1:{port}"] for _ in range(2)],
    ]
    with ExitStack() as running, (folder / "log").open("w") as log:
        for command in commands:
            process = subprocess.Popen(
                [str(SPARK_CLASS), *command], env=environment, stdout=log, stderr=log
            )
            running.callback(process.wait, 30)
            running.callback(process.terminate)
        until = time.monotonic() + 60
        while alive_workers(f"http://127.0.0.1:{page}") < 2:
            assert time.monotonic() < until, (folder / "log").read_text()[-3000:]
            time.sleep(0.5)
        yield replace(
            stack,
            environment={
                **stack.environment,
                "SPARK_LOCAL_IP": "127.0.0.1",
                "DAYBREAK_SPARK": f"spark://127.0.0.1:{port}",
                "DAYBREAK_SPARK_WORKERS": "2",
                "DAYBREAK_SPARK_MEMORY": "2g",
            },
        )


def test_two_xgboost_workers_train(cluster: Stack) -> None:
    done = cluster.daybreak(
        "run", "train", "flight_delay", "--date", EARLY_CUTOFF, "--json", seconds=600
    )

    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["rows"]["train"] > 10_000
    assert found["facts"]["run_id"]


def test_a_night_gives_the_same_predictions_as_on_the_embedded_engine(cluster: Stack) -> None:
    for step in (
        ["ingest"],
        ["conform"],
        ["gate", "--layer", "silver"],
        ["features"],
        ["gate", "--layer", "features"],
        ["predict"],
        ["gate", "--layer", "predictions"],
    ):
        done = cluster.daybreak("run", *step[:1], "flight_delay", "--date", NIGHT, *step[1:])
        assert done.returncode == 0, (step, done.stderr[-3000:])

    done = cluster.daybreak("run", "publish", "flight_delay", "--date", NIGHT, "--json")

    assert done.returncode == 0, done.stderr[-3000:]
    # Publishing compares row by row checksums with what is live: nothing may have changed.
    assert json.loads(done.stdout)["facts"]["changed"] is False
