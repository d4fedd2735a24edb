"""Whether the parts of a split will have labels, and some of each class."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import pandas as pd

from jobs.draft.rows import Rows
from jobs.draft.texts import typed
from jobs.usecase import TimeSplit, UseCase

# What it is, and what to do.
Problem = tuple[str, str]


def parts(usecase: UseCase, rows: Rows, values: pd.Series) -> Problem | None:
    """What is wrong with the parts of labelled rows, at which a training would stop.

    Of a part that is cut by a hash the number of rows is that to be expected. Parts that are cut by
    time are only looked at where all days are in one file: daily ones come night by night. Where no
    row has a label there are no parts, which is told of the label.

    Args:
        rows: of the label's source.
        values: their labels, as `labels` gives them.
    """
    there = values.notna()
    if not there.any():
        return None
    if isinstance(usecase.split, TimeSplit):
        return _by_time(usecase, usecase.split, rows, there)
    named = values[there]
    if usecase.label.type == "binary":
        named = named.map({1.0: " true", 0.0: " false"})
    elif usecase.label.type == "multiclass":
        named = " " + named
    else:
        named = named.map(lambda _: "")
    scale = rows.total / len(rows.frame)
    counts = {str(name): count * scale for name, count in named.value_counts().items()}
    return _by_hash(
        {"validation": usecase.split.validation, "holdout": usecase.split.holdout}, counts
    )


def _by_hash(shares: Mapping[str, float], counts: Mapping[str, float]) -> Problem | None:
    part, share = min(shares.items(), key=lambda each: each[1])
    scarce, count = min(counts.items(), key=lambda each: each[1])
    if share * count >= 1:
        return None
    return (
        f"the {part} part is {share:g} of {count:,.0f} rows with the label{scarce}, which is "
        f"expected to be {share * count:.2g}",
        f"Make split.{part} larger, bring in more rows, or gather classes by label.group.",
    )


def _by_time(usecase: UseCase, rules: TimeSplit, rows: Rows, there: pd.Series) -> Problem | None:
    date, source = usecase.entity.date, usecase.sources[usecase.label.source]
    if date not in source.columns or source.is_daily or rows.is_sample:
        return None
    days = typed(rows.frame[date], source.columns[date])[there].dropna()
    if days.empty:
        return None
    first, last = days.min(), days.max()
    found = (last - first) // dt.timedelta(days=1) + 1
    wanted = rules.validation + rules.holdout
    if found > wanted:
        return None
    return (
        f"rows with a label are of {found:,} days ({first} to {last}), and split.validation and "
        f"split.holdout take {wanted:,}",
        "Bring in more days before the first training, or make the two parts shorter.",
    )
