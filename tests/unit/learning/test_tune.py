"""The search for settings: what a kill leaves of it, what it costs, and what it must not see."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from optuna.storages import InMemoryStorage
from pyspark.sql import SparkSession

from jobs.lake.tables import Tables
from jobs.learning import reference, trials
from jobs.learning.balance import TIMES, Balance, times_of
from jobs.learning.candidates.linear import Ready
from jobs.learning.dataset import Parts
from jobs.learning.fitting import Trained, fit_all
from jobs.learning.recipe.fit import FOLD
from jobs.learning.recipe.recipe import Recipe
from jobs.learning.targets.binary import Binary
from jobs.learning.targets.regression import Regression
from jobs.learning.trials import Judges, Line, Sample, Trees, searched
from jobs.learning.tune import (
    A_WEEK,
    JOURNALS,
    Report,
    Trial,
    Tuned,
    forget_journals,
    journal,
    journal_of,
    tuned,
)
from jobs.plan import Plan, Split
from jobs.settings import Settings
from jobs.usecase import Imbalance, Model, Range
from tests.unit.learning import parcels
from tests.unit.learning.conftest import CUTOFF

SEARCH = {"x": Range(low=-10, high=10), "max_depth": Range(low=1, high=9), "how": ("a", "b")}


@dataclass
class Bowl:
    """Least where x is 3, max_depth 5 and how is b; each trial reports ten steps on its way."""

    dies_at: int = -1
    tried_: list[Mapping[str, Any]] = field(default_factory=list)
    steps: int = 0
    kind: str = "bowl"
    sign: float = -1.0

    def tried(self, settings: Mapping[str, Any], report: Report) -> tuple[float, int | None]:
        self.tried_.append(settings)
        value = (settings["x"] - 3) ** 2 + (settings.get("max_depth", 1) - 5) ** 2
        value += 0.0 if settings.get("how") == "b" else 4.0
        for step in range(1, 11):
            self.steps += 1
            if len(self.tried_) - 1 == self.dies_at and step == 6:
                os.kill(os.getpid(), signal.SIGKILL)
            report(step, value + 10 - step)
        return value, 10


def search(
    bowl: Bowl, storage: Any, number: int = 30, seconds: float = 1e9
) -> tuple[Tuned, list[Trial]]:
    told: list[Trial] = []
    found = tuned(
        bowl,
        {"x": 9.5},
        SEARCH,
        trials=number,
        seconds=seconds,
        seed=7,
        storage=storage,
        record=told.append,
    )
    return found, told


def killed(path: Path, dies_at: int) -> None:
    """A search in a process of its own, which is killed in one of its trials."""
    child = os.fork()
    if not child:
        try:
            with journal(path) as storage:
                search(Bowl(dies_at=dies_at), storage)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def without_times(told: list[Trial]) -> list[tuple[Any, ...]]:
    return [(t.kind, t.number, dict(t.settings), t.value, t.rounds, t.cut_off) for t in told]


def test_a_search_finds_what_is_better_than_declared_and_cuts_the_hopeless_off():
    bowl = Bowl()
    found, told = search(bowl, InMemoryStorage())
    assert told[0].settings == {"x": 9.5}
    assert found.best.value < 5 < told[0].value
    assert (found.trials, found.cut_off) == (30, sum(trial.cut_off for trial in told))
    assert found.cut_off > 5
    # Six of ten steps are the fewest that a trial takes.
    assert bowl.steps < 30 * 10 - 5 * 4
    assert not any(trial.cut_off for trial in told[:5])
    assert {type(trial.settings["max_depth"]) for trial in told[1:]} == {int}
    assert all(-10 <= trial.settings["x"] <= 10 for trial in told)


def test_the_same_seed_draws_the_same_trials():
    first, second = (search(Bowl(), InMemoryStorage())[1] for _ in range(2))
    assert without_times(first) == without_times(second)


def test_settings_that_lead_nowhere_are_the_worst():
    class Cliff(Bowl):
        def tried(self, settings: Mapping[str, Any], report: Report) -> tuple[float, int | None]:
            value, rounds = super().tried(settings, report)
            report(11, np.nan)
            return (value if settings.get("how") == "a" else np.nan), rounds

    found, told = search(Cliff(), InMemoryStorage())
    assert (found.trials, found.best.settings["how"]) == (30, "a")
    assert told[0].value == np.inf


@pytest.mark.parametrize("dies_at", [0, 1, 13])
def test_a_killed_search_goes_on_as_if_it_had_not_been_killed(tmp_path: Path, dies_at: int):
    path = tmp_path / "tuning" / "trials.log"
    killed(path, dies_at)
    # It was writing when it was killed, and held the file.
    with path.open("ab") as file:
        file.write(b'{"op_code": 6, "wor')
    os.symlink(path, f"{path}.lock")
    bowl, started = Bowl(), time.monotonic()
    with journal(path) as storage:
        found, told = search(bowl, storage)
    assert len(bowl.tried_) == 30 - dies_at
    whole, all_told = search(Bowl(), InMemoryStorage())
    assert without_times(told) == without_times(all_told)
    assert without_times([found.best]) == without_times([whole.best])
    assert time.monotonic() - started < 30
    assert list(path.parent.iterdir()) == []


def test_two_at_once_do_not_meet(tmp_path: Path):
    path = tmp_path / "trials.log"
    with journal(path) as first:
        with journal(path) as second:
            search(Bowl(), second, 3)
        bowl = Bowl()
        search(bowl, first, 3)
        assert len(bowl.tried_) == 3
        assert path.exists()


def test_minutes_that_are_over_let_one_trial_begin_and_count_those_of_a_kill(tmp_path: Path):
    found, _ = search(Bowl(), InMemoryStorage(), seconds=0)
    assert found.trials == 1
    path = tmp_path / "trials.log"
    killed(path, 3)
    bowl = Bowl()
    with journal(path) as storage:
        found, told = search(bowl, storage, seconds=1e-9)
    assert (len(bowl.tried_), len(told), found.trials) == (0, 3, 3)


def test_other_rows_or_another_file_begin_anew(tmp_path: Path):
    tables = Tables(parcels.plan(Settings(home=tmp_path, lake=str(tmp_path))))
    marks = [("spec", "rows"), ("spec", "other rows"), ("other spec", "rows")]
    assert len({journal_of(tables, *each) for each in marks}) == 3
    assert journal_of(tables, "spec", "rows") == journal_of(tables, "spec", "rows")


def test_what_nobody_went_on_with_is_forgotten_after_a_week(tmp_path: Path):
    tables = Tables(parcels.plan(Settings(home=tmp_path, lake=str(tmp_path))))
    forget_journals(tables)
    folder = Path(tables.root) / JOURNALS
    folder.mkdir(parents=True)
    for name, age in (("old", A_WEEK + 60), ("new", 60)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age,) * 2)
    forget_journals(tables)
    assert [path.name for path in folder.iterdir()] == ["new"]


def model(**changes: Any) -> Model:
    return Model.model_validate({**parcels.SPEC["model"], "rounds": 20, **changes})


def sampled(rows: int, every: int = 1, balance: Balance | None = None) -> Sample:
    data = parcels.rows(days=1, per_day=rows)
    found = pa.Table.from_pandas(data.drop(columns="sent_on"), preserve_index=False)
    found = found.append_column(FOLD, pa.array(np.arange(rows) % 5))
    recipe = Recipe((("hour", "number"), ("weight", "number"), ("rain", "number")), "UTC", ())
    line = Ready.of(found, recipe, Binary(), balance)
    return Sample(found, every * rows, line)


def judges(rows: int) -> Judges:
    data = parcels.rows(days=1, per_day=rows, seed=2).drop(columns="sent_on")
    found = pa.Table.from_pandas(data, preserve_index=False)
    recipe = sampled(200).line.recipe
    return Judges(recipe.matrix(found), data["label"].to_numpy(), None)


def silent(step: int, value: float) -> None:
    assert step > 0
    assert value > 0


def test_a_row_weighs_what_it_stands_for():
    """Of every third row, a leaf needs a third of those that it would need of all."""
    boosting, judged, settings = Binary().boosting("log_loss"), judges(500), {"max_depth": 3}
    leaf = {**settings, "min_child_weight": 30}
    thrice = Trees.of(sampled(600, every=3), judged, model(), boosting).tried(leaf, silent)
    once = Trees.of(sampled(600), judged, model(), boosting)
    third = {**settings, "min_child_weight": 10, "lambda": 1 / 3}
    assert thrice[0] == pytest.approx(once.tried(third, silent)[0], abs=1e-6)
    assert thrice[0] != pytest.approx(once.tried(leaf, silent)[0], abs=1e-4)


def test_a_repeated_row_weighs_as_many_as_its_copies():
    sample = sampled(600)
    times = 1 + 2 * (sample.line.labels == 1)
    counts = times_of(sample.rows.append_column(TIMES, pa.array(times)), None)
    line = Ready.of(sample.rows, sample.line.recipe, Binary(), counts=counts)
    repeated = Sample(sample.rows, int(times.sum()), line)
    trees = Trees.of(repeated, judges(500), model(), Binary().boosting("log_loss"))
    assert trees.learned.get_weight() == pytest.approx(times)


def test_steps_of_a_trial_are_rounds_times_the_learning_rate():
    trees = Trees.of(sampled(600), judges(500), model(), Binary().boosting("log_loss"))
    told: list[int] = []
    _, rounds = trees.tried({"learning_rate": 0.1, "max_depth": 2}, lambda n, _: told.append(n))
    assert rounds is not None
    assert told == list(range(1, len(told) + 1))
    assert (rounds - 1) // 5 <= len(told) <= (rounds + 10) // 5


def test_a_line_is_judged_by_rows_and_what_they_stand_for():
    sample, judged = sampled(600), judges(300)
    twice = Judges(judged.matrix, judged.labels, np.where(judged.labels == 1, 2.0, 1.0))
    again = np.concatenate([np.arange(300), np.flatnonzero(judged.labels == 1)])
    repeated = Judges(judged.matrix[again], judged.labels[again], None)
    losses = [
        Line(sample.line, each, "log_loss").tried({"ridge": 1e-3}, silent)[0]
        for each in (judged, twice, repeated)
    ]
    assert losses[1] == pytest.approx(losses[2])
    assert losses[0] != pytest.approx(losses[1], abs=1e-3)


def test_balanced_trees_are_judged_by_the_true_shares():
    spec = Imbalance(by="weight", to=0.5)
    yes = int(sampled(600).line.labels.sum())
    balance = Balance.of(spec, [600 - yes, yes])
    boosting = Binary().boosting("log_loss", balance)
    judged = judges(500)
    trees = Trees.of(sampled(600, balance=balance), judged, model(), boosting)
    plain = Trees.of(sampled(600), judged, model(), Binary().boosting("log_loss"))
    settings = {"max_depth": 2, "learning_rate": 0.1}
    balanced, usual = (each.tried(settings, silent)[0] for each in (trees, plain))
    assert balanced == pytest.approx(usual, abs=0.05)


def test_what_is_searched_for_is_what_is_declared_or_suits_the_labels():
    declared = model(tune={"search": {"max_depth": [2, 3], "ridge": {"low": 0.1, "high": 1}}})
    assert trials.tree_search(declared, Binary()) == {"max_depth": (2, 3)}
    assert trials.line_search(declared) == {"ridge": Range(low=0.1, high=1)}
    assert trials.line_search(model(tune={"search": {"max_depth": [2, 3]}})) == {}
    assert set(trials.tree_search(model(), Binary())) - set(
        trials.tree_search(model(), Regression())
    ) == {"gamma"}
    assert set(trials.line_search(model())) == {"ridge"}


def test_each_candidate_that_has_something_to_search_for_has_a_study(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(trials, "LINE_TRIALS", 2)
    sample, judged, boosting = sampled(600), judges(300), Binary().boosting("log_loss")
    told: list[Trial] = []

    def found(spec: Model) -> dict[str, Tuned]:
        return searched(sample, judged, spec, boosting, 3, InMemoryStorage(), told.append)

    both = found(model())
    assert {kind: one.trials for kind, one in both.items()} == {"linear": 2, "xgboost": 3}
    assert [trial.kind for trial in told] == ["linear"] * 2 + ["xgboost"] * 3
    assert set(found(model(tune={"search": {"subsample": [0.5, 1]}}))) == {"xgboost"}
    line_only = Model.model_validate({"candidates": ["constant", "linear"], "seed": 7})
    assert set(found(line_only)) == {"linear"}
    hurried = found(model(tune={"minutes": 1e-9}))
    assert {kind: one.trials for kind, one in hurried.items()} == {"linear": 1, "xgboost": 1}


@pytest.fixture(scope="module")
def tuned_plan(settings: Settings) -> Plan:
    tune = {"trials": 4, "search": {"max_depth": [2, 3, 4], "ridge": {"low": 0.001, "high": 0.1}}}
    return parcels.plan(settings, model={**parcels.SPEC["model"], "tune": tune})


def fitted(
    spark: SparkSession, plan: Plan, split: Split, data: pd.DataFrame
) -> tuple[Trained, list[Trial]]:
    told: list[Trial] = []
    parts = Parts.of(parcels.frame(spark, data), split)
    return fit_all(parts, plan, str(CUTOFF), 4, told.append), told


def test_the_holdout_cannot_influence_a_search(
    spark: SparkSession, tuned_plan: Plan, split: Split, data: pd.DataFrame, trained: Trained
):
    first, told = fitted(spark, tuned_plan, split, data)
    rows = data["sent_on"] >= split.holdout.first
    for label in (1 - data["label"], np.nan):
        poisoned = data.copy()
        poisoned.loc[rows, "label"] = label
        poisoned.loc[rows, ["hour", "weight", "rain"]] = 1e9
        poisoned.loc[rows, "depot"] = "poison"
        shuffled = poisoned.sample(frac=1, random_state=1)
        again, told_again = fitted(spark, tuned_plan, split, shuffled)
        assert without_times(told_again) == without_times(told)
        for kind, model in first.models.items():
            assert again.models[kind].files() == model.files(), kind
    # What was found is what is fitted, on all rows.
    best = first.tuning["xgboost"].best
    assert first.settings == {**best.settings, "rounds_kept": first.settings["rounds_kept"]}
    # All rows fit into the sample, so the first trial is the training without a search.
    plain = next(trial for trial in told if trial.kind == "xgboost" and trial.number == 0)
    assert plain.rounds == trained.settings["rounds_kept"]


def test_of_many_rows_a_sample_is_tried(
    spark: SparkSession,
    tuned_plan: Plan,
    split: Split,
    data: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(reference, "SAMPLE_ROWS", 400)
    seen: list[tuple[int, float, int]] = []

    def spied(self: Trees, settings: Mapping[str, Any], report: Report) -> tuple[float, int]:
        weight = float(self.learned.get_weight()[0])
        seen.append((self.learned.num_row(), weight, self.judged.num_row()))
        return 0.5, 1

    monkeypatch.setattr(Trees, "tried", spied)
    found, _ = fitted(spark, tuned_plan, split, data)
    (learned, weight, judged) = seen[0]
    assert found.rows == {"train": 1710, "validation": 900}
    assert 250 < learned < 430
    assert weight == pytest.approx(1710 / learned)
    assert 230 < judged < 370
