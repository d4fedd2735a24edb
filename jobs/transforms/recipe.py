"""All steps there are, and what a list of them makes of the columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from jobs.misfit import Misfit
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
from jobs.transforms.step import DO, Kind, Kinds, Names, Step
from jobs.transforms.texts import Count, Length, TfIdf
from jobs.transforms.times import Between, Calendar, Holidays


class Drop(Step):
    """Take columns out that only other steps needed, so that the model does not see them."""

    takes: ClassVar[tuple[Kind, ...]] = ("number", "category", "timestamp", "text")

    do: Literal["drop"] = Field(description=DO)
    of: Names = Field(description="The columns to take out: one name, or several.")

    def after(self, kinds: Kinds) -> dict[str, Kind]:
        there = super().after(kinds)
        return {name: kind for name, kind in there.items() if name not in self.of}

    def makes(self, kinds: Kinds) -> dict[str, Kind]:
        return {}


Transform = Annotated[
    Impute
    | Clip
    | Winsorise
    | Scale
    | Log
    | Bin
    | Cyclic
    | Difference
    | Ratio
    | OneHot
    | Ordinal
    | Target
    | Frequency
    | Hash
    | Cross
    | Calendar
    | Holidays
    | Between
    | TfIdf
    | Length
    | Count
    | Drop,
    Field(discriminator="do"),
]


def columns_after(kinds: Kinds, steps: Iterable[Step]) -> dict[str, Kind]:
    """The columns as they stand after some steps, in the order in which they came.

    Raises:
        Misfit: a step names a column that is not there at its turn, or is of the wrong kind.
    """
    found = dict(kinds)
    for place, step in enumerate(steps):
        try:
            found = step.after(found)
        except ValueError as error:
            raise Misfit(f"transforms[{place}]", str(error)) from error
    return found
