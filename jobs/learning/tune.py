"""The search for settings, judged on validation only: a study of trials that survives a kill.

The next settings are drawn by the tree-structured Parzen estimator (Bergstra et al., NIPS 2011),
and a trial that is worse half-way than half of those before it is cut off (optuna's
`MedianPruner`). What trial n draws follows from the seed, n, and the trials before it alone. So a
study that was killed and goes on draws what it would have drawn anyway.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from jobs.lake.tables import Tables
from jobs.usecase import WHOLE, Range

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

JOURNALS = "_staging/tuning"
A_WEEK = 7 * 24 * 3600
# Trials that come to their end before any is cut off, and steps before one can be.
FULL_TRIALS, FULL_STEPS = 5, 4
# NumPy's, from 0 on.
SEEDS = 2**32

Search = Mapping[str, Range | tuple[Any, ...]]
# Told of a step of a trial, and the metric there; ends the trial if that is hopeless.
Report = Callable[[int, float], None]


class Tried(Protocol):
    """A kind of candidate as trials see it."""

    @property
    def kind(self) -> str:
        """Its name among the candidates."""

    @property
    def sign(self) -> float:
        """Factor that makes more of its metric mean better."""

    def tried(self, settings: Mapping[str, Any], report: Report) -> tuple[float, int | None]:
        """The metric on validation with these settings, and the rounds it took, if it has such."""


@dataclass(frozen=True)
class Trial:
    """One trial as it ended.

    Attributes:
        kind: of the candidate.
        settings: the declared ones, and over them those that were drawn.
        value: the metric on validation; of one that was cut off, where it stood.
        rounds: trees, if the candidate has such.
        seconds: how long it took.
    """

    kind: str
    number: int
    settings: Mapping[str, Any]
    value: float
    rounds: int | None
    cut_off: bool
    seconds: float


@dataclass(frozen=True)
class Tuned:
    """What a study found, and how many trials and seconds it took, those of a kill included."""

    best: Trial
    trials: int
    cut_off: int
    seconds: float


def tuned(
    candidate: Tried,
    declared: Mapping[str, Any],
    search: Search,
    *,
    trials: int,
    seconds: float,
    seed: int,
    storage: BaseStorage,
    record: Callable[[Trial], None],
) -> Tuned:
    """Search for settings, from one trial to `trials`; none begins after so many `seconds`.

    The first trial is what is declared, so what is found is never worse than that in the trials.

    Args:
        storage: where trials are kept, and may be already.
        record: told of each trial once, in their order.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=storage,
        study_name=candidate.kind,
        load_if_exists=True,
        direction="maximize" if candidate.sign > 0 else "minimize",
        pruner=optuna.pruners.MedianPruner(FULL_TRIALS, FULL_STEPS),
    )

    def objective(trial: optuna.Trial) -> float:
        drawn = {} if not ended else {name: _drawn(trial, name, search[name]) for name in search}
        trial.set_user_attr("settings", {**declared, **drawn})

        def report(step: int, value: float) -> None:
            if math.isfinite(value):
                trial.report(value, step)
                if trial.should_prune():
                    raise optuna.TrialPruned

        value, rounds = candidate.tried({**declared, **drawn}, report)
        trial.set_user_attr("rounds", rounds)
        # Of settings that lead nowhere; optuna would not take NaN for an end.
        return value if math.isfinite(value) else -candidate.sign * math.inf

    ended = _ended(study)
    for trial in ended:
        record(trial)
    while not ended or (len(ended) < trials and sum(one.seconds for one in ended) < seconds):
        # A sampler of its own for each trial, so that it does not matter what went before a kill,
        # and what was running then is no trial.
        study.sampler = optuna.samplers.TPESampler(
            seed=(seed + len(ended)) % SEEDS, multivariate=False, constant_liar=False
        )
        study.optimize(objective, n_trials=1)
        ended = _ended(study)
        record(ended[-1])
    whole = [one for one in ended if not one.cut_off]
    best = max(whole, key=lambda one: candidate.sign * one.value)
    return Tuned(best, len(ended), len(ended) - len(whole), sum(one.seconds for one in ended))


def _ended(study: optuna.Study) -> list[Trial]:
    """The trials that were not killed, numbered anew."""
    from optuna.trial import TrialState

    found = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    return [
        Trial(
            kind=study.study_name,
            number=number,
            settings=one.user_attrs["settings"],
            value=cast("float", one.value),
            rounds=one.user_attrs.get("rounds"),
            cut_off=one.state == TrialState.PRUNED,
            seconds=cast("dt.timedelta", one.duration).total_seconds(),
        )
        for number, one in enumerate(found)
    ]


def _drawn(trial: optuna.Trial, name: str, values: Range | tuple[Any, ...]) -> Any:
    if not isinstance(values, Range):
        return trial.suggest_categorical(name, values)
    if name in WHOLE:
        return trial.suggest_int(name, int(values.low), int(values.high), log=values.log)
    return trial.suggest_float(name, values.low, values.high, log=values.log)


def journal_of(tables: Tables, *marks: str) -> Path:
    """The file with a training's trials, named by all that must be equal to go on with them."""
    digest = hashlib.sha256("|".join(marks).encode()).hexdigest()
    return Path(tables.root) / JOURNALS / f"{digest[:32]}.log"


@contextmanager
def journal(path: Path) -> Iterator[BaseStorage]:
    """A storage of trials that finds those again that a killed training has left there.

    It is removed when what is inside ends well. Of two that want it at once the second begins by
    itself, and keeps nothing.
    """
    from optuna.storages import InMemoryStorage, JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with path.open("rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            # Somebody holds it, or nobody can: not every shared folder knows locks.
            yield InMemoryStorage()
            return
        # A kill in the middle of a line, or of writing one, must not stop those who come after it.
        file.truncate(file.read().rfind(b"\n") + 1)
        Path(f"{path}.lock").unlink(missing_ok=True)
        yield JournalStorage(JournalFileBackend(str(path)))
        path.unlink(missing_ok=True)


def forget_journals(tables: Tables) -> None:
    """Remove what killed trainings have left that nobody went on with for a week."""
    for path in (Path(tables.root) / JOURNALS).glob("*"):
        if path.lstat().st_mtime < time.time() - A_WEEK:
            path.unlink(missing_ok=True)
