"""Learning against a real MLflow server and a real XGBoost on Spark."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from jobs.context import Context
from jobs.engine import Engine
from jobs.errors import Refused, Unavailable
from jobs.lake.tables import Tables
from jobs.learning import registry
from jobs.learning.candidates import boosted
from jobs.learning.train import evaluate, promote, train
from jobs.learning.trials import Trees
from jobs.learning.tune import JOURNALS
from jobs.plan import Dates
from jobs.prediction.score import score
from jobs.settings import Settings
from tests.jars import jars_folder
from tests.unit.learning import parcels

CUTOFF = parcels.START.replace(month=2, day=12)
LATER = CUTOFF.replace(day=14)
NAME = parcels.SPEC["name"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="module")
def mlflow_url(artifacts: Path) -> Iterator[str]:
    url = f"http://127.0.0.1:{free_port()}"
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
            *("--port", url.rsplit(":", 1)[1]),
            *("--backend-store-uri", f"sqlite:///{artifacts}/mlflow.db"),
            *("--artifacts-destination", str(artifacts / "files")),
        ],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(url)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait_for(url: str) -> None:
    for _ in range(240):
        try:
            if requests.get(f"{url}/health", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.5)
    pytest.fail("the MLflow server did not start")


@pytest.fixture(scope="module")
def settings(mlflow_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("home"),
        spark="local[2]",
        spark_memory="2g",
        jars=jars_folder(),
        mlflow_url=mlflow_url,
    )


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[Engine]:
    engine = Engine(settings)
    tables = Tables(parcels.plan(settings))
    data = parcels.rows(days=45, per_day=90)
    parcels.write(engine.session(), tables.features(), tables.labels(), data)
    yield engine
    engine.stop()


def context(engine: Engine, **options: Any) -> Context:
    date = options.pop("date", CUTOFF)
    return Context(parcels.plan(engine.settings), Dates.one(date), engine, options)


@pytest.fixture(scope="module")
def first(engine: Engine) -> dict[str, Any]:
    """The facts of a first training, evaluation and promotion."""
    ctx = context(engine)
    with pytest.raises(Refused, match="No finished training"):
        evaluate(ctx)
    trained = train(ctx)
    with pytest.raises(Refused, match="was not evaluated"):
        promote(ctx)
    judged = evaluate(ctx)
    assert judged.facts["run_id"] == trained.facts["run_id"]
    return dict(promote(ctx).facts)


def test_a_first_training_gives_a_champion(engine, first):
    assert first["status"] == "promote"
    assert first["model_version"] == 1
    client = registry.connect(engine.settings)
    assert registry.alias(client, NAME, "champion") == 1
    run = client.get_run(first["run_id"])
    assert run.data.tags["daybreak.features_version"] == "0"
    assert len(run.data.tags["daybreak.training_sha256"]) == 64
    assert run.data.metrics["holdout.xgboost.roc_auc"] > 0.6
    there = {f.path for f in client.list_artifacts(first["run_id"])}
    there |= {f.path for f in client.list_artifacts(first["run_id"], "evaluation")}
    assert {"report.html", "evaluation/evaluation.json", "evaluation/details.json"} <= there


def test_doing_it_again_changes_nothing(engine, first):
    ctx = context(engine)
    evaluate(ctx)
    again = promote(ctx).facts
    assert again == first
    client = registry.connect(engine.settings)
    assert len(client.search_model_versions(f"name = '{NAME}'")) == 1


def test_training_again_gives_the_same_files(engine, first):
    client = registry.connect(engine.settings)
    again = client.get_run(train(context(engine)).facts["run_id"]).data.tags
    before = client.get_run(first["run_id"]).data.tags
    digests = [tag for tag in before if tag == "daybreak.training_sha256" or ".sha256." in tag]
    assert len(digests) == 5
    assert {tag: again[tag] for tag in digests} == {tag: before[tag] for tag in digests}


def test_champion_scores_rows_of_gold(engine, first):
    loaded = registry.load(engine.settings, NAME)
    tables = Tables(parcels.plan(engine.settings))
    features = tables.features().read(engine.session())
    scored = score(features, loaded, tables).toArrow()
    assert scored.num_rows == 45 * 90
    assert set(scored["model_version"].to_pylist()) == {1}
    scores = scored["score"].to_numpy()
    assert ((scores > 0) & (scores < 1)).all()
    said = scored["prediction"].to_numpy(zero_copy_only=False)
    assert ((scores >= loaded.model.threshold) == said).all()
    with pytest.raises(Refused, match="weight"):
        score(features.drop("weight"), loaded, tables)


def test_a_challenger_that_is_no_better_leaves_the_champion(engine, first):
    ctx = context(engine, date=LATER)
    train(ctx)
    evaluate(ctx)
    decided = promote(ctx)
    assert decided.facts["status"] == "keep"
    assert "does not beat" in decided.sentence
    client = registry.connect(engine.settings)
    assert registry.alias(client, NAME, "champion") == 1


def test_a_holdout_after_the_cutoff_is_of_the_days_that_were_asked_for(engine, first):
    ctx = context(engine, date=LATER.replace(day=1), holdout_until="2024-02-12")
    run_id = train(ctx).facts["run_id"]
    assert evaluate(ctx).facts["run_id"] == run_id
    client = registry.connect(engine.settings)
    evidence = client.download_artifacts(run_id, "evaluation/evaluation.json")
    found = json.loads(Path(evidence).read_text(encoding="utf-8"))
    assert (found["first"], found["last"]) == ("2024-02-01", "2024-02-12")
    assert registry.alias(client, NAME, "champion") == 1


def test_a_champion_that_has_seen_the_holdout_is_a_persons_matter(engine, first):
    """It learned from the days up to 29 January."""
    ctx = context(engine, date=CUTOFF.replace(month=1, day=25), holdout_until="2024-02-05")
    train(ctx)
    evaluate(ctx)
    decided = promote(ctx)
    assert decided.facts["status"] == "needs_person"
    assert "learned from the days up to 2024-01-29" in decided.sentence
    assert registry.alias(registry.connect(engine.settings), NAME, "champion") == 1


def test_a_what_if_beside_a_training_changes_nothing_for_it(engine, first):
    ctx = context(engine, date=LATER)
    run_id = train(ctx).facts["run_id"]
    asked = train(context(engine, date=LATER, what_if=True)).facts["run_id"]
    assert evaluate(ctx).facts["run_id"] == run_id
    what_if = context(engine, date=LATER, what_if=True, run_id=asked)
    assert evaluate(what_if).facts["run_id"] == asked
    with pytest.raises(Refused, match="answers a what-if"):
        promote(what_if)


def test_all_that_was_chosen_is_kept_with_the_run(engine, first):
    kept = registry.connect(engine.settings).get_run(first["run_id"]).data.params
    assert (kept["seed"], kept["xgboost.most_rounds"], kept["rule.by"]) == ("7", "60", "depot")


def test_tuning_keeps_a_run_for_each_trial(engine, first):
    result = train(context(engine, trials=2))
    client = registry.connect(engine.settings)
    experiment = client.get_experiment_by_name(NAME).experiment_id
    nested = client.search_runs(
        [experiment], f"tags.`mlflow.parentRunId` = '{result.facts['run_id']}'"
    )
    assert {run.info.run_name for run in nested} == {
        f"{kind} trial {number}" for kind in ("linear", "xgboost") for number in (0, 1)
    }
    assert "Of 2 trials of xgboost, 0 of them cut off, number" in result.sentence
    # Nothing is left of a training that came to its end.
    assert not list((Path(context(engine).tables.root) / JOURNALS).iterdir())


def test_a_training_that_failed_goes_on_with_the_trials_that_were_done(engine, first, monkeypatch):
    def failing(*_: object) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(boosted, "fit", failing)
    with pytest.raises(RuntimeError, match="no memory"):
        train(context(engine, trials=2))
    monkeypatch.undo()
    monkeypatch.setattr(Trees, "tried", failing)
    result = train(context(engine, trials=2))
    client = registry.connect(engine.settings)
    assert client.get_run(result.facts["run_id"]).data.params["tune.xgboost.trials"] == "2"


def test_promotion_killed_in_the_middle_converges(engine, first):
    client = registry.connect(engine.settings)
    client.create_registered_model("aliases")
    for _ in range(2):
        client.create_model_version(
            "aliases", source=_source(client, first), run_id=first["run_id"]
        )
    registry.promote(client, "aliases", 1)
    client.set_registered_model_alias("aliases", "previous", "1")  # and here it was killed
    for _ in range(2):
        registry.promote(client, "aliases", 2)
        assert registry.alias(client, "aliases", "champion") == 2
        assert registry.alias(client, "aliases", "previous") == 1


def test_a_changed_file_is_refused_before_it_is_loaded(engine, first, artifacts):
    (index,) = [
        path
        for path in artifacts.rglob("model.json")
        if first["run_id"] in path.parts and path.parent.name == first["evaluation"]["challenger"]
    ]
    content = index.read_bytes()
    try:
        index.write_bytes(content.replace(b'"threshold"', b'"Threshold"'))
        with pytest.raises(Refused, match=r"model.json was changed after it was registered"):
            registry.load(engine.settings, NAME)
        index.unlink()
        with pytest.raises(Refused, match=r"lacks its file model.json"):
            registry.load(engine.settings, NAME)
    finally:
        index.write_bytes(content)
    assert registry.load(engine.settings, NAME).version == 1


def test_no_champion_is_refused_with_the_way_to_get_one(engine):
    with pytest.raises(Refused, match="daybreak trigger unheard_of train"):
        registry.load(engine.settings, "unheard_of")


def test_a_dead_server_is_known_within_seconds(settings):
    dead = settings.model_copy(update={"mlflow_url": f"http://127.0.0.1:{free_port()}"})
    started = time.monotonic()
    with pytest.raises(Unavailable, match="does not answer"):
        registry.connect(dead)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_worker_fails_the_fit_in_bounded_time(engine, workers):
    plan = parcels.plan(engine.settings)
    data = parcels.dealt(engine.session(), plan, CUTOFF, workers)
    assert data.workers == workers
    endless = plan.usecase.model.model_copy(update={"rounds": 10**6, "early_stopping": 10**6})
    killed: list[float] = []
    threading.Thread(target=_kill_busiest_worker, args=(killed,), daemon=True).start()
    with pytest.raises(Unavailable, match="XGBoost fit"):
        boosted.fit(data, endless, {"max_depth": 3})
    assert time.monotonic() - killed[0] < 60


def _kill_busiest_worker(killed: list[float]) -> None:
    """Kill the Python worker that is computing: the one that boosts."""
    before: dict[int, float] = {}
    while not killed:
        time.sleep(4)
        now = _worker_seconds()
        for pid, seconds in now.items():
            # The others wait; on a busy machine this one has less than a core.
            if seconds - before.get(pid, seconds) > 1:
                psutil.Process(pid).kill()
                killed.append(time.monotonic())
                return
        before = now


def _worker_seconds() -> dict[int, float]:
    """CPU seconds of each Python worker so far; they are kept between jobs and tests."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "jobs.daemon" in process.cmdline():
                found[process.pid] = sum(process.cpu_times()[:2])
    return found


def test_a_champion_with_other_features_is_a_persons_matter(engine, first):
    features = {**parcels.SPEC["features"], "numeric": ["hour", "rain"]}
    plan = parcels.plan(engine.settings, features=features)
    moved = engine.settings.model_copy(update={"lake": f"{engine.settings.lake}-less"})
    ctx = replace(context(engine), plan=replace(plan, settings=moved))
    data = parcels.rows(days=45, per_day=90)
    parcels.write(engine.session(), ctx.tables.features(), ctx.tables.labels(), data)
    train(ctx)
    evaluate(ctx)
    decided = promote(ctx)
    assert decided.facts["status"] == "needs_person"
    assert f"daybreak promote {NAME} --version" in decided.sentence
    assert "weight" in decided.sentence


def _source(client: Any, first: dict[str, Any]) -> str:
    return f"{client.get_run(first['run_id']).info.artifact_uri}/candidates/constant"
