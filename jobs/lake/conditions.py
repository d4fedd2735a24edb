"""Conditions of many parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as f

if TYPE_CHECKING:
    from pyspark.sql import Column


def any_of(conditions: Sequence[Column]) -> Column:
    """Whether one of some conditions holds; false of none.

    They are halved again and again: joined one after another, some fifty of them are nested deeper
    than a message to Spark's server may be.
    """
    if not conditions:
        return f.lit(False)
    if len(conditions) == 1:
        return conditions[0]
    half = len(conditions) // 2
    return any_of(conditions[:half]) | any_of(conditions[half:])
