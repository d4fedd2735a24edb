"""Steps over timestamps. Calendars are read in the use case's time zone."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from jobs.transforms.step import DO, Derived, Joined, Kind, Names

Part = Literal[
    "minute",
    "hour",
    "day_of_week",
    "day_of_month",
    "day_of_year",
    "week",
    "month",
    "quarter",
    "year",
    "weekend",
]


class Calendar(Derived):
    """Parts of the local date and time as numbers, such as `COLUMN_hour`; missing stays missing."""

    takes: ClassVar[tuple[Kind, ...]] = ("timestamp",)

    do: Literal["calendar"] = Field(description=DO)
    parts: tuple[Part, ...] = Field(
        min_length=1,
        description="Which: of `day_of_week`, Monday is 0; `week` is ISO 8601's; `weekend` is 1 on "
        "Saturday and Sunday, else 0; the others count as on paper, from 0 or 1.",
    )

    @property
    def endings(self) -> tuple[str, ...]:
        return self.parts


class Holidays(Derived):
    """Nearness of public holidays, by local dates.

    `COLUMN_holiday` (1 on a holiday, else 0), `COLUMN_days_to_holiday` and
    `COLUMN_days_since_holiday` (0 on a holiday). The dates are those of the package `holidays`,
    with days taken in lieu; they are kept with the model, from the first year in training to 20
    years after the last. Outside of these, and for a missing timestamp, the values are missing.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("timestamp",)

    do: Literal["holidays"] = Field(description=DO)
    country: str = Field(description="ISO 3166 code of two letters, such as `US`.")
    subdivision: str | None = Field(
        default=None, description="A state or region by the package's code, such as `CA`."
    )

    @property
    def endings(self) -> tuple[str, ...]:
        return ("holiday", "days_to_holiday", "days_since_holiday")

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        # Only where it is needed: most files that are parsed have no such step.
        from holidays import list_supported_countries

        known = list_supported_countries()
        if self.country not in known:
            raise ValueError(f"`country` {self.country!r} is none whose holidays are known")
        if self.subdivision is not None and self.subdivision not in known[self.country]:
            raise ValueError(
                f"`subdivision` {self.subdivision!r} is not one of {self.country}: "
                f"{', '.join(known[self.country]) or 'it has none'}"
            )
        return self


class Between(Joined):
    """The time that passes from the first timestamp to the second; negative if it comes before.

    A day is 24 hours, also where clocks change. Missing where either is.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("timestamp",)

    do: Literal["between"] = Field(description=DO)
    of: Names = Field(min_length=2, max_length=2, description="The two columns, in this order.")
    unit: Literal["seconds", "minutes", "hours", "days"] = Field(
        description="What is counted, with fractions."
    )
