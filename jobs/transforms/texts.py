"""Steps over text."""

from __future__ import annotations

import re
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from jobs.transforms.categories import MOST_BUCKETS
from jobs.transforms.step import DO, Derived, Joined, Kind, Names


class TfIdf(Derived):
    """Which words a text has, as a group of columns of the matrix named `COLUMN_tfidf_BY:BUCKET`.

    The text is brought to Unicode's form NFKC and to lower case; words are runs of letters, digits
    and `_`. Each n-gram falls into a bucket by its MurmurHash3, and a bucket has the value
    count * (ln((1 + rows) / (1 + rows with it)) + 1), the rows being those of the training part; a
    text's values are then divided by their Euclidean length (Salton and Buckley, Information
    Processing & Management 24(5), 1988, with scikit-learn's smoothing). A missing text, like an
    empty one, is 0 in all. Makes the matrix sparse.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("text",)
    gives: ClassVar[Kind] = "block"

    do: Literal["tfidf"] = Field(description=DO)
    by: Literal["words", "characters"] = Field(
        default="words",
        description="What an n-gram is of: words, or the characters of a word with a space on "
        "either side, which suits misspelt and compounded ones.",
    )
    ngrams: tuple[int, int] = Field(
        default=(1, 1), description="The shortest and the longest n-gram: `[1, 2]`."
    )
    buckets: int = Field(
        default=16_384,
        ge=2,
        le=MOST_BUCKETS,
        description="How many columns of the matrix; XGBoost's time grows with them.",
    )
    least_rows: int = Field(
        default=2, ge=1, description="A bucket that fewer training rows have is 0 in all rows."
    )

    sublinear: bool = Field(
        default=False,
        description="Whether a count is taken as 1 + ln(count), so that what a text repeats does "
        "not drown the rest.",
    )

    @property
    def endings(self) -> tuple[str, ...]:
        return (f"tfidf_{self.by}",)

    @model_validator(mode="after")
    def _ngrams_in_order(self) -> Self:
        first, last = self.ngrams
        if not 1 <= first <= last <= 10:
            raise ValueError(f"`ngrams` must be two numbers from 1 to 10, not {first} and {last}")
        return self


class Length(Derived):
    """How long a text is, as `COLUMN_characters` or `COLUMN_words`; missing stays missing."""

    takes: ClassVar[tuple[Kind, ...]] = ("text",)

    do: Literal["length"] = Field(description=DO)
    by: Literal["characters", "words"] = Field(
        default="characters", description="What is counted; words are what blanks part."
    )

    @property
    def endings(self) -> tuple[str, ...]:
        return (self.by,)


class Count(Joined):
    """How many times a pattern is found in a text as it is written; missing stays missing."""

    takes: ClassVar[tuple[Kind, ...]] = ("text",)

    do: Literal["count"] = Field(description=DO)
    of: Names = Field(max_length=1, description="The text.")
    pattern: str = Field(
        min_length=1, description="Regular expression of Python; matches do not overlap."
    )

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from error
        return value
