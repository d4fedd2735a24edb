"""A use case as its owner writes it: the types of `usecase.yaml`.

Frozen models that refuse unknown fields. `jobs.spec` reads the file into them and says what is
wrong with it; what is resolved from them (paths, dates, tables) lives in `jobs.plan`, and nothing
downstream of a plan reads the file again. Only pydantic is imported here, because every DAG file
parses these types. `daybreak schema` makes usecase.schema.json and usecase.md of them, and of the
descriptions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from math import ceil, isfinite
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from jobs.datetime_format import DatetimeFormat, datetime_format
from jobs.declared import DATE, Join, Types, Window, below, columns
from jobs.fields import Days, Name, Spec, Time
from jobs.guess import guess
from jobs.label_types import LABEL_TYPES, LabelType, score_column
from jobs.misfit import Misfit
from jobs.transforms.categories import OneHot
from jobs.transforms.recipe import Transform, columns_after
from jobs.transforms.step import Kind

REFERENCE = r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$"
EXPECTATION = r"^expect_[a-z0-9_]+$"


class About(Spec):
    """Who asks, and what."""

    question: str = Field(min_length=1, description="The question the scores answer.")
    owner: str = Field(min_length=1, description="The team that is told when a night fails.")
    users: tuple[str, ...] = Field(default=(), description="Who reads the scores.")


class Entity(Spec):
    """What is predicted, and the columns that name it.

    A flight is of one day, which is a part of its key; a message is of one day, which stands beside
    its key; a customer is of none, and is predicted every night.
    """

    key: tuple[Name, ...] = Field(min_length=1, description="Columns that name one entity.")
    date: Name | None = Field(
        default=None,
        description="The column, in the key or not, that is the prediction date. Without it every "
        "entity known at a date's cutoff is predicted for that date.",
    )
    source: Name = Field(description="The source that lists the entities of a prediction date.")

    @property
    def unique(self) -> tuple[str, ...]:
        """The columns of gold that name one prediction."""
        return self.key if self.date in self.key else (*self.key, "prediction_date")

    @property
    def labelled(self) -> tuple[str, ...]:
        """The columns of gold that name what a label is of: without a date it is of the entity."""
        return self.unique if self.date else self.key

    @property
    def day(self) -> str:
        """The column with the date, of entities that have one."""
        if self.date is None:
            raise ValueError("these entities have no date")
        return self.date


class Schedule(Spec):
    """When the night runs, in the use case's own time zone."""

    cron: str = Field(description="Cron of five fields; the day it fires is the prediction date.")
    start: dt.date = Field(description="First prediction date there can be.")
    end: dt.date | None = Field(default=None, description="Last prediction date, if there is one.")
    patience_hours: float = Field(
        default=3,
        ge=0,
        le=12,
        description="How long after the cutoff a night waits for a file that it needs. Its cutoff "
        "is then the moment when the last of them came.",
    )
    train_cron: str = Field(
        default="0 6 * * 0", description="When the model is trained anew: cron."
    )
    maintain_cron: str = Field(
        default="0 12 * * 0", description="When tables are maintained: cron."
    )

    @field_validator("cron", "train_cron", "maintain_cron")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        # What Airflow reads it with; a wrong one would keep every use case's DAGs from loading.
        from croniter import croniter

        if len(value.split()) != 5 or not croniter.is_valid(value):
            raise ValueError(f"{value!r} is not a five-field cron expression")
        return value


def known_zone(name: str) -> str:
    """The name of a time zone, if it is one.

    Raises:
        ValueError: it is none.
    """
    zones = available_timezones()
    if name not in zones:
        raise ValueError(f"{name!r} is not an IANA time zone{guess(name, zones)}")
    return name


class Column(Spec):
    """One column of a source: its type and the rules a row must pass."""

    type: Literal["string", "integer", "number", "boolean", "date", "timestamp"] = Field(
        description="Its type in silver. Without `format` a date is yyyy-mm-dd, and a timestamp "
        "ISO 8601 with its zone."
    )
    format: str | None = Field(
        default=None,
        description="How text has a date or a timestamp, by Spark's datetime patterns: `M/d/yyyy`, "
        "`d-MMM-yy`, `yyyy-MM-dd HH:mm:ss[.SSSSSS]`, `yyyy-MM-dd'T'HH:mm:ssXXX`. Nothing else is "
        "read then; of a time in it a date takes the day. Typed columns of Parquet and Delta need "
        "none, but for moments without a zone: they are `yyyy-MM-dd'T'HH:mm:ss.SSSSSS`.",
    )
    zone: str | None = Field(
        default=None,
        description="IANA time zone of timestamps whose format says none, which need it. A time "
        "that the clock skips counts as before the change, and one that comes twice is the first.",
    )
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
        pattern=REFERENCE,
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
            raise Misfit("type", f"min and max are of numbers, and this is a {self.type}")
        return self

    @model_validator(mode="after")
    def _is_written_so(self) -> Self:
        if self.format is None:
            if self.zone is not None:
                raise Misfit("zone", "it is of timestamps with a `format` that says no zone")
            return self
        if self.type not in ("date", "timestamp"):
            said = f"dates and timestamps have a format, and this is of type {self.type}"
            raise Misfit("format", said)
        try:
            says_zone = datetime_format(self.format).has_zone
        except ValueError as error:
            raise Misfit("format", str(error)) from error
        if self.type == "date" and (says_zone or self.zone):
            said = "a date is the day as it is written, in no zone: take it out, or declare a"
            raise Misfit("zone" if self.zone else "format", f"{said} timestamp")
        if self.type == "timestamp" and says_zone and self.zone:
            raise Misfit("zone", f"the format {self.format!r} says the zone itself: take it out")
        if self.type == "timestamp" and not says_zone and not self.zone:
            said = f"{self.format!r} says no zone: add `zone`, such as Europe/Vienna, or XXX"
            raise Misfit("format", said)
        return self

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, value: str | None) -> str | None:
        return value if value is None else known_zone(value)

    @property
    def written(self) -> DatetimeFormat | None:
        """How text has it, if it says so."""
        return None if self.format is None else datetime_format(self.format)

    def read(self, text: str) -> dt.date | dt.datetime | None:
        """What a text means by the column's format: a day, or a moment in UTC.

        None if it does not read so. A local time that the clock skips is taken with the offset
        before the change, and one that comes twice is the first of the two, in Spark as in Python.
        """
        found = self.written.read(text) if self.written else None
        if found is None or self.type == "date":
            return found and found.date()
        try:
            return self.local(found).astimezone(dt.UTC)
        except OverflowError:
            return None

    def local(self, moment: dt.datetime) -> dt.datetime:
        """A moment as texts of the column have it; one without a zone is in the column's."""
        zone = ZoneInfo(self.zone) if self.zone else dt.UTC
        return moment.astimezone(zone) if moment.tzinfo else moment.replace(tzinfo=zone)

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

    name: Name = Field(description="Under this name a row that breaks it is in quarantine.")
    expression: str = Field(min_length=1, description="SQL over the source's columns: true if so.")


class Format(Spec):
    """How the files are written."""

    type: Literal["csv", "jsonl", "parquet", "delta"] = Field(
        default="csv",
        description="CSV or JSON lines, either of them also gzipped, or Parquet; or a Delta table "
        "with `landing` naming its folder, of which the newest version counts.",
    )
    delimiter: str = Field(
        default=",",
        min_length=1,
        max_length=1,
        description="Of CSV: the character between two values.",
    )
    encoding: str = Field(default="utf-8", description="How text is written, by Python's name.")
    null: tuple[str, ...] | None = Field(
        default=None,
        description="Texts that mean missing, beside what is missing in the file itself: of CSV "
        "the empty one and `NA`, of others none.",
    )
    final_newline: Literal["required", "optional"] = Field(
        default="required",
        description="`required`: a file that does not end with a newline was cut off. Parquet and "
        "Delta know it themselves.",
    )

    @property
    def nothing(self) -> tuple[str, ...]:
        """The texts that mean missing."""
        if self.null is None:
            return ("", "NA") if self.type == "csv" else ()
        return self.null


class Arrives(Spec):
    """When a source's files are expected, in days relative to the prediction date.

    The night of prediction date D needs the file of D - `lag`, and also takes in what came late
    for the `late` days before that. A `snapshot` has no date of its own: of each row the newest
    version that had arrived is used, and rows that a newer file lacks stay.
    """

    as_: Literal["daily", "snapshot"] = Field(
        default="daily",
        alias="as",
        description="`daily`: files of one day each; `snapshot`: files that hold all there is, or "
        "add to it.",
    )
    lag: Days = Field(default=0, description="The night of date D needs the file of D minus this.")
    late: Days = Field(
        default=7, description="For how many days before that late files are taken in too."
    )


class Bound(Spec):
    """How many failures are borne: a share of the rows, a number of them, or both."""

    share: float | None = Field(default=None, ge=0, le=1, description="Share of the day's rows.")
    rows: int | None = Field(default=None, ge=0, description="Number of rows.")


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
    format: Format = Field(default=Format(), description="How its files are written.")
    arrives: Arrives = Field(default=Arrives(), description="When its files are expected.")
    key: tuple[Name, ...] = Field(min_length=1, description="Columns that name a row.")
    date: Name | None = Field(
        default=None, description="The row's day; of a daily source it must equal the file's."
    )
    known: str | None = Field(
        default=None,
        min_length=1,
        description="Of history that arrives long after it happened, SQL over the source's columns "
        "that says when a row could be known: a timestamp in UTC, or a date, which is its local "
        "midnight. It counts for the first version of a row and only if it is before the arrival.",
    )
    columns: dict[Name, Column] = Field(description="Its columns, by their names in silver.")
    rules: tuple[Rule, ...] = Field(default=(), description="Rules over whole rows.")
    unique: tuple[tuple[Name, ...], ...] = Field(
        default=(),
        description="Beside the key: columns whose values no two records of a file share.",
    )
    drift: Literal["refuse", "keep_extra", "declared"] = Field(
        default="refuse",
        description="`refuse` files with other columns than declared; `keep_extra`: keep columns "
        "that nobody declared in bronze; `declared`: accept what since, until and formerly say.",
    )
    budget: Budget = Field(default=Budget(), description="How many bad rows and files are borne.")
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
        named = {
            "key": self.key,
            "date": (self.date,) if self.date else (),
            "unique": [name for one in self.unique for name in one],
            "usual.leave_out": self.usual.leave_out if self.usual else (),
        }
        for field, names in named.items():
            for name in names:
                if name not in self.columns:
                    raise Misfit(field, f"{name!r} is not a column{guess(name, self.columns)}")
        return self

    @model_validator(mode="after")
    def _evolves_as_said(self) -> Self:
        for name, column in self.columns.items():
            at = f"columns.{name}"
            if column.evolves and self.drift != "declared":
                raise Misfit(at, "since, until and formerly need the source's `drift: declared`")
            if column.is_partly_there and (name in self.key or name == self.date):
                raise Misfit(at, "it is in key or date, which the files of every day have")
        return self

    @model_validator(mode="after")
    def _arrives_by_day(self) -> Self:
        if self.is_daily != ("{date}" in self.landing):
            raise Misfit("landing", "a daily source has {date} in it, a snapshot has not")
        if self.is_daily and self.date is None:
            raise Misfit("", "a daily source needs `date`, the column with the row's day")
        return self


FEWEST_LABELLERS = 2
# Ten rows for each column that matters are a common rule of thumb for a logistic regression
# (Peduzzi et al., Journal of Clinical Epidemiology 49(12), 1996), and five such columns are few.
FEW_ROWS = 50
# What names classes.
TYPES_OF_CLASSES = ("string", "integer", "boolean")
# With two of them there is a yes and a no.
FEWEST_CLASSES = 3
# Of a column in Postgres.
LONGEST_COLUMN = 63
# Columns that the platform makes: beside features, where a model is trained and watched; beside
# those of them that are published; and beside the key, in all tables of gold.
BESIDE_FEATURES = ("label", "score", "prediction")
BESIDE_PUBLISHED = ("model_version", "batch_id", "published_at", "scored_at")
BESIDE_KEY = (*BESIDE_FEATURES, *BESIDE_PUBLISHED, "matured_at")
# What a row of a table in the warehouse's schema `feedback` has beside the entity's key.
FEEDBACK_COLUMNS = ("feedback_id", "label", "labelled_by", "labelled_at")


class Within(Spec):
    """Labels of what happens later: events in the days from the prediction date on.

    The source of the labels has one row for each event then, with the entity's key but for its
    date, and a `date` of its own. Each entity of a prediction date has a label, whether anything
    happened or not.
    """

    days: Annotated[Days, Field(ge=1)] = Field(
        description="How many days count; the prediction date is the first of them."
    )
    do: Literal["any", "count", "sum", "mean", "min", "max"] = Field(
        description="What the label is of the entity's events: `any`: whether `expression` is true "
        "of one of them; `count`: of how many; `sum`, `mean`, `min` or `max` of `expression`, a "
        "number. Without events `any` is false, count and sum are 0, and the others are no label."
    )


class Rare(Spec):
    """With fewer training rows than which a class is rare: a number of them, a share, or both."""

    rows: int | None = Field(default=None, ge=1, description="Number of rows.")
    share: float | None = Field(default=None, gt=0, lt=1, description="Share of the training rows.")

    def under(self, rows: int) -> int:
        """The number of rows, of so many training rows."""
        return max(self.rows or 0, ceil((self.share or 0) * rows))

    @model_validator(mode="after")
    def _is_said(self) -> Self:
        if self.rows is None and self.share is None:
            raise Misfit("", "it needs `rows` or `share`")
        return self


class Label(Spec):
    """What is to be predicted, and how long after the prediction date it is final."""

    source: Name = Field(description="The source that says what came true.")
    expression: str = Field(
        min_length=1,
        description="SQL over the source's silver columns: true or false, or what `type` says; "
        "null for no label.",
    )
    within: Within | None = Field(
        default=None, description="Of events that happen later: which count, and what they make."
    )
    type: Literal["binary", "multiclass", "regression"] = Field(
        default="binary",
        description="`binary`: yes or no; `multiclass`: the name of one of `classes`; "
        "`regression`: a number.",
    )
    classes: tuple[str, ...] = Field(
        default=(),
        description="Of `multiclass` the names, three or more. Their order is that of the columns "
        "`score_CLASS` with their probabilities; of equally likely ones the first is predicted.",
    )
    group: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(
        default_factory=dict,
        description="Of `multiclass`, classes too rare to be learned, by the one that they become: "
        "`other: [lost, stolen]`, where `other` is one of `classes` and the others are not.",
    )
    rare: Rare = Field(
        default=Rare(rows=FEW_ROWS),
        description="When a class is rare. Every training tells which classes are, and which of "
        "those that `group` gathers are not any more.",
    )
    maturity: Days | None = Field(
        default=None,
        description="Days after the prediction date's end, or that of the last day of `within`; "
        "not of entities without a date, whose labels are final when they are known.",
    )
    feedback: bool = Field(
        default=False,
        description="`true`: people may give labels, too, in the warehouse's table "
        "`feedback.USE_CASE`. Of what they and the source say, what was known last counts; what a "
        "person says is final at once.",
    )
    labellers: tuple[Name, ...] = Field(
        default=(),
        description="Columns of the source, one for each person who labelled its rows, null where "
        "that person did not. Every training tells how far they agree. What the label is, "
        "`expression` says all the same.",
    )

    @property
    def kind(self) -> LabelType:
        """What follows from its type."""
        return LABEL_TYPES[self.type]

    @property
    def values(self) -> tuple[float | str, ...]:
        """What a label may be; empty: any finite number."""
        return self.classes or self.kind.values

    @property
    def score_columns(self) -> tuple[str, ...]:
        """The columns with the probabilities of classes, in their order."""
        return tuple(map(score_column, self.classes))

    @property
    def gathered(self) -> dict[str, str]:
        """What each class that is gathered becomes."""
        return {name: into for into, names in self.group.items() for name in names}

    @model_validator(mode="after")
    def _labellers_are_several(self) -> Self:
        if self.labellers and len(self.labellers) < FEWEST_LABELLERS:
            raise Misfit("labellers", "there is nobody to agree with: name two columns or more")
        if len(set(self.labellers)) < len(self.labellers):
            raise Misfit("labellers", "a column is named twice")
        return self

    @model_validator(mode="after")
    def _events_make_what_it_is(self) -> Self:
        if self.within is None:
            return self
        if self.labellers:
            said = "several people label a row, and with `within` a label is of many rows"
            raise Misfit("labellers", said)
        makes = "binary" if self.within.do == "any" else "regression"
        if self.type != makes:
            raise Misfit("within.do", f"`{self.within.do}` makes labels of `type: {makes}`")
        return self

    @model_validator(mode="after")
    def _classes_are_there(self) -> Self:
        if self.type != "multiclass":
            if self.classes:
                raise Misfit("classes", f"they are of `type: multiclass`, and this is {self.type}")
            return self
        if len(set(self.classes)) < FEWEST_CLASSES:
            said = f"`type: multiclass` takes {FEWEST_CLASSES} different `classes` or more"
            raise Misfit("classes", f"{said}, and two are `type: binary`")
        for place, column in enumerate(self.score_columns):
            if column in self.score_columns[:place]:
                first = self.classes[self.score_columns.index(column)]
                said = f"{first!r} and {self.classes[place]!r} would both be the column {column}"
                raise Misfit("classes", said)
            if len(column) > LONGEST_COLUMN:
                said = f"the column {column} is longer than {LONGEST_COLUMN} characters"
                raise Misfit("classes", said)
        return self

    @model_validator(mode="after")
    def _gathers_into_classes(self) -> Self:
        if self.type != "multiclass":
            return self
        named = [name for names in self.group.values() for name in names]
        for into, names in self.group.items():
            if into not in self.classes:
                said = f"{into!r} is not one of classes{guess(into, self.classes)}"
                raise Misfit(f"group.{into}", said)
            for name in names:
                if name in self.classes:
                    said = f"{name!r} becomes {into!r}: take it out of classes"
                    raise Misfit(f"group.{into}", said)
                if named.count(name) > 1:
                    raise Misfit(f"group.{into}", f"{name!r} is named twice")
        return self


# What may be done with a feature that goes into no model as it is.
EXAMPLES = {
    "timestamp": "{{do: calendar, of: {}, parts: [hour]}}",
    "text": "{{do: tfidf, of: {}}}",
}


# What a column of rows may be to be a feature of a kind; of other kinds, anything.
TYPES_OF_KIND = {
    "number": ("integer", "number", "boolean"),
    "timestamp": ("date", "timestamp"),
    "text": ("string",),
}


class Features(Spec):
    """The features, by kind, how they are made, and what becomes of them before a model sees them.

    A feature is a column of the entity's source, or made by `joins`, `expressions` or `windows`, in
    this order, or by a Python module.

    The transforms run in their order over the columns as they stand, and what they learn they
    learn from the training part. The numbers that are left after the last one go into the model's
    matrix, with 0/1 columns for the categories; timestamps and text are there for transforms.
    """

    module: Name | None = Field(
        default=None,
        description="The Python file beside `usecase.yaml` that makes what cannot be declared: "
        "its `build(inputs, rows)` gets the rows with every declared column, and gives them with "
        "its own columns added.",
    )
    history: Days = Field(description="Days before a prediction date that its features look at.")
    joins: tuple[Join, ...] = Field(
        default=(), description="Columns of other sources that the rows get, one after another."
    )
    expressions: dict[Name, str] = Field(
        default_factory=dict,
        description="Columns by name in SQL over the row, with its joined columns, the "
        "expressions before it and `prediction_date`; timestamps are in UTC.",
    )
    windows: tuple[Window, ...] = Field(
        default=(), description="Numbers of what happened in the days before."
    )
    numeric: tuple[Name, ...] = Field(default=(), description="Columns that are numbers.")
    categorical: tuple[Name, ...] = Field(default=(), description="Columns that are categories.")
    timestamp: tuple[Name, ...] = Field(
        default=(),
        description="Columns that are moments, in UTC; a date is its local midnight. A transform "
        "must use each.",
    )
    text: tuple[Name, ...] = Field(
        default=(), description="Columns of free text. A transform must use each."
    )
    max_categories: int = Field(
        default=32,
        ge=2,
        description="Most frequent values that get a column of their own, of the categories that "
        "are left after the transforms.",
    )
    transforms: tuple[Transform, ...] = Field(
        default=(), description="Steps between the features and the model's matrix, in order."
    )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.kinds)

    @property
    def kinds(self) -> dict[str, Kind]:
        """Each feature's kind, in the order of the columns of `gold.features`."""
        return {
            **dict.fromkeys(self.numeric, "number"),
            **dict.fromkeys(self.categorical, "category"),
            **dict.fromkeys(self.timestamp, "timestamp"),
            **dict.fromkeys(self.text, "text"),
        }

    @property
    def steps(self) -> tuple[Transform, ...]:
        """The transforms, and last the 0/1 columns of the categories that they leave."""
        left = columns_after(self.kinds, self.transforms)
        categories = tuple(name for name, kind in left.items() if kind == "category")
        last = (
            (OneHot(do="one_hot", of=categories, most=self.max_categories),) if categories else ()
        )
        return (*self.transforms, *last)

    @model_validator(mode="after")
    def _each_has_one_kind(self) -> Self:
        written = (*self.numeric, *self.categorical, *self.timestamp, *self.text)
        if twice := sorted({name for name in written if written.count(name) > 1}):
            raise Misfit("", f"{twice[0]!r} is declared twice: a feature is of one kind")
        return self

    @model_validator(mode="after")
    def _each_is_used(self) -> Self:
        left = columns_after(self.kinds, self.transforms)
        used = {name for step in self.transforms for name in step.of}
        for kind, idle in (("timestamp", self.timestamp), ("text", self.text)):
            if unused := [name for name in idle if name not in used]:
                raise Misfit(
                    kind,
                    f"no transform uses {unused[0]!r}: add one, such as "
                    f"`{EXAMPLES[kind].format(unused[0])}`, or take it out",
                )
        if not {"number", "category", "block"} & set(left.values()):
            raise Misfit("", "no number and no category is left for the model")
        return self


class TimeSplit(Spec):
    """Train, validation and holdout, in this order of time, before the training cutoff."""

    by: Literal["time"] = Field(default="time", description="`time`: one part after another.")
    validation: Days = Field(
        default=28, description="Days on which rounds, calibration and threshold are chosen."
    )
    holdout: Days = Field(default=28, description="Last days, which are kept from all fitting.")


class Shares(Spec):
    """Parts of all rows before the training cutoff; what is left of them is trained on."""

    by: Literal["random", "group"] = Field(description="What names the rows of a part.")
    validation: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Share of the rows on which rounds, calibration and threshold are chosen.",
    )
    holdout: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the rows that is kept from all fitting."
    )

    @model_validator(mode="after")
    def _leave_some(self) -> Self:
        if self.validation + self.holdout >= 1:
            raise Misfit("holdout", "with validation it takes all rows: leave some to train on")
        return self


class RandomSplit(Shares):
    """Each entity belongs to a part by a hash of its key and `model.seed`, whatever its date."""

    by: Literal["random"] = Field(description="`random`: by a hash of the entity's key.")
    stratify: bool = Field(
        default=False,
        description="Whether each class keeps its share in each part. Rows at the edges of a part "
        "may then come into another when there are more of them.",
    )


class GroupSplit(Shares):
    """As `random`, but rows of one group stay together; the shares are of the groups."""

    by: Literal["group"] = Field(description="`group`: by a hash of what `group` names.")
    group: Name = Field(
        description="A column of the key, or a category among the features; every row has one."
    )


def _way_to_split(value: object) -> str:
    if isinstance(value, Mapping):
        return str(value.get("by", "time"))
    return str(getattr(value, "by", "time"))


Split = Annotated[
    Annotated[TimeSplit, Tag("time")]
    | Annotated[RandomSplit, Tag("random")]
    | Annotated[GroupSplit, Tag("group")],
    Discriminator(_way_to_split),
]


class Folds(Spec):
    """Cross-validation by `daybreak evaluate NAME --folds`: how labelled rows are cut into folds.

    Each fold fits all candidates on its training rows, and judges them on its test rows, which
    they have not seen.
    """

    by: Literal["stratified", "random", "time"] = Field(
        description="`stratified`: each row is tested once, and each class keeps its share in each "
        "fold; `random`: the same without classes; `time`: each fold is tested on the rows that "
        "come after those that it learns from, in the order of prediction date and key. The first "
        "two are drawn by a hash of the entity's key and `model.seed`, and tear groups apart, so "
        "they do not go with `split: {by: group}`."
    )
    number: int = Field(default=5, ge=2, le=50, description="How many folds.")
    validation: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Share of a fold's training rows on which rounds, calibration and threshold "
        "are chosen: the last ones by time, else of all.",
    )
    gap: int = Field(
        default=0, ge=0, description="By time, rows left out between training and test."
    )
    train: int | None = Field(
        default=None, ge=2, description="By time, most rows to learn from; none: all before."
    )
    test: int | None = Field(
        default=None,
        ge=1,
        description="By time, rows to be tested on; none: as many as can be with one part more "
        "than there are folds.",
    )

    @model_validator(mode="after")
    def _rows_are_of_time(self) -> Self:
        for field in ("gap", "train", "test"):
            if self.by != "time" and field in self.model_fields_set:
                raise Misfit(field, f"it is of `by: time`, and this is {self.by}: take it out")
        return self


class Rate(Spec):
    """A rule-of-thumb candidate: the label's rate or mean by group, shrunk towards that of all."""

    by: tuple[Name, ...] = Field(
        min_length=1,
        description="Features whose values make a group. Of more than 10 000 groups the smallest "
        "have the overall rate.",
    )
    prior_rows: float = Field(default=50.0, gt=0, description="Weight of the overall rate.")


class Imbalance(Spec):
    """How classes of which there are few rows are learned.

    Of the training part only, and by the linear model and the trees. Their scores are those of the
    true shares of the classes all the same.
    """

    by: Literal["none", "weight", "oversample", "undersample"] = Field(
        default="none",
        description="`weight`: a rare class counts more; `oversample`: its rows are learned from "
        "several times, and where that is no whole number, some of them once more; `undersample`: "
        "of the more frequent class only some rows are learned from. The rows are the same ones "
        "every time. Begin with `weight`, which costs nothing. `undersample` makes less work where "
        "there are more rows than can be learned from. `oversample` makes more work, and is worth "
        "it where `parameters.subsample` draws rows for each tree: it draws copies one by one, so "
        "that hardly a rare row is left out.",
    )
    to: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="The share that yes has then. Without it `weight` lets all classes count "
        "alike, and `oversample` brings each to the rows of the most frequent one; `undersample` "
        "needs it. Nothing is left out of the rarer class or repeated of the more frequent one: "
        "where that would be needed, all rows are learned from once.",
    )

    @property
    def told(self) -> str:
        """In words: `weight` or `oversample to 0.2`."""
        return self.by if self.to is None else f"{self.by} to {self.to:g}"

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.by == "undersample" and self.to is None:
            said = "`by: undersample` needs `to`, the share that yes has then, and is of yes and no"
            raise Misfit("", said)
        if self.by == "none" and self.to is not None:
            raise Misfit("to", "say how, too: `by: weight`, `oversample` or `undersample`")
        return self


# What balancing sets itself.
BALANCED = ("base_score", "scale_pos_weight")
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


# Trials of one search at most.
MOST_TRIALS = 1000
# What can be searched for, with `ridge` of the linear candidate: not how values are binned, which
# is done once for all trials, nor what balancing sets itself.
SEARCHED = (*(name for name in GROWING if name not in ("max_bin", *BALANCED)), "ridge")
# Parameters of XGBoost that are whole numbers.
WHOLE = ("max_depth", "max_leaves", "num_parallel_tree", "max_bin")
# Those that are words, and which. The others are numbers.
WORDED = {"grow_policy": ("depthwise", "lossguide")}
# Those that are shares of rows or columns.
SHARES = ("subsample", *(name for name in GROWING if name.startswith("colsample_")))
# The least that XGBoost takes of those that may not be 0.
LEAST = {"num_parallel_tree": 1, "max_bin": 2}
# What of a candidate's may be declared, by the candidate.
OF_CANDIDATE = {
    "rule": ("rule",),
    "linear": ("ridge",),
    "xgboost": ("rounds", "early_stopping", "parameters", "objective"),
}


def _possible(name: str, value: float | str) -> float | int | str:
    """A value of one of XGBoost's parameters as it reads it: 3.0 as 3, where it is whole.

    Raises:
        Misfit: it takes no such value.
    """
    if name in WORDED:
        if value not in WORDED[name]:
            raise Misfit(name, f"{value!r} is not {' or '.join(WORDED[name])}")
        return value
    if isinstance(value, str) or not isfinite(value):
        raise Misfit(name, f"{value!r} is not a finite number")
    if name in WHOLE and value != int(value):
        raise Misfit(name, "it is a whole number")
    if name in SHARES and not 0 < value <= 1:
        raise Misfit(name, f"{value:g} is no share: more than 0, and up to 1")
    if name not in BALANCED and value < (least := LEAST.get(name, 0)):
        raise Misfit(name, f"{value:g} is less than {least}")
    return int(value) if name in WHOLE else value


class Range(Spec):
    """Between which two numbers one is searched for."""

    low: float = Field(allow_inf_nan=False, description="The smallest that is tried.")
    high: float = Field(allow_inf_nan=False, description="The largest that is tried.")
    log: bool = Field(
        default=False,
        description="Whether its logarithm is drawn: from 0.01 to 0.1 then as often as from 0.1 to "
        "1.",
    )

    @model_validator(mode="after")
    def _has_an_inside(self) -> Self:
        if self.low >= self.high:
            raise Misfit("low", f"{self.low:g} is not less than `high`, which is {self.high:g}")
        if self.log and self.low <= 0:
            raise Misfit("low", f"{self.low:g} has no logarithm: more than 0, or take `log` out")
        return self


def _how_to_search(value: object) -> str:
    return "range" if isinstance(value, Mapping | Range) else "list"


Tries = Annotated[
    Annotated[Range, Tag("range")]
    | Annotated[tuple[float | int | str, ...], Field(min_length=2), Tag("list")],
    Discriminator(_how_to_search),
]


class Tune(Spec):
    """A search for settings of XGBoost, and the ridge of the linear candidate, on validation.

    Trials learn from at most some 100 000 rows of the training part, and are judged on as many of
    validation. What is found is then fitted on all rows.
    """

    trials: int = Field(
        default=0,
        ge=0,
        le=MOST_TRIALS,
        description="How many settings of XGBoost are tried at most, the declared ones first; of "
        "the ridge, which is a single number, no more than 10. With 0 nothing is searched for.",
    )
    minutes: float | None = Field(
        default=None,
        gt=0,
        description="After how many minutes of trials no further one begins. How many fit in is "
        "then up to the machine; by `trials` alone the same rows give the same settings.",
    )
    search: dict[str, Tries] = Field(
        default_factory=dict,
        description="What is searched for, by the names of `model.parameters` and `ridge`: `{low: "
        "0.01, high: 0.3, log: true}`, or a list of values. Without it max_depth, learning_rate, "
        "min_child_weight, subsample, colsample_bytree, reg_lambda, of classes gamma, and ridge.",
        json_schema_extra={"propertyNames": {"enum": list(SEARCHED)}},
    )

    @field_validator("search")
    @classmethod
    def _can_be_searched(cls, search: dict[str, Tries]) -> dict[str, Tries]:
        found: dict[str, Tries] = {}
        for name, values in search.items():
            if name not in SEARCHED:
                near = guess(name, SEARCHED)
                raise Misfit(
                    name, f"it cannot be searched for{near}; what can: {', '.join(SEARCHED)}"
                )
            ranged = isinstance(values, Range)
            if ranged and name in WORDED:
                raise Misfit(name, f"it is a list of {' and '.join(WORDED[name])}")
            bounds = (values.low, values.high) if isinstance(values, Range) else values
            tried = tuple(_possible(name, value) for value in bounds)
            if name == "ridge" and 0 in tried:
                raise Misfit(name, "it is a number more than 0")
            found[name] = values if ranged else tried
        return found


class Model(Spec):
    """The candidates and how XGBoost is fitted."""

    candidates: tuple[Literal["constant", "rule", "linear", "xgboost"], ...] = Field(
        default=("constant", "rule", "linear", "xgboost"),
        description="What is fitted and compared; of two that are as good the simpler one wins, "
        "whatever their order here. The constant, which any model has to beat, is always one.",
    )
    metric: (
        Literal[
            "roc_auc",
            "pr_auc",
            "log_loss",
            "f1_weighted",
            "f1_macro",
            "accuracy",
            "rmse",
            "mae",
        ]
        | None
    ) = Field(
        default=None,
        description="What candidates are compared by. Of binary labels `roc_auc`, unless it is "
        "`pr_auc` or `log_loss`; of several classes `log_loss`, unless it is `f1_weighted`, "
        "`f1_macro` or `accuracy`, for which XGBoost stops by log loss all the same; of "
        "regression `rmse`, unless it is `mae`.",
    )
    rule: Rate | None = Field(
        default=None,
        description="The rule of thumb that a model has to beat; to be said where it is one of the "
        "candidates.",
    )
    rounds: int = Field(default=1000, ge=1, description="Most boosting rounds.")
    early_stopping: int = Field(default=50, ge=1, description="Rounds without gain before a stop.")
    parameters: dict[str, float | int | str] = Field(
        default_factory=dict,
        description="How XGBoost grows its trees; its own default where nothing is said.",
        json_schema_extra={"propertyNames": {"enum": list(GROWING)}},
    )
    objective: Literal["poisson"] | None = Field(
        default=None,
        description="What XGBoost fits, if not what `metric` says. `poisson`: of numbers that are "
        "0 or more, such as counts, the logarithm of their mean, so that effects multiply.",
    )
    ridge: float = Field(
        default=1e-4,
        gt=0,
        description="Of the linear candidate, how strongly coefficients are drawn to 0, relative "
        "to the number of rows. The default only settles columns that say the same; text may want "
        "less.",
    )
    tune: Tune = Field(default=Tune(), description="Whether other settings are searched for.")
    imbalance: Imbalance = Field(default=Imbalance(), description="How rare classes are learned.")
    calibrate: Literal["auto", "isotonic", "sigmoid", "temperature", "none"] | None = Field(
        default=None,
        description="How scores become probabilities, fitted on validation. Of binary labels "
        "`isotonic` (a curve of any shape that rises, for a thousand rows and more), `sigmoid` "
        "(Platt's), `none`, or `auto`, unless something is said: of these the one with the least "
        "log loss in five folds of validation. Of several classes `none`, unless it is "
        "`temperature` or `auto`.",
    )
    rebuildable: Days = Field(
        default=365,
        description="How long a registered version's training set can be read again; the "
        "champion's always can.",
    )
    seed: int = Field(default=20130101, ge=0, lt=4 * 10**9, description="Of all random choices.")

    @property
    def groups(self) -> tuple[str, ...]:
        """The features whose values make the groups of the rule, if there is a rule."""
        return () if self.rule is None else self.rule.by

    @field_validator("parameters")
    @classmethod
    def _known(cls, parameters: dict[str, float | int | str]) -> dict[str, float | int | str]:
        for name in parameters:
            if name not in GROWING:
                near = guess(name, GROWING)
                raise Misfit(name, f"it cannot be set{near}; what can: {', '.join(GROWING)}")
        return {name: _possible(name, value) for name, value in parameters.items()}

    @field_validator("candidates")
    @classmethod
    def _begin_with_the_constant(cls, candidates: tuple[str, ...]) -> tuple[str, ...]:
        if "constant" not in candidates:
            raise ValueError("`constant` is what every model has to beat: add it")
        if len(set(candidates)) < len(candidates):
            raise ValueError("each candidate is named once")
        return candidates

    @model_validator(mode="after")
    def _says_nothing_of_others(self) -> Self:
        if "rule" in self.candidates and self.rule is None:
            said = "`rule` is missing: add it, such as `rule: {by: [COLUMN]}`, or take the rule"
            raise Misfit("", f"{said} out of `candidates`")
        for kind, fields in OF_CANDIDATE.items():
            for field in fields:
                if kind not in self.candidates and field in self.model_fields_set:
                    said = f"it is of {kind}, which is not one of model.candidates"
                    raise Misfit(field, f"{said}: take it out")
        for name in self.tune.search:
            kind = "linear" if name == "ridge" else "xgboost"
            if kind not in self.candidates:
                said = f"it is of {kind}, which is not one of model.candidates"
                raise Misfit(f"tune.search.{name}", f"{said}: take it out")
        return self

    @model_validator(mode="after")
    def _balances_once(self) -> Self:
        for name in BALANCED:
            if self.imbalance.by != "none" and name in self.parameters:
                raise Misfit(f"parameters.{name}", "model.imbalance sets it: take one of them out")
        return self


class Slice(Spec):
    """A way to cut the holdout: the values of an SQL expression over the features."""

    name: Name = Field(description="What the slice is called in reports.")
    expression: str = Field(
        min_length=1, description="SQL over features and key; each of its values is one part."
    )


class Evaluated(Spec):
    """What the report of an evaluation tells beside what it always tells."""

    fairness: tuple[Name, ...] = Field(
        default=(),
        description="Slices whose values are groups that should fare alike: their rates are "
        "compared.",
    )
    learning_curve: bool = Field(
        default=False,
        description="Whether a training also fits every candidate on an eighth, a quarter and half "
        "of its rows, which takes about as long again.",
    )
    examples: int = Field(
        default=0,
        ge=0,
        le=100,
        description="How many of the costliest errors are shown with their keys and features. They "
        "are copies in MLflow, which an erasure does not reach.",
    )


class Promote(Spec):
    """What a challenger must show on the holdout before it may score a night."""

    min_gain: float = Field(default=0.0, ge=0, description="In units of model.metric.")
    confidence: float = Field(
        default=0.95, gt=0.5, lt=1, description="Of the intervals that a decision rests on."
    )
    max_slice_loss: float = Field(
        default=0.02,
        ge=0,
        description="Allowed loss in any slice, in units of model.metric; to be said where "
        "regression has slices. A person decides where a slice may have lost more.",
    )
    max_calibration_error: float = Field(
        default=0.05,
        gt=0,
        description="Mean distance that is borne of scores from rates of yes, or of the predicted "
        "class's probabilities from how often it is right; not of regression.",
    )
    max_volume_change: float = Field(
        default=1.0,
        gt=0,
        description="By what share predictions may become more than the champion's on the same "
        "rows, or the champion's more than they are: rows said to be yes or of a class, and sums "
        "of scores. 1: up to twice as many, or half. Beyond it a person decides.",
    )
    max_microseconds: float | None = Field(
        default=None,
        gt=0,
        description="How long scoring a row may take, on one core; not measured unless it is said.",
    )
    approval: Literal["auto", "required"] = Field(
        default="auto", description="`required`: a person has the last word."
    )


class AtLeast(Spec):
    """What a threshold must reach: a precision or a recall, with as much of the other as can be."""

    precision: float | None = Field(
        default=None, gt=0, le=1, description="Share of the rows said to be yes that are."
    )
    recall: float | None = Field(
        default=None, gt=0, le=1, description="Share of the rows that are yes which are said to be."
    )

    @model_validator(mode="after")
    def _is_of_one(self) -> Self:
        if (self.precision is None) == (self.recall is None):
            raise Misfit("", "it is of `precision` or of `recall`")
        return self


class Cost(Spec):
    """What an error costs, in any unit; being right costs nothing."""

    false_positive: float = Field(gt=0, description="Of a row said to be yes that is not.")
    false_negative: float = Field(gt=0, description="Of a row that is yes and not said to be.")


# The ways to choose a threshold.
WAYS = ("maximise", "at_least", "cost", "fixed")


class Threshold(Spec):
    """How the score that counts as yes is chosen, on validation only: in one of four ways."""

    maximise: Literal["f1", "f_beta"] | None = Field(
        default=None,
        description="What is largest at the threshold. It is `f1` if nothing is said here.",
    )
    beta: float | None = Field(
        default=None,
        gt=0,
        description="Of `f_beta`: how many times as much recall counts as precision.",
    )
    at_least: AtLeast | None = Field(
        default=None, description="What it must reach. If it cannot, the evaluation says so."
    )
    cost: Cost | None = Field(default=None, description="What is least of all there.")
    fixed: float | None = Field(default=None, ge=0, le=1, description="The threshold itself.")

    @model_validator(mode="after")
    def _is_chosen_once(self) -> Self:
        said = [name for name in WAYS if getattr(self, name) is not None]
        if len(said) > 1:
            raise Misfit(said[1], f"{said[0]} chooses the threshold already: take one of them out")
        if (self.beta is None) == (self.maximise == "f_beta"):
            raise Misfit("", "`maximise: f_beta` and `beta` go together")
        return self


# The columns with the ends of an interval.
ENDS = ("low", "high")


class Predict(Spec):
    """What is published beside the key and the score."""

    threshold: Threshold = Field(
        default=Threshold(),
        description="How the score that counts as yes is chosen; of binary labels only.",
    )
    costs: dict[str, dict[str, Annotated[float, Field(ge=0)]]] = Field(
        default_factory=dict,
        description="Of several classes, by the true class and the said one, what it costs to be "
        "wrong so: 1 where nothing is said. That class is predicted whose cost is least to be "
        "expected; with no costs here that is the likeliest.",
    )
    interval: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Of numbers: the share of the labels that is to lie between the columns `low` "
        "and `high`, such as 0.9.",
    )
    columns: tuple[Name, ...] = Field(default=(), description="Features published beside it.")
    keep_batches: Days = Field(default=400, description="Days that batches stay in Postgres.")

    @property
    def ends(self) -> tuple[str, ...]:
        """The columns with the ends of intervals, if there are."""
        return ENDS if self.interval is not None else ()


class Monitor(Spec):
    """When a night's data count as drifted."""

    psi: float = Field(default=0.2, gt=0, description="Population stability index that alarms.")
    false_discovery: float = Field(
        default=0.05, gt=0, lt=1, description="Share of drift alarms that may be false ones."
    )
    fresh_within_hours: float = Field(
        default=30, gt=0, description="How old in hours the newest batch may be."
    )


# Under these names Great Expectations is told which columns to look at.
COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list", "column_set")


def columns_named(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that an expectation's arguments name."""
    named = (value for name, value in arguments.items() if name in COLUMN_ARGUMENTS)
    lists = (each if isinstance(each, list) else [each] for each in named if each is not None)
    return tuple(str(name) for some in lists for name in some)


class Expectation(Spec):
    """One Great Expectations expectation, by its own name and arguments."""

    expect: str = Field(pattern=EXPECTATION, description="Its name in Great Expectations.")
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="What it is told, such as `column`."
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it names."""
        return columns_named(self.arguments)


class Gates(Spec):
    """What is expected of a table beyond what its columns already say."""

    silver: dict[Name, tuple[Expectation, ...]] = Field(
        default_factory=dict, description="Of each day of a source, by the source's name."
    )
    features: tuple[Expectation, ...] = Field(
        default=(), description="Of the features of the dates of a run."
    )
    predictions: tuple[Expectation, ...] = Field(
        default=(), description="Of the scores of the dates of a run."
    )


class UseCase(Spec):
    """One supervised prediction, declared in one file."""

    name: Name = Field(description="Its name, which is its folder's too.")
    about: About = Field(description="Whose prediction it is.")
    entity: Entity = Field(description="What is predicted.")
    timezone: str = Field(description="IANA time zone that dates are local to: America/New_York.")
    schedule: Schedule = Field(description="When the night runs.")
    cutoff: Time = Field(
        description="Local time on the prediction date before which facts must have arrived."
    )
    sources: dict[Name, Source] = Field(
        min_length=1, description="The feeds of files, by the names of their tables."
    )
    label: Label = Field(description="What is to be predicted.")
    features: Features = Field(description="What it is predicted from.")
    gates: Gates = Field(default=Gates(), description="What is expected of the tables besides.")
    split: Split = Field(
        default=TimeSplit(), description="How the rows before a training are divided."
    )
    model: Model = Field(description="How candidates are fitted.")
    folds: Folds | None = Field(default=None, description="How it is cross-validated, if it is.")
    slices: tuple[Slice, ...] = Field(default=(), description="Groups that are judged apart.")
    evaluation: Evaluated = Field(default=Evaluated(), description="What its report tells besides.")
    promote: Promote = Field(default=Promote(), description="What a challenger must show.")
    predict: Predict = Field(default=Predict(), description="What is published.")
    monitor: Monitor = Field(default=Monitor(), description="When a night's data alarm.")

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        return known_zone(value)

    @model_validator(mode="after")
    def _entities_and_labels_have_sources(self) -> Self:
        for field, source in (("entity", self.entity.source), ("label", self.label.source)):
            at = f"{field}.source"
            if source not in self.sources:
                raise Misfit(at, f"{source!r} is not one of sources{guess(source, self.sources)}")
            own = self.label.within is not None and field == "label"
            for name in self.entity.key:
                if name not in self.sources[source].columns and not (
                    own and name == self.entity.date
                ):
                    raise Misfit(at, f"{source!r} lacks {name!r}, a column of entity.key")
        return self

    @model_validator(mode="after")
    def _events_have_days(self) -> Self:
        if self.label.within is None:
            return self
        if self.entity.date is None:
            said = "what happens later is later than a date: it needs `entity.date`"
            raise Misfit("label.within", said)
        source, listed = self.sources[self.label.source], self.sources[self.entity.source]
        if source.date is None:
            said = f"{self.label.source!r} has no `date`, the day of an event"
            raise Misfit("label.source", said)
        if (kind := source.columns[source.date].type) != "date":
            said = f"{source.date!r} of {self.label.source} is of type {kind}, and must be a date"
            raise Misfit("label.source", said)
        for name in self.entity.key:
            mine, theirs = listed.columns[name].type, source.columns.get(name)
            if name != self.entity.date and theirs is not None and theirs.type != mine:
                said = f"{name!r} is of type {theirs.type}, and in {self.entity.source} of {mine}"
                raise Misfit("label.source", said)
        if self.folds and self.folds.by == "time":
            said = "labels of `within` reach from a fold's training into its test: by another way"
            raise Misfit("folds.by", said)
        return self

    @model_validator(mode="after")
    def _date_is_a_date(self) -> Self:
        if (date := self.entity.date) is None:
            return self
        of = {"entity": (self.entity.source, "entities")}
        if self.label.within is None:
            of["label"] = (self.label.source, "labels")
        for source, _ in of.values():
            columns = self.sources[source].columns
            if date not in columns:
                said = f"{date!r} is not a column of {source}{guess(date, columns)}"
                raise Misfit("entity.date", said)
            if columns[date].type != "date":
                said = f"{date!r} of {source} is of type {columns[date].type}, and must be a date"
                raise Misfit("entity.date", said)
        for field, (name, what) in sorted(of.items(), reverse=True):
            rows = self.sources[name]
            if rows.is_daily and rows.date != date:
                raise Misfit(
                    f"{field}.source",
                    f"{name!r} is laid out by {rows.date!r}, and {what} are of entity.date "
                    f"{date!r}: both must be the same column",
                )
            if more := [one for one in rows.key if one not in (*self.entity.key, date)]:
                said = f"{name!r} may have rows of one entity and day that differ in {more[0]!r}"
                raise Misfit(f"{field}.source", f"{said}: its key is entity.key and entity.date")
        if self.label.maturity is None:
            raise Misfit("label", "it needs `maturity`, after how many days a label is final")
        return self

    @model_validator(mode="after")
    def _without_a_date_there_is_one_row(self) -> Self:
        if self.entity.date is not None:
            return self
        for field, name in (("entity", self.entity.source), ("label", self.label.source)):
            source, without = self.sources[name], "an entity without `date`"
            if source.is_daily:
                said = f"{name!r} has files of days, and {without} is in a snapshot"
                raise Misfit(f"{field}.source", said)
            if more := [each for each in source.key if each not in self.entity.key]:
                said = f"{name!r} may have rows of one entity that differ in {more[0]!r}"
                raise Misfit(f"{field}.source", f"{said}, and {without} has one row")
        if self.label.maturity is not None:
            said = "labels of entities without `date` are final when they are known: take it out"
            raise Misfit("label.maturity", said)
        said = "entities without `date` have no days to be divided by"
        if self.split.by == "time":
            raise Misfit("split.by", said)
        if self.folds and self.folds.by == "time":
            raise Misfit("folds.by", said)
        return self

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        used = {
            f"sources.{self.entity.source}.columns": (
                self.sources[self.entity.source].columns,
                (DATE,),
            ),
            "entity.key": (self.entity.key, BESIDE_KEY),
            "features": (self.features.names, BESIDE_FEATURES),
            "predict.columns": (self.predict.columns, BESIDE_PUBLISHED),
        }
        for field, (names, taken) in used.items():
            for name in names:
                if name in taken:
                    said = f"{name!r} is a column that the platform makes itself: call it otherwise"
                    raise Misfit(field, f"{said} (a column of files has `header: {name}` then)")
        return self

    @model_validator(mode="after")
    def _features_are_made(self) -> Self:
        with below("features"):
            made = columns(self.features, self.sources, self.entity.source)
        for field in ("numeric", "categorical", "timestamp", "text"):
            for name in getattr(self.features, field):
                self._is_made(name, f"features.{field}", made)
        return self

    def _is_made(self, name: str, at: str, made: Types) -> None:
        if name not in made:
            if self.features.module is None:
                said = f"{name!r} is not a column of {self.entity.source}{guess(name, made)}"
                raise Misfit(
                    at,
                    f"{said}, no join, expression or window makes it, and there is "
                    "no features.module",
                )
            return
        kind, type_ = self.features.kinds[name], made[name]
        if type_ and type_ not in TYPES_OF_KIND.get(kind, (type_,)):
            said = f"{name!r} is of type {type_}"
            raise Misfit(at, f"{said}, and a {kind} is made of {' or '.join(TYPES_OF_KIND[kind])}")

    @model_validator(mode="after")
    def _feedback_has_columns_of_its_own(self) -> Self:
        for name in self.entity.key if self.label.feedback else ():
            if name in FEEDBACK_COLUMNS:
                said = f"{name!r} in entity.key is a column of every table of feedback already"
                raise Misfit("label.feedback", said)
        return self

    @model_validator(mode="after")
    def _labellers_say_the_same_thing(self) -> Self:
        columns, of = self.sources[self.label.source].columns, self.label.source
        for name in self.label.labellers:
            if name not in columns:
                said = f"{name!r} is not a column of {of}{guess(name, columns)}"
                raise Misfit("label.labellers", said)
            first, kind = self.label.labellers[0], columns[name].type
            if kind not in TYPES_OF_CLASSES:
                raise Misfit("label.labellers", f"{name!r} is of type {kind}, which names no class")
            if kind != columns[first].type:
                said = f"{name!r} is of type {kind}, and {first!r} of type {columns[first].type}"
                raise Misfit("label.labellers", said)
        return self

    @model_validator(mode="after")
    def _references_are_of_snapshots(self) -> Self:
        for name, source in self.sources.items():
            for column, spec in source.columns.items():
                at = f"sources.{name}.columns.{column}.references"
                if spec.references and not source.is_daily:
                    raise Misfit(at, "a snapshot refers to nothing")
                if spec.references and not self._is_snapshot_column(spec.references):
                    raise Misfit(at, f"{spec.references!r} is not a column of a snapshot")
        return self

    @model_validator(mode="after")
    def _gates_are_of_columns(self) -> Self:
        for name, expected in self.gates.silver.items():
            if name not in self.sources:
                near = guess(name, self.sources)
                raise Misfit(f"gates.silver.{name}", f"there is no such source{near}")
            columns = self.sources[name].columns
            for index, each in enumerate(expected):
                at = f"gates.silver.{name}[{index}].arguments"
                for column in each.columns:
                    if column not in columns:
                        said = f"{column!r} is not a column of {name}{guess(column, columns)}"
                        raise Misfit(at, said)
        known = (*self.features.names, *self.entity.key)
        for index, each in enumerate(self.gates.features):
            for column in each.columns:
                if column not in known:
                    said = f"{column!r} is not a feature{guess(column, known)}"
                    raise Misfit(f"gates.features[{index}].arguments", said)
        return self

    @model_validator(mode="after")
    def _features_are_there(self) -> Self:
        named = {"model.rule.by": self.model.groups, "predict.columns": self.predict.columns}
        for field, names in named.items():
            for name in names:
                if name not in self.features.names:
                    near = guess(name, self.features.names)
                    raise Misfit(field, f"{name!r} is not a feature{near}")
        for name in self.predict.columns:
            if name in self.entity.key:
                raise Misfit("predict.columns", f"{name!r} is published already, in the key")
        for name in self.label.score_columns:
            if name in (*self.entity.key, *self.predict.columns):
                said = f"the column {name} of a class is in the key or predict.columns already"
                raise Misfit("label.classes", said)
        for name in self.predict.ends:
            if name in (*self.entity.key, *self.predict.columns):
                said = f"its column {name} is in the key or predict.columns already"
                raise Misfit("predict.interval", said)
        return self

    @model_validator(mode="after")
    def _fits_the_label(self) -> Self:
        kind, written = self.label.kind, f"label.type is {self.label.type}"
        if self.model.metric not in (None, *kind.metrics):
            said = f"{written}, which is judged by {' or '.join(kind.metrics)}"
            raise Misfit("model.metric", f"{said}, not {self.model.metric}")
        for field, why in kind.without.items():
            if self._says(field):
                raise Misfit(field, f"{written}, and {why}: take it out")
        if self.model.calibrate not in (None, *kind.calibrations):
            said = f"{written}, which is calibrated by {' or '.join(kind.calibrations)}"
            raise Misfit("model.calibrate", f"{said}, not {self.model.calibrate}")
        for index, step in enumerate(self.features.transforms):
            if step.do in kind.without_steps:
                said = f"{written}, and {kind.without_steps[step.do]}: take it out"
                raise Misfit(f"features.transforms[{index}]", said)
        if self.slices and not kind.probabilities and not self._says("promote.max_slice_loss"):
            said = "promote.max_slice_loss must say how much a slice may lose, in the label's unit"
            raise Misfit("slices", f"{written}, so {said}")
        return self

    @model_validator(mode="after")
    def _costs_are_of_classes(self) -> Self:
        classes = self.label.classes
        for true, costs in self.predict.costs.items():
            for name in (true, *costs):
                if name not in classes:
                    near = guess(name, classes)
                    raise Misfit("predict.costs", f"{name!r} is not one of label.classes{near}")
            if true in costs:
                said = f"to be right about {true!r} costs nothing: take it out"
                raise Misfit("predict.costs", said)
        return self

    @model_validator(mode="after")
    def _groups_are_slices(self) -> Self:
        names = [one.name for one in self.slices]
        for index, name in enumerate(self.evaluation.fairness):
            if name not in names:
                said = f"{name!r} is not one of slices{guess(name, names)}"
                raise Misfit(f"evaluation.fairness[{index}]", said)
        return self

    @model_validator(mode="after")
    def _rows_have_groups(self) -> Self:
        if isinstance(self.split, GroupSplit) and self.split.group not in self.entity.key:
            name, kinds = self.split.group, self.features.kinds
            if name not in kinds:
                near = guess(name, (*self.entity.key, *kinds))
                raise Misfit("split.group", f"{name!r} is neither in the key nor a feature{near}")
            if kinds[name] != "category":
                raise Misfit("split.group", f"{name!r} is a {kinds[name]}, which names no groups")
        return self

    @model_validator(mode="after")
    def _folds_keep_groups(self) -> Self:
        if self.folds and self.folds.by != "time" and isinstance(self.split, GroupSplit):
            said = f"it tears rows of one {self.split.group} apart, which split keeps together"
            raise Misfit("folds.by", f"{said}: take folds out, or test on later rows: `by: time`")
        return self

    @model_validator(mode="after")
    def _folds_have_classes(self) -> Self:
        if self.folds and self.folds.by == "stratified" and self.label.type == "regression":
            said = "label.type is regression, which has no classes: say `by: random`"
            raise Misfit("folds.by", said)
        return self

    @model_validator(mode="after")
    def _rule_is_by_groups(self) -> Self:
        for name in self.model.groups:
            if (kind := self.features.kinds[name]) not in ("number", "category"):
                raise Misfit("model.rule.by", f"{name!r} is a {kind}, which names no groups")
        return self

    def _is_snapshot_column(self, name: str) -> bool:
        source, _, column = name.partition(".")
        found = self.sources.get(source)
        return found is not None and not found.is_daily and column in found.columns

    def _says(self, field: str) -> bool:
        """Whether the file itself says something of a field, such as `model.calibrate`."""
        part: Any = self
        for step in field.split("."):
            there = part if isinstance(part, dict) else part.model_fields_set
            if step not in there:
                return False
            part = part[step] if isinstance(part, dict) else getattr(part, step)
        # Nothing is said by what is empty.
        return part is not None and part != {}

    @property
    def metric(self) -> str:
        """What candidates are compared by."""
        return self.model.metric or self.label.kind.metrics[0]

    @property
    def calibrate(self) -> str:
        """How scores become probabilities, of labels whose scores do."""
        return self.model.calibrate or self.label.kind.calibrations[0]

    @property
    def told(self) -> str:
        """The metric that trainings and nights are told by."""
        return self.label.kind.told or self.metric

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)
