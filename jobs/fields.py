"""What the fields of a use case are made of: names, days, times of day, and the model of a part."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

NAME = r"^[a-z][a-z0-9_]{0,47}$"
DAYS = r"^(\d+) days?$"
TIME = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"


def _days(value: object) -> object:
    if not isinstance(value, str):
        return value
    if found := re.fullmatch(DAYS, value):
        return int(found.group(1))
    raise ValueError(f"{value!r} is no number of days, such as `28 days`")


def _time(value: object) -> object:
    # YAML reads 12:30 without quotes as a number of minutes.
    if isinstance(value, dt.time) or (isinstance(value, str) and re.fullmatch(TIME, value)):
        return value
    raise ValueError('a time of day is hours and minutes in quotes, such as "02:00"')


def _pairs(value: object) -> object:
    several = [value] if isinstance(value, str) else value
    if isinstance(several, list | tuple) and all(isinstance(each, str) for each in several):
        return {each: each for each in several}
    return value


# The titles are what the reference calls the types.
Name = Annotated[str, Field(pattern=NAME, title="name")]
Days = Annotated[
    int,
    BeforeValidator(_days),
    Field(ge=0),
    WithJsonSchema(
        {
            "title": "days",
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": DAYS}],
        }
    ),
]
Time = Annotated[
    dt.time,
    BeforeValidator(_time),
    WithJsonSchema({"title": "time", "type": "string", "pattern": TIME}),
]
# Columns of the rows with those of a source; a list where both have the same name.
Pairs = Annotated[
    dict[Name, Name],
    BeforeValidator(_pairs, json_schema_input_type=Name | tuple[Name, ...] | dict[Name, Name]),
]


class Spec(BaseModel):
    """What every part of a use case has in common: frozen, and no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
