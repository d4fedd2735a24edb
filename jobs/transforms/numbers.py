"""Steps over numbers. A missing number stays missing in all of them but `impute`."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from jobs.transforms.step import DO, Derived, Each, Joined, Kind, Kinds, Names, Number


class Impute(Each):
    """Fill in missing values, by default with what is learned from the training part.

    A column without any value in the training part stays as it is.
    """

    do: Literal["impute"] = Field(description=DO)
    by: Literal["constant", "mean", "median", "most_frequent"] = Field(
        description="What is filled in: `value`; the mean or the median, of numbers; or the most "
        "frequent value, of numbers and categories (ties: the smallest)."
    )
    value: Number | str | None = Field(
        default=None, description="With `by: constant`, a number or, for categories, a text."
    )
    indicator: bool = Field(
        default=False,
        description="Also make a column `COLUMN_missing`: 1 where the value was missing, else 0.",
    )

    @property
    def accepts(self) -> tuple[Kind, ...]:
        if self.by == "most_frequent":
            return ("number", "category")
        return ("category",) if isinstance(self.value, str) else ("number",)

    @property
    def flags(self) -> tuple[str, ...]:
        """The names of the columns that say what was missing."""
        return tuple(f"{name}_missing" for name in self.of) if self.indicator else ()

    def makes(self, kinds: Kinds) -> dict[str, Kind]:
        made = super().makes(kinds)
        if twice := [name for name in self.flags if name in made]:
            raise ValueError(f"it makes {twice[0]!r} twice: as a value, and as an indicator")
        return {**made, **dict.fromkeys(self.flags, "number")}

    @model_validator(mode="after")
    def _constant_has_a_value(self) -> Self:
        if (self.by == "constant") != (self.value is not None):
            raise ValueError("`value` is needed with `by: constant`, and only there")
        return self


class Clip(Each):
    """Bring values outside of declared ends to the nearer end."""

    takes: ClassVar[tuple[Kind, ...]] = ("number",)

    do: Literal["clip"] = Field(description=DO)
    low: Number | None = Field(default=None, description="The lower end; none: as it is.")
    high: Number | None = Field(default=None, description="The upper end; none: as it is.")

    @model_validator(mode="after")
    def _has_ends(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("`low`, `high` or both are needed")
        if self.low is not None and self.high is not None:
            _require_order(self.low, self.high)
        return self


class Winsorise(Each):
    """Bring values outside of two quantiles of the training part to the nearer one.

    Quantiles are interpolated (type 7 of Hyndman and Fan, The American Statistician 50(4), 1996).
    """

    takes: ClassVar[tuple[Kind, ...]] = ("number",)

    do: Literal["winsorise"] = Field(description=DO)
    low: float = Field(default=0.01, ge=0, le=1, description="The lower quantile; 0: the least.")
    high: float = Field(default=0.99, ge=0, le=1, description="The upper quantile; 1: the most.")

    @model_validator(mode="after")
    def _ends_in_order(self) -> Self:
        _require_order(self.low, self.high)
        return self


class Scale(Each):
    """(value - centre) / spread, both learned from the training part; a spread of 0 counts as 1."""

    takes: ClassVar[tuple[Kind, ...]] = ("number",)

    do: Literal["scale"] = Field(description=DO)
    by: Literal["standard", "min_max", "robust"] = Field(
        description="Centre and spread: `standard`, mean and standard deviation (divided by the "
        "number of values); `min_max`, the least and the range, so that training lies within 0 "
        "and 1; `robust`, median and interquartile range."
    )


class Log(Each):
    """The natural logarithm of value + `plus`; missing where that is not above 0."""

    takes: ClassVar[tuple[Kind, ...]] = ("number",)

    do: Literal["log"] = Field(description=DO)
    plus: Number = Field(default=1.0, description="Added to the value before.")


class Bin(Each):
    """The interval that a number lies in, as a category such as `[10, 20)`.

    A category and not its place, so that a linear model can have a weight for each bin; trees cut
    the number by themselves.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("number",)
    gives: ClassVar[Kind | None] = "category"

    do: Literal["bin"] = Field(description=DO)
    edges: tuple[Number, ...] | None = Field(
        default=None,
        min_length=1,
        description="Where the bins meet, ascending; the first and the last bin are open.",
    )
    quantiles: int | None = Field(
        default=None,
        ge=2,
        le=1000,
        description="Instead of edges: this many bins of as many training rows each; fewer where "
        "quantiles are equal.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.edges is None) == (self.quantiles is None):
            raise ValueError("either `edges` or `quantiles` is needed")
        if self.edges is not None and sorted(set(self.edges)) != list(self.edges):
            raise ValueError("`edges` must ascend")
        return self


class Cyclic(Derived):
    """A place on a circle: `COLUMN_sin` and `COLUMN_cos` of 2π value / period.

    23:00 and 01:00 are then as near to each other as 11:00 and 13:00.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("number",)

    do: Literal["cyclic"] = Field(description=DO)
    period: Number = Field(gt=0, description="After which it begins again: 24 for hours of a day.")

    @property
    def endings(self) -> tuple[str, ...]:
        return ("sin", "cos")


class Difference(Joined):
    """The first column less the second; missing where either is."""

    takes: ClassVar[tuple[Kind, ...]] = ("number",)

    do: Literal["difference"] = Field(description=DO)
    of: Names = Field(min_length=2, max_length=2, description="The two columns, in this order.")


class Ratio(Joined):
    """The first column divided by the second; missing where either is, or the second is 0."""

    takes: ClassVar[tuple[Kind, ...]] = ("number",)

    do: Literal["ratio"] = Field(description=DO)
    of: Names = Field(min_length=2, max_length=2, description="The two columns, in this order.")


def _require_order(low: float, high: float) -> None:
    if low >= high:
        raise ValueError(f"`low` must be below `high`, and {low:g} is not below it")
