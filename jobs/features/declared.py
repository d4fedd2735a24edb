"""The rows of a use case with every column that it declares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as f

from jobs.declared import DATE, AsOf, Join
from jobs.features.inputs import FeatureInputs
from jobs.features.known import FIRST, LAST, cutoff_of
from jobs.features.windowed import windowed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def declared(inputs: FeatureInputs) -> DataFrame:
    """One row per entity and prediction date, with every declared column.

    The columns are those of the entity's source, `prediction_date`, and what joins, expressions
    and windows make of them.
    """
    usecase = inputs.usecase
    spec, source = usecase.features, usecase.sources[usecase.entity.source]
    # Of the platform's columns none goes on: until when a row was the newest is the future.
    rows = inputs.entities().select(*source.columns, DATE)
    for join in spec.joins:
        if join.as_of is None:
            rows = inputs.looked_up(rows, join.source, join.by, join.columns)
        else:
            rows = _newest(inputs, rows, join, join.as_of)
    return windowed(inputs, _with_expressions(rows, spec.expressions))


def _with_expressions(rows: DataFrame, expressions: Mapping[str, str]) -> DataFrame:
    """`rows` with columns of which each may be made of those before it.

    As many at once as are not made of one another: Spark's server takes a limited depth of steps.
    """
    at_once: dict[str, Column] = {}
    for name, expression in expressions.items():
        if at_once.keys() & set(re.findall(r"\w+", expression.lower())):
            rows, at_once = rows.withColumns(at_once), {}
        at_once[name] = f.expr(expression)
    return rows.withColumns(at_once) if at_once else rows


def _newest(inputs: FeatureInputs, rows: DataFrame, join: Join, as_of: AsOf) -> DataFrame:
    """`rows` with columns of the newest row of a source that was there at each one's moment."""
    asked = list(dict.fromkeys([DATE, *join.by, *filter(None, [as_of.not_after])]))
    at = _moment(inputs, as_of.newest, inputs.silver[join.source])
    key = inputs.usecase.sources[join.source].key
    there = inputs.versions(join.source).select(
        *[f.col(theirs).alias(f"_on_{place}") for place, theirs in enumerate(join.by.values())],
        at.alias("_at"),
        # Its key after its moment, so that of two of the same moment it is always the same one.
        f.struct(
            at.alias("_at"),
            *[f.col(name).alias(f"_key_{place}") for place, name in enumerate(key)],
            *[f.col(theirs).alias(name) for name, theirs in join.columns.items()],
        ).alias("_newest"),
        FIRST,
        LAST,
    )
    cutoff = cutoff_of(f.col(DATE), inputs.usecase, inputs.late)
    moment = _moment(inputs, as_of.not_after, rows) if as_of.not_after else cutoff
    earliest = moment - f.expr(f"interval {as_of.within} days")
    same = [f.col(mine) == f.col(f"_on_{place}") for place, mine in enumerate(join.by)]
    known = f.col(DATE).between(f.col(FIRST), f.col(LAST))
    found = (
        rows.select(*asked)
        .distinct()
        .join(there, on=[*same, known, f.col("_at").between(earliest, moment)], how="inner")
        .groupBy(*asked)
        .agg(f.max("_newest").alias("_newest"))
        .select(*asked, *[f.col("_newest")[name].alias(name) for name in join.columns])
    )
    return rows.join(found, on=asked, how="left")


def _moment(inputs: FeatureInputs, name: str, table: DataFrame) -> Column:
    """A column's moment in UTC; a date's is its local midnight."""
    is_date = dict(table.dtypes)[name] == "date"
    return f.to_utc_timestamp(name, inputs.usecase.timezone) if is_date else f.col(name)
