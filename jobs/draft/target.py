"""What a target column asks for: a label of which type, and as which SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from jobs.draft.leaks import LabelKind
from jobs.draft.profile import Profile
from jobs.draft.texts import numbers, truths
from jobs.errors import Refused
from jobs.guess import guess

LIKELY = ("target", "label", "class", "y", "outcome", "tag", "cnt", "count", "price", "churn")
# More different values than these, and whole numbers are no classes, or texts no target.
MOST_WHOLE_CLASSES = 10
MOST_CLASSES = 50
ROWS_PER_CLASS = 5
BINARY = 2
CLASSES = 3
# Of a class, so that each part of the split has some.
FEWEST_ROWS = 20
# Of two words, the one that means yes.
YES = ("yes", "true", "y", "t", "1", "positive", "bad", "malignant", "churn", "fraud", "spam")


@dataclass(frozen=True)
class Target:
    """The label that a column asks for.

    Attributes:
        column: its name.
        kind: the label's type.
        expression: the label in SQL.
        classes: of several, their names in order.
        yes: of two texts or numbers, the one that counts as yes.
        why: why it is taken so, as a sentence.
    """

    column: str
    kind: LabelKind
    expression: str
    why: str
    classes: tuple[str, ...] = ()
    yes: str | None = None

    def labels(self, texts: pd.Series) -> pd.Series:
        """The column as labels: numbers, or the names of classes."""
        if self.kind == "regression":
            return pd.Series(numbers(texts), index=texts.index)
        if self.kind == "binary" and self.yes is None:
            return pd.Series(truths(texts), index=texts.index)
        if self.kind == "binary":
            is_yes = (texts == self.yes).astype(float)
            return is_yes.where(texts.notna())
        return texts.where(texts.isin(self.classes))


def likely(columns: Sequence[str]) -> str:
    """The column that is most likely asked for: by its name, or the last one."""
    return next((name for name in columns if name in LIKELY), columns[-1])


def target(column: Profile, texts: pd.Series, kind: str | None) -> Target:
    """The label that a column asks for, of the type that was said or of that its values show.

    Raises:
        Refused: it has no values of that type, or too few different ones.
    """
    there = texts.dropna()
    if there.nunique() < BINARY:
        raise Refused(
            f"The column {column.name!r} has {there.nunique()} different values, so there is "
            "nothing to predict.",
            "Name another one with --target.",
        )
    chosen = kind or _shown(column)
    if chosen == "regression":
        return _number(column)
    if chosen == "binary":
        return _yes_or_no(column, there)
    return _classes(column, there)


def _shown(column: Profile) -> LabelKind:
    if column.type == "boolean" or column.distinct == BINARY:
        return "binary"
    repeats = column.distinct * ROWS_PER_CLASS <= column.rows
    few_whole = column.type == "integer" and column.distinct <= MOST_WHOLE_CLASSES
    if column.is_number and not (few_whole and repeats):
        return "regression"
    return "multiclass"


def _number(column: Profile) -> Target:
    if not column.is_number:
        raise Refused(
            f"The column {column.name!r} is a {column.type}, and regression predicts numbers.",
            "Name another one with --target, or another --type.",
        )
    why = f"It is a number with {column.distinct:,} different values."
    return Target(column.name, "regression", column.name, why)


def _yes_or_no(column: Profile, there: pd.Series) -> Target:
    counts = there.value_counts()
    if len(counts) > BINARY:
        if column.type != "boolean":
            raise Refused(
                f"The column {column.name!r} has {len(counts):,} different values, and yes or no "
                "are two.",
                "Give --type multiclass or regression.",
            )
        counts = pd.Series(truths(there)).map({1.0: "true", 0.0: "false"}).value_counts()
    meant = [value for value in counts.index if value.strip().lower() in YES]
    yes = str(meant[0] if meant else counts.index[-1])
    rare = "" if meant else ", the rarer of the two: turn it round if the other one is asked for"
    why = f"{yes!r} counts as yes{rare} ({counts[yes] / counts.sum():.1%} of {counts.sum():,})."
    if column.type == "boolean":
        return Target(column.name, "binary", column.name, why)
    value = yes if column.is_number else _quoted(yes)
    return Target(column.name, "binary", f"{column.name} = {value}", why, yes=yes)


def _classes(column: Profile, there: pd.Series) -> Target:
    counts = there.value_counts()
    if len(counts) > MOST_CLASSES or column.type in ("number", "date", "timestamp"):
        raise Refused(
            f"The column {column.name!r} has {len(counts):,} different values ({column.type}), "
            f"too many for classes; at most {MOST_CLASSES} are taken.",
            f"Name another one with --target{guess(column.name, LIKELY)}, or give another --type.",
        )
    whole = column.type == "integer"
    names = sorted(map(str, counts.index), key=float if whole else str)
    kept = [name for name in names if counts[name] >= FEWEST_ROWS]
    if len(kept) < CLASSES:
        raise Refused(
            f"Only {len(kept)} values of {column.name!r} are in {FEWEST_ROWS} rows or more, and "
            f"several classes are {CLASSES} or more.",
            "Give --type binary, or a file with more rows.",
        )
    why = f"{len(kept)} classes; the rarest is in {int(counts[kept].min()):,} rows."
    if len(kept) == len(names):
        return Target(column.name, "multiclass", column.name, why, tuple(names))
    rare = [name for name in names if name not in kept]
    listed = ", ".join(rare if whole else map(_quoted, rare))
    why += f" Without a label: {', '.join(rare)}, of which there are fewer than {FEWEST_ROWS} rows."
    expression = f"case when {column.name} not in ({listed}) then {column.name} end"
    return Target(column.name, "multiclass", expression, why, tuple(kept))


def _quoted(text: str) -> str:
    """A text as SQL has it in Spark."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
