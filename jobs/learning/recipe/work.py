"""What each step learns and does, by its type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.learning.recipe import categories, numbers, texts, times
from jobs.learning.recipe.rows import Columns, Rows, Sample
from jobs.transforms.categories import Cross, Frequency, Hash, OneHot, Ordinal, Target
from jobs.transforms.numbers import (
    Bin,
    Clip,
    Cyclic,
    Difference,
    Impute,
    Log,
    Ratio,
    Scale,
    Winsorise,
)
from jobs.transforms.recipe import Drop
from jobs.transforms.step import Step
from jobs.transforms.texts import Count, Length, TfIdf
from jobs.transforms.times import Between, Calendar, Holidays

# What was learned of each column: JSON, or an array.
State = Mapping[str, Mapping[str, Any]]
# Steps are of their own types, which a table of all of them cannot tell.
Learn = Callable[[Any, str, Sample], Mapping[str, Any]]
Apply = Callable[[Any, State, Rows], Columns]


def _nothing(_: Step, name: str, sample: Sample) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Work:
    """One kind of step.

    Attributes:
        apply: the columns it makes, from what it has learned and the rows.
        learn: of one of its columns.
    """

    apply: Apply
    learn: Learn = _nothing


def _each(apply: Callable[[Any, Any, Any], Any], learn: Learn = _nothing) -> Work:
    """A step that changes each of its columns by itself."""

    def of_all(step: Any, state: State, rows: Rows) -> Columns:
        return {
            result: apply(step, state[name], rows.columns[name])
            for name, result in zip(step.of, step.results, strict=True)
        }

    return Work(of_all, learn)


WORK: dict[type[Step], Work] = {
    Impute: Work(numbers.impute, numbers.learn_impute),
    Clip: _each(numbers.clip),
    Winsorise: _each(numbers.winsorise, numbers.learn_winsorise),
    Scale: _each(numbers.scale, numbers.learn_scale),
    Log: _each(numbers.log),
    Bin: _each(numbers.into_bins, numbers.learn_bin),
    Cyclic: Work(numbers.cyclic),
    Difference: Work(numbers.difference),
    Ratio: Work(numbers.ratio),
    OneHot: _each(categories.one_hot, categories.learn_one_hot),
    Ordinal: _each(categories.ordinal, categories.learn_ordinal),
    Target: Work(categories.target, categories.learn_target),
    Frequency: _each(categories.frequency, categories.learn_frequency),
    Hash: _each(categories.hashed),
    Cross: Work(categories.cross),
    Calendar: Work(times.calendar),
    Holidays: Work(times.holidays, times.learn_holidays),
    Between: Work(times.between),
    TfIdf: Work(texts.tfidf, texts.learn_tfidf),
    Length: Work(texts.length),
    Count: Work(texts.count),
    Drop: Work(lambda step, state, rows: {}),
}
