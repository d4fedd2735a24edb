"""A use case as its owner writes it: the types of `usecase.yaml`.

Frozen models that refuse unknown fields. What is resolved from them (paths, dates, tables)
lives in `jobs.plan`; nothing downstream of a plan reads the file again. Only pydantic and
PyYAML are imported here, because every DAG file parses these types.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from jobs.errors import Refused

NAME = r"^[a-z][a-z0-9_]{0,47}$"
Name = Annotated[str, Field(pattern=NAME)]


def _days(value: object) -> object:
    if isinstance(value, str) and (found := re.fullmatch(r"(\d+) days?", value.strip())):
        return int(found.group(1))
    return value


Days = Annotated[int, BeforeValidator(_days), Field(ge=0, description="Whole days: `28 days`.")]


class Spec(BaseModel):
    """What every part of a use case has in common: frozen, and no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class About(Spec):
    """Who asks, and what."""

    question: str = Field(min_length=1, description="The question the scores answer.")
    owner: str = Field(min_length=1, description="The team that is told when a night fails.")
    users: tuple[str, ...] = Field(default=(), description="Who reads the scores.")


class Entity(Spec):
    """What is predicted, and the columns that name it."""

    key: tuple[Name, ...] = Field(min_length=1, description="Columns that name one entity.")
    date: Name = Field(description="The key column that is the prediction date.")
    source: Name = Field(description="The source that lists the entities of a prediction date.")

    @model_validator(mode="after")
    def _date_is_in_key(self) -> Self:
        if self.date not in self.key:
            raise ValueError(f"entity.date {self.date!r} must be one of entity.key {self.key}")
        return self


class Schedule(Spec):
    """When the night runs, in the use case's own time zone."""

    cron: str = Field(description="Five-field cron; the day it fires is the prediction date.")
    start: dt.date = Field(description="First prediction date there can be.")
    end: dt.date | None = Field(default=None, description="Last prediction date, if there is one.")
    patience_hours: float = Field(
        default=3,
        ge=0,
        le=12,
        description="How long after the cutoff a night waits for a file that it needs. Its cutoff "
        "is then the moment when the last of them came.",
    )
    train_cron: str = Field(default="0 6 * * 0", description="When the model is trained anew.")
    maintain_cron: str = Field(default="0 12 * * 0", description="When tables are maintained.")

    @field_validator("cron", "train_cron", "maintain_cron")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        # What Airflow reads it with; a wrong one would keep every use case's DAGs from loading.
        from croniter import croniter

        if len(value.split()) != 5 or not croniter.is_valid(value):
            raise ValueError(f"{value!r} is not a five-field cron expression")
        return value


class Column(Spec):
    """One column of a source: its type and the rules a row must pass."""

    type: Literal["string", "integer", "number", "boolean", "date", "timestamp"]
    header: str | None = Field(default=None, description="Its name in the file, if another.")
    required: bool = Field(
        default=False,
        description="A row without a value goes to quarantine; always so of key and date.",
    )
    min: float | None = Field(default=None, description="Smallest value allowed.")
    max: float | None = Field(default=None, description="Largest value allowed.")
    values: tuple[str, ...] | None = Field(default=None, description="The only values allowed.")
    pattern: str | None = Field(default=None, description="Java regular expression to match.")
    references: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$",
        description="`SOURCE.COLUMN` of a snapshot in which the value must be found.",
    )
    since: dt.date | None = Field(default=None, description="First day whose files have it.")
    until: dt.date | None = Field(default=None, description="Last day whose files have it.")
    formerly: tuple[str, ...] = Field(default=(), description="Headers that it had before.")

    @property
    def evolves(self) -> bool:
        """Whether files of some days have it otherwise than those of others."""
        return self.is_partly_there or bool(self.formerly)

    @model_validator(mode="after")
    def _ends_are_of_numbers(self) -> Self:
        if self.type not in ("integer", "number") and (self.min, self.max) != (None, None):
            raise ValueError(f"min and max are of numbers, and this is a {self.type}")
        return self

    @property
    def is_partly_there(self) -> bool:
        """Whether files of some days lack it."""
        return bool(self.since or self.until)

    def headers(self, name: str) -> tuple[str, ...]:
        """What files call a column of this name: today's header first, then those it had."""
        return (self.header or name, *self.formerly)

    def expected_on(self, day: dt.date) -> bool:
        """Whether a file of `day` must have it."""
        return (self.since or day) <= day <= (self.until or day)


class Rule(Spec):
    """A rule over a whole row: rows for which the SQL expression is false are quarantined.

    One for which it is null, as a division by zero is, passes.
    """

    name: Name
    expression: str = Field(min_length=1)


class Format(Spec):
    """How the files are written. Everything but `type` and `encoding` is about CSV only."""

    type: Literal["csv", "jsonl", "parquet", "delta"] = Field(
        default="csv",
        description="CSV or JSON lines, either of them also gzipped, or Parquet; or a Delta table "
        "with `landing` naming its folder, of which the newest version counts.",
    )
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    encoding: str = "utf-8"
    null: tuple[str, ...] = Field(default=("", "NA"), description="Texts that mean missing.")
    final_newline: Literal["required", "optional"] = Field(
        default="required",
        description="`required`: a file that does not end with a newline was cut off.",
    )


class Arrives(Spec):
    """When a source's files are expected, in days relative to the prediction date.

    The night of prediction date D needs the file of D - `lag`, and also takes in what came late
    for the `late` days before that. A `snapshot` has no date of its own: the newest one that had
    arrived is used.
    """

    as_: Literal["daily", "snapshot"] = Field(default="daily", alias="as")
    lag: Days = 0
    late: Days = 7


class Bound(Spec):
    """How many failures are borne: a share of the rows, a number of them, or both."""

    share: float | None = Field(default=None, ge=0, le=1)
    rows: int | None = Field(default=None, ge=0)


class Budget(Spec):
    """How much of a day quarantine may take before the day itself is not to be trusted."""

    share: float = Field(default=0.02, ge=0, le=1, description="Share of the day's rows.")
    rows: int | None = Field(default=None, ge=0, description="Number of rows, if that is less.")
    files: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of the day's files, or of their bytes if that is more, that may be "
        "refused.",
    )
    rules: dict[str, Bound] = Field(
        default_factory=dict, description="Bounds on single rules, by their names."
    )


class Usual(Spec):
    """How a day may differ from the days before it in rows, means, spreads and missing values."""

    days: int = Field(default=28, ge=1, description="How many days before it are looked at.")
    least: int = Field(default=14, ge=2, description="With fewer of them nothing is said.")
    slack: float = Field(
        default=2.0,
        ge=0,
        description="How far outside of what they were, in multiples of the distance between the "
        "smallest and the largest.",
    )
    leave_out: tuple[Name, ...] = Field(
        default=(), description="Columns that are free to jump, such as rain."
    )


class Source(Spec):
    """A feed of files and the silver table that is made of it."""

    landing: str = Field(description="Pattern below the landing root; `{date}` is the day.")
    format: Format = Format()
    arrives: Arrives = Arrives()
    key: tuple[Name, ...] = Field(min_length=1)
    date: Name | None = Field(default=None, description="The row's day; must equal the file's.")
    columns: dict[Name, Column]
    rules: tuple[Rule, ...] = ()
    unique: tuple[tuple[Name, ...], ...] = Field(
        default=(),
        description="Beside the key: columns whose values no two records of a file share.",
    )
    drift: Literal["refuse", "keep_extra", "declared"] = Field(
        default="refuse",
        description="`refuse` files with other columns than declared; `keep_extra`: keep columns "
        "that nobody declared in bronze; `declared`: accept what since, until and formerly say.",
    )
    budget: Budget = Budget()
    usual: Usual | None = Field(default=Usual(), description="Of a daily source; null: no check.")

    @property
    def is_daily(self) -> bool:
        """Whether its files are of one day each; a snapshot's hold all there is."""
        return self.arrives.as_ == "daily"

    def is_required(self, name: str) -> bool:
        """Whether a row without this column is of no use: what names a row, or its day, is."""
        return self.columns[name].required or name in self.key or name == self.date

    def day_for(self, date: dt.date) -> dt.date:
        """Of a daily source, the day whose files the night of a prediction date needs."""
        return date - dt.timedelta(days=self.arrives.lag)

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        wanted = set(self.key) | ({self.date} if self.date else set())
        missing = sorted(wanted - set(self.columns))
        if missing:
            raise ValueError(f"key or date names columns that are not declared: {missing}")
        named = {name for one in self.unique for name in one}
        named |= set(self.usual.leave_out if self.usual else ())
        unknown = sorted(named - set(self.columns))
        if unknown:
            raise ValueError(f"unique or usual names columns that are not declared: {unknown}")
        evolving = sorted(name for name, column in self.columns.items() if column.evolves)
        if evolving and self.drift != "declared":
            raise ValueError(f"since, until and formerly of {evolving} need `drift: declared`")
        partly = sorted(name for name in wanted if self.columns[name].is_partly_there)
        if partly:
            raise ValueError(f"{partly} is key or date, which files of every day have")
        if self.is_daily != ("{date}" in self.landing):
            raise ValueError("a daily source has {date} in `landing`, a snapshot has not")
        if self.is_daily and self.date is None:
            raise ValueError("a daily source needs `date`, the column with the row's day")
        return self


class Label(Spec):
    """What is to be predicted, and how long after the prediction date it is final."""

    source: Name
    expression: str = Field(min_length=1, description="SQL over the source's silver columns.")
    type: Literal["binary"] = "binary"
    maturity: Days = Field(description="Days after the prediction date's end.")


class Features(Spec):
    """The features, by kind. `module` is a Python file beside `usecase.yaml`."""

    module: Name = "features"
    history: Days = Field(description="Days before a prediction date that its features look at.")
    numeric: tuple[Name, ...]
    categorical: tuple[Name, ...] = ()
    max_categories: int = Field(
        default=32, ge=2, description="Most frequent values that get a column of their own."
    )

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.numeric, *self.categorical)


class Split(Spec):
    """Train, validation and holdout, in this order of time, before the training cutoff."""

    by: Literal["time"] = "time"
    validation: Days = 28
    holdout: Days = 28


class Rate(Spec):
    """A rule-of-thumb candidate: the label's rate in each group, shrunk towards the mean."""

    by: tuple[Name, ...] = Field(min_length=1)
    prior_rows: float = Field(default=50.0, gt=0, description="Weight of the overall rate.")


class Tune(Spec):
    """Search for XGBoost settings on the validation part."""

    trials: int = Field(default=0, ge=0)


# Parameters of XGBoost that say how trees grow. A name it does not know it would only ignore.
GROWING = (
    "base_score",
    "colsample_bylevel",
    "colsample_bynode",
    "colsample_bytree",
    "gamma",
    "grow_policy",
    "learning_rate",
    "max_bin",
    "max_delta_step",
    "max_depth",
    "max_leaves",
    "min_child_weight",
    "num_parallel_tree",
    "reg_alpha",
    "reg_lambda",
    "scale_pos_weight",
    "subsample",
)


class Model(Spec):
    """The candidates and how XGBoost is fitted."""

    metric: Literal["roc_auc", "pr_auc", "log_loss"] = "roc_auc"
    rule: Rate
    rounds: int = Field(default=1000, ge=1, description="Most boosting rounds.")
    early_stopping: int = Field(default=50, ge=1, description="Rounds without gain before a stop.")
    parameters: dict[str, float | int | str] = Field(
        default_factory=dict,
        description="How XGBoost grows its trees; its own default where nothing is said.",
        json_schema_extra={"propertyNames": {"enum": list(GROWING)}},
    )
    tune: Tune = Tune()
    calibrate: Literal["isotonic", "none"] = "isotonic"
    rebuildable: Days = Field(
        default=365,
        description="How long a registered version's training set can be read again; the "
        "champion's always can.",
    )
    seed: int = 20130101

    @field_validator("parameters")
    @classmethod
    def _known(cls, parameters: dict[str, float | int | str]) -> dict[str, float | int | str]:
        if unknown := sorted(set(parameters) - set(GROWING)):
            raise ValueError(f"{unknown} cannot be set; what can: {', '.join(GROWING)}")
        return parameters


class Slice(Spec):
    """A way to cut the holdout: the values of an SQL expression over the features."""

    name: Name
    expression: str


class Promote(Spec):
    """What a challenger must show on the holdout before it may score a night."""

    min_gain: float = Field(default=0.0, ge=0, description="In units of model.metric.")
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    max_slice_loss: float = Field(default=0.02, ge=0, description="Allowed loss in any slice.")
    max_calibration_error: float = Field(default=0.05, gt=0)
    approval: Literal["auto", "required"] = "auto"


class Threshold(Spec):
    """How the score that counts as yes is chosen, on validation only."""

    maximise: Literal["f1"] = "f1"


class Predict(Spec):
    """What is published beside the key and the score."""

    threshold: Threshold = Threshold()
    columns: tuple[Name, ...] = Field(default=(), description="Features published beside it.")
    keep_batches: Days = Field(default=400, description="Days that batches stay in Postgres.")


class Monitor(Spec):
    """When a night's data count as drifted."""

    psi: float = Field(default=0.2, gt=0, description="Population stability index that alarms.")
    false_discovery: float = Field(default=0.05, gt=0, lt=1)
    fresh_within_hours: float = Field(default=30, gt=0)


# Under these names Great Expectations is told which columns to look at.
COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list", "column_set")


def columns_named(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that an expectation's arguments name."""
    named = (value for name, value in arguments.items() if name in COLUMN_ARGUMENTS)
    lists = (each if isinstance(each, list) else [each] for each in named if each is not None)
    return tuple(str(name) for some in lists for name in some)


class Expectation(Spec):
    """One Great Expectations expectation, by its own name and arguments."""

    expect: str = Field(pattern=r"^expect_[a-z0-9_]+$")
    arguments: dict[str, Any] = Field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it names."""
        return columns_named(self.arguments)


class Gates(Spec):
    """What is expected of a table beyond what its columns already say."""

    silver: dict[Name, tuple[Expectation, ...]] = Field(default_factory=dict)
    features: tuple[Expectation, ...] = ()
    predictions: tuple[Expectation, ...] = ()


class UseCase(Spec):
    """One supervised prediction, declared in one file."""

    name: Name
    about: About
    entity: Entity
    timezone: str
    schedule: Schedule
    cutoff: dt.time = Field(
        description="Local time on the prediction date before which facts must have arrived."
    )
    sources: dict[Name, Source] = Field(min_length=1)
    label: Label
    features: Features
    gates: Gates = Gates()
    split: Split = Split()
    model: Model
    slices: tuple[Slice, ...] = ()
    promote: Promote = Promote()
    predict: Predict = Predict()
    monitor: Monitor = Monitor()

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value!r} is not an IANA time zone")
        return value

    @model_validator(mode="after")
    def _entities_and_labels_have_sources(self) -> Self:
        for field, source in (("entity", self.entity.source), ("label", self.label.source)):
            if source not in self.sources:
                raise ValueError(f"{field}.source {source!r} is not one of sources")
            missing = sorted(set(self.entity.key) - set(self.sources[source].columns))
            if missing:
                raise ValueError(f"source {source!r} lacks the entity's key columns {missing}")
        told = self.sources[self.label.source]
        if told.is_daily and told.date != self.entity.date:
            raise ValueError(
                f"label.source {self.label.source!r} is laid out by {told.date!r}, and labels are "
                f"of entity.date {self.entity.date!r}: both must be the same column"
            )
        return self

    @model_validator(mode="after")
    def _references_are_of_snapshots(self) -> Self:
        referring = {
            f"sources.{name}.columns.{column}": (of, spec.references)
            for name, of in self.sources.items()
            for column, spec in of.columns.items()
            if spec.references
        }
        if chained := [where for where, (of, _) in referring.items() if not of.is_daily]:
            raise ValueError(f"{', '.join(chained)}: a snapshot refers to nothing")
        nowhere = [
            f"{where}.references {to!r}"
            for where, (_, to) in referring.items()
            if not self._is_snapshot_column(to)
        ]
        if nowhere:
            raise ValueError(f"{', '.join(nowhere)}: not a column of a snapshot")
        return self

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        unknown = sorted(set(self.gates.silver) - set(self.sources))
        if unknown:
            raise ValueError(f"gates.silver names sources that are not declared: {unknown}")
        for source, expected in self.gates.silver.items():
            named = {name for each in expected for name in each.columns}
            if unknown := sorted(named - set(self.sources[source].columns)):
                raise ValueError(f"gates.silver.{source} names columns it has not: {unknown}")
        named = {name for each in self.gates.features for name in each.columns}
        if unknown := sorted(named - {*self.features.names, *self.entity.key}):
            raise ValueError(f"gates.features names unknown features: {unknown}")
        unknown = sorted(
            (set(self.model.rule.by) | set(self.predict.columns)) - set(self.features.names)
        )
        if unknown:
            raise ValueError(f"model.rule or predict.columns name unknown features: {unknown}")
        twice = [name for name in self.predict.columns if name in self.entity.key]
        if twice:
            raise ValueError(f"predict.columns {twice} are published already, as part of the key")
        return self

    def _is_snapshot_column(self, name: str) -> bool:
        source, _, column = name.partition(".")
        found = self.sources.get(source)
        return found is not None and not found.is_daily and column in found.columns

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


def load(folder: Path) -> UseCase:
    """Read `<folder>/usecase.yaml`.

    Raises:
        Refused: the file is missing, is not YAML, or a field is unknown or wrong; the sentence
            names file, field and what was expected.
    """
    path = folder / "usecase.yaml"
    if not path.is_file():
        raise Refused(
            f"There is no use case {folder.name!r}: {path} does not exist.",
            f"Known use cases: {', '.join(names(folder.parent)) or 'none'}.",
        )
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise Refused(f"{path} is not valid YAML: {error}.", "Mend the file.") from error
    try:
        found = UseCase.model_validate(written)
    except ValidationError as error:
        raise Refused(f"{path}: {_sentence(error)}", "Mend the file.") from error
    if found.name != folder.name:
        raise Refused(
            f"{path}: name is {found.name!r} but the folder is {folder.name!r}.",
            "Give both the same name.",
        )
    return found


def names(folder: Path) -> list[str]:
    """The names of all use cases in a folder, sorted."""
    return sorted(path.parent.name for path in folder.glob("*/usecase.yaml"))


def _sentence(error: ValidationError) -> str:
    parts = []
    for problem in error.errors():
        where = ".".join(str(step) for step in problem["loc"]) or "the file"
        if problem["type"] == "extra_forbidden":
            parts.append(f"unknown field {where!r}")
        elif problem["type"] == "missing":
            parts.append(f"field {where!r} is missing")
        else:
            parts.append(f"{where}: {problem['msg']} (found {problem.get('input')!r:.80})")
    return f"{len(parts)} problem{'s' if len(parts) > 1 else ''}: " + "; ".join(parts) + "."
