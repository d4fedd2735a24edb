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
from pyspark import SparkContext

from jobs.engine import Engine
from jobs.prediction.publish import Source, publish_batch
from tests.integration.night_of_scores import DATE, NIGHT, scores
from tests.night import STEPS, Clean, Night
from tests.stack import Stack

SPARK_CLASS = Path(sys.executable).parent / "spark-class"
# Far enough into the history for a train, a validation and a holdout part, and soon trained.
EARLY_CUTOFF = "2013-03-20"
# Three cold JVMs for one night on two cores: the optimising compiler would have most of them (a
# night took 180 s with it, and 138 s without).
QUICK_START = "-XX:TieredStopAtLevel=1"


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


def a_jvm_of_its_own() -> None:
    """End the JVM of earlier tests, whose settings a new application in it would inherit."""
    if gateway := SparkContext._gateway:
        gateway.shutdown()
        gateway.proc.stdin.close()
        SparkContext._gateway = SparkContext._jvm = None


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
        "JAVA_TOOL_OPTIONS": QUICK_START,
        "PYSPARK_PYTHON": sys.executable,
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
                "JAVA_TOOL_OPTIONS": QUICK_START,
                "DAYBREAK_SPARK": f"spark://127.0.0.1:{port}",
                "DAYBREAK_SPARK_WORKERS": "2",
                "DAYBREAK_SPARK_MEMORY": "2g",
            },
        )


def with_event_log(stack: Stack, folder: Path) -> Stack:
    """The stack, whose Spark applications write down in a folder what ran where."""
    conf = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": folder.as_uri(),
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
    }
    lines = "".join(f"{name} {value}\n" for name, value in conf.items())
    (folder / "spark-defaults.conf").write_text(lines)
    return replace(stack, environment={**stack.environment, "SPARK_CONF_DIR": str(folder)})


def executors_of_barriers(folder: Path) -> list[set[str]]:
    """For each barrier stage that ended, the executors that its tasks ran on."""
    (log,) = folder.glob("app-*")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    stages = [e["Stage Info"] for e in events if e["Event"] == "SparkListenerStageCompleted"]
    barriers = [s["Stage ID"] for s in stages if any(rdd["Barrier"] for rdd in s["RDD Info"])]
    tasks = [event for event in events if event["Event"] == "SparkListenerTaskEnd"]
    return [
        {task["Task Info"]["Executor ID"] for task in tasks if task["Stage ID"] == barrier}
        for barrier in barriers
    ]


@pytest.mark.timeout(900)
def test_two_xgboost_workers_train(cluster: Stack, tmp_path: Path) -> None:
    done = with_event_log(cluster, tmp_path).daybreak(
        "run", "train", "flight_delay", "--date", EARLY_CUTOFF, "--json", seconds=600
    )

    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["rows"]["train"] > 10_000
    assert found["facts"]["run_id"]
    # XGBoost's workers are the tasks of the only barrier stages that there are.
    fits = executors_of_barriers(tmp_path)
    assert fits
    assert {len(executors) for executors in fits} == {2}


@pytest.mark.timeout(900)
def test_a_night_gives_the_same_tables_as_on_the_embedded_engine(
    cluster: Stack, night: Night, clean: Clean, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_jvm_of_its_own()
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", QUICK_START)
    settings = night.box.context.plan.settings.model_copy(
        update={
            "spark": cluster.environment["DAYBREAK_SPARK"],
            "spark_memory": "2g",
            "spark_workers": 2,
        }
    )
    plan = replace(night.box.context.plan, settings=settings)
    engine = Engine(settings)
    context = replace(night.box.context, plan=plan, engine=engine)
    there = Night(cluster, replace(night.box, context=context))
    try:
        # One application for all of them; one for each is what `daybreak run` would start.
        there.run(STEPS[:-1])
        assert {
            name: digest for name, digest in there.state().items() if digest != clean.state[name]
        } == {}
        # The night's scores are live already; these are not, and come from both executors.
        table = replace(NIGHT, use_case="cluster_night")
        frame = scores(engine.session(), 20_000, 1)
        published = publish_batch(frame, table, DATE, Source("cluster_night", 1), settings)
        assert (published.changed, published.rows) == (True, 20_000)
    finally:
        engine.stop()
