"""Steps over categories. What they learn, they learn from the training part."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from jobs.transforms.step import DO, Each, Joined, Kind, Names, Number

MOST_BUCKETS = 2**22


class OneHot(Each):
    """A 0/1 column of the matrix for each frequent value, named `COLUMN=VALUE`.

    A missing, rare or unseen value is 0 in all of them. Values of a column of `gold.features` are
    counted over all training rows, those of one that a step has made over the sample that the
    other steps learn from.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("category",)
    gives: ClassVar[Kind | None] = "block"

    do: Literal["one_hot"] = Field(description=DO)
    most: int = Field(
        default=32,
        ge=1,
        description="How many of the most frequent values get a column (ties: the first by name).",
    )


class Ordinal(Each):
    """A category's place in an order, from 0; a missing or unseen value is missing."""

    takes: ClassVar[tuple[Kind, ...]] = ("category",)
    gives: ClassVar[Kind | None] = "number"

    do: Literal["ordinal"] = Field(description=DO)
    order: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="The values from the first to the last; without it, from the most frequent "
        "one in training to the rarest (ties: the first by name).",
    )

    @model_validator(mode="after")
    def _each_value_once(self) -> Self:
        if self.order is not None and len(set(self.order)) < len(self.order):
            raise ValueError("`order` names a value twice")
        return self


class Target(Each):
    """The mean label of a category's training rows, shrunk towards the mean of all.

    (yes + smoothing * overall) / (rows + smoothing), as in Micci-Barreca, SIGKDD Explorations 3(1),
    2001. An unseen value has the overall mean, a missing one is missing. A training row's value
    comes from the rows of the other folds, so that no row's label is in its own features; the
    fold follows from the entity's key. Rows that were not learned from get the value of all folds.
    Labels of several classes have no mean, so it is not for them.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("category",)
    gives: ClassVar[Kind | None] = "number"

    do: Literal["target"] = Field(description=DO)
    smoothing: Number = Field(
        default=50.0, gt=0, description="How many rows of the overall mean are added to a value's."
    )
    folds: int = Field(default=5, ge=2, le=100, description="Parts for the cross-fitting.")


class Frequency(Each):
    """A value's share of the training rows that have one; 0 for an unseen value.

    A missing value is missing.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("category",)
    gives: ClassVar[Kind | None] = "number"

    do: Literal["frequency"] = Field(description=DO)


class Hash(Each):
    """A fixed number of columns of the matrix, named `COLUMN:BUCKET`, for any number of values.

    Each value is 1 or -1 in one of them, by its MurmurHash3; the sign lets values that share a
    bucket cancel out rather than add up (Weinberger et al., ICML 2009). A missing value is 0 in
    all. Nothing is learned, so unseen values have their bucket too. Makes the matrix sparse.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("category",)
    gives: ClassVar[Kind | None] = "block"

    do: Literal["hash"] = Field(description=DO)
    buckets: int = Field(ge=2, le=MOST_BUCKETS, description="How many columns.")


class Cross(Joined):
    """One category of several, such as `JFK|UA`; missing where one of them is."""

    takes: ClassVar[tuple[Kind, ...]] = ("category",)
    gives: ClassVar[Kind] = "category"

    do: Literal["cross"] = Field(description=DO)
    of: Names = Field(min_length=2, description="The columns, in the order of their values.")
