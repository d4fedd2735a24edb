"""Which columns become features, of which kind, and which are left out, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import mutual_info_score

from jobs.draft.leaks import Suspect, suspects
from jobs.draft.profile import Profile
from jobs.draft.target import Target
from jobs.draft.texts import numbers
from jobs.transforms.step import Kind

# A category with more values than this is not spread over as many columns.
MOST_VALUES = 32
BUCKETS = 1024
# A text that nearly each row has for itself is a name.
OF_ITS_OWN = 0.9
FEWEST_ROWS = 20
# What makes the groups of the rule of thumb has no more values than this.
MOST_GROUPS = 50
TENTHS = 10
CALENDAR = {"date": ["day_of_week", "month"], "timestamp": ["hour", "day_of_week", "month"]}


@dataclass
class Chosen:
    """The features of a draft.

    Attributes:
        kinds: the kind of each feature, by name.
        left_out: why a column is not one, by its name.
        expressions: SQL by the names of the features that it makes.
        transforms: the steps, as they are written.
        rule: the feature whose values make the groups of the rule of thumb.
        suspects: what gives the label away.
    """

    kinds: dict[str, Kind] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    expressions: dict[str, str] = field(default_factory=dict)
    transforms: list[dict[str, Any]] = field(default_factory=list)
    rule: str = ""
    suspects: list[Suspect] = field(default_factory=list)

    def of(self, kind: Kind) -> list[str]:
        """The features of a kind."""
        return [name for name, each in self.kinds.items() if each == kind]


def choose(
    frame: pd.DataFrame, columns: Mapping[str, Profile], key: tuple[str, ...], target: Target
) -> Chosen:
    """Take what may honestly be learned from, and leave out what names rows or tells the label.

    Args:
        frame: the rows as text, with the columns of joined files.
    """
    made = Chosen()
    label = target.labels(frame[target.column])
    for name, column in columns.items():
        if name == target.column:
            continue
        if why := _idle(column) or _names_rows(column, key):
            made.left_out[name] = why
        else:
            made.kinds[name] = kind_of(column)
    looked_at = {name: as_values(frame[name], columns[name].type) for name in made.kinds}
    made.suspects = suspects(looked_at, label, target.kind, target.column)
    for found in made.suspects:
        for name in found.columns:
            del made.kinds[name]
            made.left_out[name] = f"{found.said}: it would give the answer away"
    _count_words(made, columns)
    made.transforms = list(_transforms(made, columns, target))
    made.rule = _rule(made, frame, columns, label)
    return made


def kind_of(column: Profile) -> Kind:
    """The kind of feature that a column makes."""
    if column.is_number:
        return "number"
    if column.type in ("date", "timestamp"):
        return "timestamp"
    return "text" if column.is_text else "category"


def as_values(texts: pd.Series, kind: str) -> pd.Series:
    """A column as numbers, or as the texts that it holds."""
    if kind in ("integer", "number"):
        return pd.Series(numbers(texts), index=texts.index)
    return texts


def _idle(column: Profile) -> str | None:
    if column.distinct == 0:
        return "it has no value at all"
    if column.distinct == 1 and column.missing == 0:
        return "it has one value only"
    there = column.rows - column.missing
    if there < FEWEST_ROWS <= column.rows:
        return f"only {there:,} of {column.rows:,} rows have it"
    return None


def _names_rows(column: Profile, key: tuple[str, ...]) -> str | None:
    there = column.rows - column.missing
    nearly = column.distinct > OF_ITS_OWN * there
    if key == (column.name,):
        return "it names the row, and says nothing of others"
    if column.is_unique and column.is_id_like:
        return "it names the row, and says nothing of others"
    is_name = column.type == "string" and not column.is_text
    if nearly and is_name and column.distinct > MOST_VALUES:
        return "nearly each row has a value of its own"
    return None


def _count_words(made: Chosen, columns: Mapping[str, Profile]) -> None:
    """Where there is nothing but text, its length is there for the rule of thumb."""
    if made.of("number") or made.of("category") or not (texts := made.of("text")):
        return
    _make(made, columns, f"{texts[0][:40]}_words", f"size(split(trim({texts[0]}), ' +'))")


def _transforms(made: Chosen, columns: Mapping[str, Profile], target: Target) -> Any:
    for kind, parts in CALENDAR.items():
        if moments := [each for each in made.of("timestamp") if columns[each].type == kind]:
            yield {"do": "calendar", "of": moments, "parts": parts}
    if texts := made.of("text"):
        yield {"do": "tfidf", "of": texts, "ngrams": [1, 2]}
    many = [each for each in made.of("category") if columns[each].distinct > MOST_VALUES]
    if many and target.kind == "multiclass":
        yield {"do": "hash", "of": many, "buckets": BUCKETS}
    elif many:
        yield {"do": "target", "of": many}


def _rule(
    made: Chosen, frame: pd.DataFrame, columns: Mapping[str, Profile], label: pd.Series
) -> str:
    """The feature with few values that tells most of the label, or one that is made to have few."""
    groups = [each for each in (*made.of("category"), *made.of("number")) if each in columns]
    few = {name: frame[name] for name in groups if columns[name].distinct <= MOST_GROUPS}
    if few:
        return _telling(few, label)
    if categories := made.of("category"):
        return min(categories, key=lambda name: columns[name].distinct)
    if not groups:
        return next(iter(made.of("number")), "")
    steps = {name: _step(columns[name]) for name in groups}
    cut = {name: as_values(frame[name], "number") // steps[name] for name in groups}
    best = _telling({name: values.astype(str) for name, values in cut.items()}, label)
    return _make(made, columns, f"{best[:40]}_step", f"floor({best} / {steps[best]:g})")


def _telling(groups: Mapping[str, pd.Series], label: pd.Series) -> str:
    """The name of the groups that tell most of the label."""
    known = label.notna()
    of = label[known]
    if pd.api.types.is_numeric_dtype(of):
        of = pd.Series(np.asarray(pd.qcut(of, TENTHS, labels=False, duplicates="drop")))
    told = {name: mutual_info_score(of, each[known].fillna("")) for name, each in groups.items()}
    return max(groups, key=lambda name: told[name])


def _step(column: Profile) -> float:
    """A tenth of the way from its smallest to its largest number, to two digits."""
    return float(f"{((column.most or 0) - (column.least or 0)) / TENTHS:.1e}")


def _make(made: Chosen, columns: Mapping[str, Profile], name: str, expression: str) -> str:
    """A feature that is a number, under a name that no column has."""
    free = next(
        each for each in chain([name], (f"{name}_{n}" for n in count(2))) if each not in columns
    )
    made.expressions[free] = expression
    made.kinds[free] = "number"
    return free
