"""How far people who labelled the same rows agree, beyond what chance alone would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict
from pyspark.sql import functions as F
from sklearn.metrics import cohen_kappa_score

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# The labels that were given to a row, and how many rows were given the very same.
Said = Mapping[tuple[str, ...], int]
COHEN, KRIPPENDORFF = "Cohen's kappa", "Krippendorff's alpha"
TWO = 2


class Agreement(BaseModel):
    """Of rows that two or more people labelled.

    Attributes:
        rows: how many there are.
        same: of the pairs of labels of one row, the share that are equal, as a mean over rows.
        measure: what `value` is called.
        value: 1 where all agree, 0 where they do so as by chance; None where all labels are of one
            class, of which chance says nothing.
    """

    model_config = ConfigDict(frozen=True)

    rows: int
    same: float
    measure: str
    value: float | None

    @classmethod
    def of_two(cls, said: Said) -> Self | None:
        """That of two people, the first and the second of each pair; None without any."""
        return cls._of(said, COHEN, cohen)

    @classmethod
    def of_several(cls, said: Said) -> Self | None:
        """That of any number of people, who need not be the same ones for each row."""
        return cls._of(said, KRIPPENDORFF, krippendorff)

    @classmethod
    def _of(cls, said: Said, measure: str, value: Callable[[Said], float | None]) -> Self | None:
        if not said:
            return None
        rows = sum(said.values())
        same = sum(count * _same(labels) for labels, count in said.items()) / rows
        return cls(rows=rows, same=same, measure=measure, value=value(said))

    @property
    def sentence(self) -> str:
        value = "all are of one class" if self.value is None else f"{self.measure} {self.value:.2f}"
        return (
            f"{self.rows} rows were labelled by two or more, who agree in {self.same:.1%} ({value})"
        )


def cohen(said: Said) -> float | None:
    """Cohen's kappa (Educational and Psychological Measurement 20(1), 1960) of two people."""
    first, second = zip(*said, strict=True)
    if len({*first, *second}) == 1:
        return None
    return float(cohen_kappa_score(first, second, sample_weight=list(said.values())))


def krippendorff(said: Said) -> float | None:
    """Krippendorff's alpha of classes (Computing Krippendorff's Alpha-Reliability, 2011, C).

    With m labels of a row, of which n_c are of class c, N of all rows, and N_c of these of class c:
    1 - (N - 1) * sum over rows of (m^2 - sum of n_c^2) / (m - 1) / (N^2 - sum of N_c^2).
    """
    all_labels: Counter[str] = Counter()
    differing = 0.0
    for labels, rows in said.items():
        of_row = Counter(labels)
        all_labels.update({name: count * rows for name, count in of_row.items()})
        differing += rows * _differing(of_row) / (len(labels) - 1)
    by_chance = _differing(all_labels)
    if not by_chance:
        return None
    return 1 - (all_labels.total() - 1) * differing / by_chance


def said_of(rows: DataFrame, labellers: tuple[str, ...]) -> dict[tuple[str, ...], int]:
    """What the columns of several people say of rows that two or more labelled.

    Of two people in their order, of more of them in that of the labels.
    """
    given = F.array_compact(F.array(*[F.col(name).cast("string") for name in labellers]))
    labels = given if len(labellers) == TWO else F.array_sort(given)
    several = rows.select(labels.alias("labels")).where(F.size("labels") >= TWO)
    counted = several.groupBy("labels").count().collect()
    return {tuple(row["labels"]): row["count"] for row in counted}


def _same(labels: tuple[str, ...]) -> float:
    """The share of pairs of labels that are equal."""
    pairs = len(labels) * (len(labels) - 1)
    return 1 - _differing(Counter(labels)) / pairs


def _differing(labels: Counter[str]) -> int:
    """How many ordered pairs of labels differ."""
    return labels.total() ** 2 - sum(count**2 for count in labels.values())
