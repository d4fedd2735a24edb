"""Columns that give the label away: known only with it, and useless before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from jobs.draft.rows import SEED

Array = NDArray[np.float64]

MOST_ROWS = 20_000
# The first look at a sum is at so many rows.
GLANCE = 64
# Of more numbers, three at a time are too many.
MOST_THREES = 40
# No honest single column sorts classes, or explains a number, this well.
GIVES_AWAY = 0.995
EXPLAINS = 0.99
# Fewer rows do anything by chance.
FEWEST_ROWS = 20
FEWEST_VALUES = 10
LEAVES = 64
# A column that is there for one class and hardly for others, which is no chance.
ALMOST_ONLY = 0.97
NOT_MOST = 0.8
BY_CHANCE = 1e-6

LabelKind = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True)
class Suspect:
    """Columns that give the label away together, or one alone.

    Attributes:
        columns: their names.
        said: how, as a sentence without its end.
        is_certain: it is so in all rows, or a training would refuse it; else a person may know
            better.
    """

    columns: tuple[str, ...]
    said: str
    is_certain: bool


def suspects(
    columns: Mapping[str, pd.Series], label: pd.Series, kind: LabelKind, target: str
) -> list[Suspect]:
    """What gives the label away, each column at most alone or with the fewest others.

    Args:
        columns: numbers, or texts for categories, row by row as the label.
        label: numbers, or the names of classes; rows without one are not looked at.
        target: what the label is called.
    """
    frame = pd.DataFrame({**columns}).loc[label.notna()]
    label = label[label.notna()]
    if len(label) > MOST_ROWS:
        chosen = np.random.default_rng(SEED).permutation(len(label))[:MOST_ROWS]
        frame, label = frame.iloc[chosen], label.iloc[chosen]
    if len(label) < 2 * FEWEST_ROWS or label.nunique() < 2:
        return []
    look = _Look(frame.reset_index(drop=True), label.reset_index(drop=True), kind, target)
    return list(look.all())


@dataclass(frozen=True)
class _Look:
    frame: pd.DataFrame
    label: pd.Series
    kind: LabelKind
    target: str

    def all(self) -> Iterator[Suspect]:
        seen: set[str] = set()
        for name in self.frame:
            if found := self._alone(str(name)):
                seen.add(str(name))
                yield found
        if self.kind != "regression":
            return
        left = [str(name) for name in self.frame if self._adds(str(name)) and name not in seen]
        for size in (2, 3) if len(left) <= MOST_THREES else (2,):
            for found in self._sums(left, size):
                if not seen.issuperset(found.columns):
                    seen.update(found.columns)
                    yield found
            left = [name for name in left if name not in seen]

    def _alone(self, name: str) -> Suspect | None:
        column = self.frame[name]
        if column.nunique() == 0:
            return None
        if said := self._follows(column):
            return Suspect((name,), f"{name} {said}", is_certain=True)
        if there := self._is_there_for_one(column):
            said, share = there
            return Suspect((name,), f"{name} {said}", is_certain=share == 1)
        if said := self._measured(column):
            return Suspect((name,), f"{name} alone {said}", is_certain=self.kind == "binary")
        return None

    def _follows(self, column: pd.Series) -> str | None:
        """A copy of the label, or something that rises or falls with it in every row."""
        both = pd.DataFrame({"column": column, "label": self.label}).dropna()
        if len(both) < FEWEST_ROWS:
            return None
        is_number = pd.api.types.is_numeric_dtype(column)
        pairs = both.drop_duplicates()
        one_to_one = len(pairs) == both["column"].nunique() == both["label"].nunique()
        if self.kind != "regression":
            few = 1 < len(pairs) <= len(both) / FEWEST_ROWS
            return f"has a value of its own for each {self.target}" if one_to_one and few else None
        if not is_number or not one_to_one or len(pairs) < FEWEST_VALUES:
            return None
        steps = np.diff(pairs.sort_values("column")["label"].to_numpy(np.float64))
        if (steps > 0).all():
            return f"rises with {self.target} in every row"
        return f"falls as {self.target} rises, in every row" if (steps < 0).all() else None

    def _is_there_for_one(self, column: pd.Series) -> tuple[str, float] | None:
        """Filled in only once the label is known, such as the day of a cancellation.

        With the share of the rows that have it for which it is so.
        """
        if self.kind == "regression":
            return None
        there = self.label[column.notna()]
        if not FEWEST_ROWS <= len(there) <= len(column) - FEWEST_ROWS:
            return None
        which = there.mode()[0]
        rows, of_all = int((there == which).sum()), float((self.label == which).mean())
        # How likely so many of it are among as many rows that were drawn from all.
        chance = binom.sf(rows - 1, len(there), of_all)
        share = rows / len(there)
        if share < ALMOST_ONLY or of_all > NOT_MOST or chance > BY_CHANCE:
            return None
        of = f"in {share:.1%} of {len(there):,} rows that have it"
        return f"is filled only where {self.target} is {_shown(which)} ({of})", share

    def _measured(self, column: pd.Series) -> str | None:
        """How well a small tree of this column alone does on the half it did not learn from."""
        learns = np.random.default_rng(SEED).random(len(column)) < 0.5
        values = self._values(column, learns)[:, None]
        label = self.label.to_numpy()
        sizes = {"max_leaf_nodes": LEAVES, "min_samples_leaf": FEWEST_ROWS // 4, "random_state": 0}
        if self.kind == "regression":
            tree = DecisionTreeRegressor(**sizes).fit(values[learns], label[learns])
            explained = float(r2_score(label[~learns], tree.predict(values[~learns])))
            return f"explains {explained:.1%} of {self.target}" if explained > EXPLAINS else None
        tree = DecisionTreeClassifier(**sizes).fit(values[learns], label[learns])
        area = _area(tree, values[~learns], label[~learns])
        return f"tells {self.target} in {area:.1%} of pairs of rows" if area > GIVES_AWAY else None

    def _values(self, column: pd.Series, learns: NDArray[np.bool_]) -> Array:
        """A number for each value; of categories their mean label, learned from some rows."""
        if pd.api.types.is_numeric_dtype(column):
            return np.asarray(column, np.float64)
        filled = column.fillna("")
        # Of classes, their places in an order serve as well as a mean does: the tree cuts it.
        worth = self.label if self.kind == "regression" else pd.factorize(self.label, sort=True)[0]
        worth = pd.Series(np.asarray(worth, np.float64))
        grouped = worth[learns].groupby(filled[learns])
        means = grouped.mean()[grouped.size() >= FEWEST_ROWS // 4]
        return np.asarray(filled.map(means).fillna(worth[learns].mean()), np.float64)

    def _adds(self, name: str) -> bool:
        column = self.frame[name]
        return pd.api.types.is_numeric_dtype(column) and bool(column.notna().all() and column.any())

    def _sums(self, names: list[str], size: int) -> Iterator[Suspect]:
        """Columns that add up to the label or a multiple of it, some of them taken off."""
        label = self.label.to_numpy(np.float64)
        columns = {name: self.frame[name].to_numpy(np.float64) for name in names}
        # Where the label is largest: where it is 0, much adds up to it by chance.
        first = np.argsort(-np.abs(label), kind="stable")[:GLANCE]
        near = {name: values[first] for name, values in columns.items()}
        for some in combinations(names, size):
            for signs in SIGNS[size]:
                if not _times(near, some, signs, label[first]):
                    continue
                if times := _times(columns, some, signs, label):
                    of = "" if times == 1 else f"{times:g} times "
                    said = f"{_sum(some, signs)} is {of}{self.target} in every row"
                    yield Suspect(some, said, True)


# At least one is added.
SIGNS = {
    2: ((1, 1), (1, -1), (-1, 1)),
    3: ((1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)),
}


def _times(
    columns: Mapping[str, Array], names: tuple[str, ...], signs: tuple[int, ...], label: Array
) -> float:
    """How many times the label the columns add up to in every row; 0 if they do not."""
    total = np.sum([sign * columns[name] for name, sign in zip(names, signs, strict=True)], axis=0)
    largest = np.argmax(np.abs(label))
    if total[largest] * label[largest] <= 0:
        return 0.0
    times = float(np.round(total[largest] / label[largest], 9))
    return times if np.allclose(total, times * label, rtol=1e-6, atol=1e-9) else 0.0


def _sum(names: tuple[str, ...], signs: tuple[int, ...]) -> str:
    """Written with what is added first."""
    order = sorted(zip(signs, names, strict=True), key=lambda each: -each[0])
    text = "".join(f" {'+' if sign > 0 else '-'} {name}" for sign, name in order)
    return text.removeprefix(" + ")


def _area(tree: DecisionTreeClassifier, values: Array, label: NDArray[np.object_]) -> float:
    """The area under the ROC curve, in the mean over classes against all others."""
    chances = tree.predict_proba(values)
    areas = [
        roc_auc_score(label == name, chances[:, place])
        for place, name in enumerate(tree.classes_)
        if 0 < (label == name).sum() < len(label)
    ]
    return float(np.mean(areas)) if areas else 0.0


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
