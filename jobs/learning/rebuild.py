"""A registered version's training set, read again as it was: the same rows, or a plain no."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from jobs.errors import Refused
from jobs.lake.tables import Tables
from jobs.learning import registry
from jobs.learning.cut import Cut
from jobs.learning.dataset import Versions, content_hash, labelled
from jobs.learning.label_quality import LabelQuality
from jobs.plan import Dates, Plan

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from pyspark.sql import DataFrame, SparkSession

LEARNED = "training_set.json"

# What Delta says of a version whose files or log are gone.
GONE = (
    "DELTA_VERSION_NOT_FOUND",
    "DELTA_FILE_NOT_FOUND",
    "FAILED_READ_FILE",
    "DELTA_LOG_FILE_NOT_FOUND",
    "Cannot time travel",
)


class Learned(BaseModel):
    """What a training learned from, as it is kept with its run.

    `features` and `labels` are Delta versions of the two gold tables, `first` and `last` prediction
    dates; `columns` are those of the rows, and `sha256` is of their content. `cut` says which rows
    of these dates were held out, where time does not; `quality` is of the labels, and `leaks` says
    which features may give them away.
    """

    model_config = ConfigDict(frozen=True)

    features: int
    labels: int
    first: dt.date
    last: dt.date
    known_at: dt.datetime
    columns: tuple[str, ...]
    rows: int
    sha256: str
    cut: Cut | None = None
    quality: LabelQuality | None = None
    leaks: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        frame: DataFrame,
        rows: int,
        read: Versions,
        dates: Dates,
        known_at: dt.datetime,
        cut: Cut | None,
        quality: LabelQuality,
    ) -> Learned:
        """Describe a frame that `labelled` made, of whose rows `rows` were learned from."""
        learned = frame if cut is None else frame.where(~cut.held_out())
        return cls(
            features=read.features,
            labels=read.labels,
            first=dates.first,
            last=dates.last,
            known_at=known_at,
            columns=tuple(frame.columns),
            rows=rows,
            sha256=content_hash(learned),
            cut=cut,
            quality=quality,
        )

    def again(self, spark: SparkSession, tables: Tables) -> DataFrame:
        """The same rows, if their files are still there."""
        read, dates = Versions(self.features, self.labels), Dates(self.first, self.last)
        rows = labelled(tables, spark, dates, self.known_at, read, self.columns)
        return rows if self.cut is None else rows.where(~self.cut.held_out())


@dataclass(frozen=True)
class TrainingSet:
    """What a version learned from: `was`, and what is read of it now."""

    use_case: str
    version: int
    was: Learned
    rows: int
    sha256: str

    @property
    def is_same(self) -> bool:
        return self.sha256 == self.was.sha256

    @property
    def sentence(self) -> str:
        was, rows = self.was, "the very rows" if self.is_same else "NOT the rows"
        return (
            f"The training set of {self.use_case} version {self.version} has {self.rows} rows of "
            f"{was.first} to {was.last}, read from version {was.features} of gold.features and "
            f"{was.labels} of gold.labels: {rows} it was trained on (SHA-256 {self.sha256[:12]}…)."
        )


def log_learned(client: MlflowClient, run_id: str, learned: Learned) -> None:
    """Keep with a run what it learned from; people find the short of it among its tags."""
    client.log_dict(run_id, learned.model_dump(mode="json"), LEARNED)
    client.set_tag(run_id, "daybreak.features_version", str(learned.features))
    client.set_tag(run_id, "daybreak.labels_version", str(learned.labels))
    client.set_tag(run_id, "daybreak.training_sha256", learned.sha256)


def require_unseen(learned: Learned, holdout: Dates, cut: Cut | None = None) -> None:
    """Raise `Refused` if a model learned from, or was calibrated on, rows of a holdout.

    Args:
        holdout: the days that it lies in.
        cut: what holds its rows out, where time does not; the model then has to have been cut by
            the same hash, and has not seen the rows that its own cut holds out.
    """
    if cut is not None:
        if learned.cut is None or not learned.cut.is_like(cut):
            raise Refused(
                "It was trained with another split or model.seed, and has learned from rows that "
                "are held out now, so that it would look better there than it is.",
                "Split as it was then, or let a person decide.",
            )
        return
    if learned.first <= holdout.last and learned.last >= holdout.first:
        raise Refused(
            f"It learned from the days up to {learned.last}, and the holdout begins on "
            f"{holdout.first}, so that it would look better there than it is.",
            "Choose a holdout after those days.",
        )


def rebuilt(spark: SparkSession, tables: Tables, version: int) -> TrainingSet:
    """Read the training set of a registered version again.

    Raises:
        Refused: there is no such version, or files that it needs were removed.
        Unavailable: MLflow does not answer.
    """
    plan = tables.plan
    client = registry.connect(plan.settings)
    with registry.reachable(plan.settings):
        was = learned_of(client, str(registry.version_of(client, plan.name, version).run_id))
    try:
        frame = was.again(spark, tables)
        return TrainingSet(plan.name, version, was, frame.count(), content_hash(frame))
    except Exception as error:
        if not any(sign in str(error) for sign in GONE):
            raise
        raise Refused(
            f"The training set of {plan.name} version {version} cannot be read any more: version "
            f"{was.features} of gold.features or {was.labels} of gold.labels has lost files to "
            "VACUUM or an erasure.",
            "Train again; `model.rebuildable` in the use-case file says how long files are kept.",
        ) from error


def trained_on(plan: Plan, days: Iterable[dt.date]) -> tuple[int, ...]:
    """The registered versions that learned from any of some prediction dates.

    Raises:
        Unavailable: MLflow does not answer.
    """
    client = registry.connect(plan.settings)
    dates = list(days)
    with registry.reachable(plan.settings):
        versions = {
            int(found.version): learned_of(client, str(found.run_id))
            for found in client.search_model_versions(f"name = '{plan.name}'")
        }
    return tuple(
        version
        for version, learned in sorted(versions.items())
        if any(learned.first <= date <= learned.last for date in dates)
    )


def hours_to_keep(tables: Tables, now: dt.datetime) -> int:
    """For how many hours the files of older versions of features and labels must stay.

    Back to the oldest training whose rows must be readable: those of the champion and of the
    version before it, and those of the last `model.rebuildable` days.

    Raises:
        Unavailable: MLflow does not answer.
    """
    plan = tables.plan
    client = registry.connect(plan.settings)
    with registry.reachable(plan.settings):
        aliases = (registry.CHAMPION, registry.PREVIOUS)
        kept = {registry.alias(client, plan.name, alias) for alias in aliases}
        oldest = now - dt.timedelta(days=plan.usecase.model.rebuildable)
        began = []
        for found in client.search_model_versions(f"name = '{plan.name}'"):
            started = client.get_run(str(found.run_id)).info.start_time
            at = dt.datetime.fromtimestamp(started / 1000, dt.UTC)
            if at >= oldest or int(found.version) in kept:
                began.append(at)
    # An hour more, because a training reads what was current before it began.
    return int((now - min(began)) / dt.timedelta(hours=1)) + 2 if began else 0


def learned_of(client: MlflowClient, run_id: str) -> Learned:
    """What a training's run keeps of what it learned from."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(client.download_artifacts(run_id, LEARNED, folder))
        return Learned.model_validate_json(kept.read_text(encoding="utf-8"))
