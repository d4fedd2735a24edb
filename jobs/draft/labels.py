"""The label of landed rows, worked out without Spark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sqlglot import exp, parse_one
from sqlglot.executor import execute

from jobs.draft.rows import SEED
from jobs.draft.texts import typed
from jobs.usecase import Label, UseCase

# Working an expression out row by row takes a second for so many different ones.
MOST_DIFFERENT = 20_000
EXAMPLES = 5
BINARY = 2


@dataclass(frozen=True)
class Labels:
    """The labels of some rows.

    Attributes:
        values: numbers or the names of classes, row by row; missing where there is none, or where
            it was not worked out. None if it could not be worked out at all.
        columns: what the expression is made of.
        problems: what is wrong with them: whether it fails, what it is, and what to do.
    """

    values: pd.Series | None
    columns: tuple[str, ...]
    problems: tuple[tuple[bool, str, str], ...] = ()


def labels(usecase: UseCase, frame: pd.DataFrame) -> Labels:
    """Work out `label.expression` over rows of its source, which are given as text."""
    label = usecase.label
    if label.within:
        return _unknown(())
    tree = parse_one(label.expression, read="spark", into=exp.Condition)
    named = {column.name.lower() for column in tree.find_all(exp.Column)}
    columns = tuple(name for name in usecase.sources[label.source].columns if name in named)
    if named - set(columns) or not columns:
        return _unknown(columns)
    rows = _typed(usecase, frame[list(columns)])
    different = rows.drop_duplicates()
    if len(different) > MOST_DIFFERENT:
        chosen = np.random.default_rng(SEED).permutation(len(different))[:MOST_DIFFERENT]
        different = different.iloc[np.sort(chosen)]
    try:
        query = exp.select(exp.alias_(tree, "label")).from_("rows")
        worked_out = execute(query, tables={"rows": different.to_dict("records")})
    except Exception:
        # What its small engine does not know, such as a function, is Spark's to know.
        return _unknown(columns)
    by = different.assign(_label=[row[0] for row in worked_out.rows])
    values = rows.merge(by, on=list(columns), how="left")["_label"]
    values.index = frame.index
    found = _as_type(values, label)
    return Labels(found, columns, tuple(_problems(usecase, by["_label"])))


def _unknown(columns: tuple[str, ...]) -> Labels:
    said = "the label could not be worked out without Spark, so it was not compared with anything"
    return Labels(None, columns, ((False, said, "Its step looks at it."),))


def _typed(usecase: UseCase, frame: pd.DataFrame) -> pd.DataFrame:
    """The columns as values; missing where a text does not read as its type."""
    columns = usecase.sources[usecase.label.source].columns
    found = {str(name): typed(frame[name], columns[str(name)]).to_numpy() for name in frame}
    return pd.DataFrame(found, dtype=object)


def _as_type(values: pd.Series, label: Label) -> pd.Series:
    if label.type == "multiclass":
        named = values.map(lambda each: None if pd.isna(each) else str(each))
        return named.map(lambda each: label.gathered.get(each, each))
    return pd.to_numeric(values, errors="coerce").astype(float)


def _problems(usecase: UseCase, found: pd.Series) -> Iterator[tuple[bool, str, str]]:
    """What is wrong with the different labels that there are."""
    label, there = usecase.label, found.dropna()
    if there.empty:
        said = f"no row of {label.source} has a label"
        yield True, said, "Look at the expression, and at what the files hold."
        return
    if label.type == "multiclass":
        known = {*label.classes, *label.gathered}
        others = [each for each in there.map(str).unique() if each not in known]
        if others:
            said = f"some labels are none of label.classes, such as {', '.join(others[:EXAMPLES])}"
            yield True, said, "Add them to label.classes, or let the expression be null for them."
    elif pd.to_numeric(there, errors="coerce").isna().any():
        said = f"the label is {there.iloc[0]!r} in some rows, which is no value of {label.type}"
        yield True, said, "Compare it with something, or change label.type."
        return
    if there.map(str).nunique() < BINARY:
        said = f"every label is {there.iloc[0]}"
        yield True, said, "There is nothing to learn until another one is there."
