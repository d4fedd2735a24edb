"""What all steps have in common: the columns they read, and the columns they leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from jobs.guess import guess

# A block is a group of columns of the matrix, such as those of `one_hot`; no step takes it.
Kind = Literal["number", "category", "timestamp", "text", "block"]
Kinds = Mapping[str, Kind]


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


# One name may stand without brackets.
Several = BeforeValidator(_several, json_schema_input_type=str | tuple[str, ...])
Names = Annotated[tuple[str, ...], Several, Field(min_length=1)]
# Of a column that a step makes. Without `=` and `:`, which stand in names of a block's columns.
MADE = r"^[a-z][a-z0-9_]*$"
Made = Annotated[str, Field(pattern=MADE)]
SeveralMade = Annotated[tuple[Made, ...], Several]
Number = Annotated[float, Field(allow_inf_nan=False)]
# The description of the field `do` of every step.
DO = "What the step does."


class Step(BaseModel):
    """One step: it reads columns as they stand, and replaces them or makes new ones.

    Frozen, and no unknown fields.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    takes: ClassVar[tuple[Kind, ...]]

    do: str = Field(description=DO)
    of: Names = Field(description="The columns that it reads: one name, or several.")

    @property
    def accepts(self) -> tuple[Kind, ...]:
        """The kinds of columns that it can read."""
        return self.takes

    @property
    def leaves(self) -> bool:
        """Whether the columns that it reads stay as they are."""
        return True

    def makes(self, kinds: Kinds) -> dict[str, Kind]:
        """The columns that it gives, from the kinds of those there are."""
        raise NotImplementedError

    def after(self, kinds: Kinds) -> dict[str, Kind]:
        """The columns as they stand after it.

        Raises:
            ValueError: it names a column that is not there or is of the wrong kind, or would
                make one that is there already.
        """
        for name in self.of:
            if name not in kinds:
                raise ValueError(f"there is no column {name!r} at this point{guess(name, kinds)}")
            if kinds[name] not in self.accepts:
                wanted = " or ".join(self.accepts)
                raise ValueError(f"{name!r} is a {kinds[name]}, and {self.do} takes a {wanted}")
        made = self.makes(kinds)
        for name in made:
            if name in kinds and (self.leaves or name not in self.of):
                raise ValueError(f"it makes {name!r}, and there is a column of that name already")
        return {**kinds, **made}

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.of)) < len(self.of):
            raise ValueError(f"`of` names a column twice: {', '.join(self.of)}")
        return self


class Each(Step):
    """A step that gives one column for each column that it reads, in its place unless `as`."""

    gives: ClassVar[Kind | None] = None

    of: Names = Field(description="The columns to change: one name, or several.")
    as_: SeveralMade | None = Field(
        default=None,
        alias="as",
        description="Names of new columns, one for each of `of`, which then stay as they are; "
        "without it the columns are replaced.",
    )

    @property
    def leaves(self) -> bool:
        return self.as_ is not None

    @property
    def results(self) -> tuple[str, ...]:
        """The name of each column's result."""
        return self.as_ or self.of

    def makes(self, kinds: Kinds) -> dict[str, Kind]:
        pairs = zip(self.of, self.results, strict=True)
        return {result: self.gives or kinds[name] for name, result in pairs}

    @model_validator(mode="after")
    def _a_name_for_each(self) -> Self:
        if self.as_ is not None and len(set(self.as_)) != len(self.of):
            raise ValueError(f"`as` needs a name of its own for each of the {len(self.of)} columns")
        return self


class Derived(Step):
    """A step that adds columns named `COLUMN_ENDING` for each column that it reads."""

    gives: ClassVar[Kind] = "number"

    of: Names = Field(description="The columns that it is taken of: one name, or several.")

    @property
    def endings(self) -> tuple[str, ...]:
        """What the names of the new columns end with."""
        raise NotImplementedError

    def makes(self, kinds: Kinds) -> dict[str, Kind]:
        return {f"{name}_{ending}": self.gives for name in self.of for ending in self.endings}


class Joined(Step):
    """A step that makes one column of some others, which stay as they are."""

    gives: ClassVar[Kind] = "number"

    as_: Made = Field(alias="as", description="The name of the new column.")

    def makes(self, kinds: Kinds) -> dict[str, Kind]:
        return {self.as_: self.gives}
