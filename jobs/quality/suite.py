"""What is expected of each table, derived from the use case: plain data, no Great Expectations.

A suite never passes vacuously: an empty table or an all-null column satisfies "between" and
"not null", so every suite also expects rows, and values in its columns.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from jobs.lake.tables import Tables
from jobs.plan import Dates, Plan
from jobs.usecase import Column, Expectation, Label, UseCase

KEY_UNIQUE = "expect_key_to_be_unique"
CHANCES = "expect_chances_to_add_up_to_one"
NOT_NULL = "expect_column_values_to_not_be_null"
BETWEEN = "expect_column_values_to_be_between"
IN_SET = "expect_column_values_to_be_in_set"
MATCHES = "expect_column_values_to_match_regex"
ROWS_BETWEEN = "expect_table_row_count_to_be_between"
ROWS_EQUAL = "expect_table_row_count_to_equal"
NON_NULL_SHARE = "expect_column_proportion_of_non_null_values_to_be_between"
DISTINCT_COUNT = "expect_column_unique_value_count_to_be_between"

# The ends of the finite numbers: NaN and the infinities lie outside of them in Spark's order.
LARGEST = sys.float_info.max


@dataclass(frozen=True)
class Expected:
    """One expectation, by Great Expectations' own name and arguments.

    Attributes:
        expect: such as `expect_column_values_to_be_between`.
        arguments: as its class takes them.
        field: the place in the use-case file that it comes from.
    """

    expect: str
    arguments: dict[str, Any]
    field: str


@dataclass(frozen=True)
class Suite:
    """Everything expected of one table, in the order in which failures are reported."""

    table: str
    expectations: tuple[Expected, ...] = field(default=())


def silver(plan: Plan, source: str) -> Suite:
    """The suite of `silver.<source>`: rows, required columns, the columns' rules, key, declared.

    Several versions of a key may be there, so the key that must be unique is the table's, which
    includes when the version arrived.
    """
    spec = plan.usecase.sources[source]
    table = Tables(plan).silver(source)
    where = f"sources.{source}"
    # Of a column that files of some days lack, the rows' own rule knows when it must be there.
    required = [
        name
        for name, column in spec.columns.items()
        if spec.is_required(name) and not column.is_partly_there
    ]
    never_null = dict.fromkeys((*required, *table.key))
    return Suite(
        table.name,
        (
            Expected(ROWS_BETWEEN, {"min_value": 1}, where),
            *_not_null(never_null, where),
            *_column_rules(spec.columns, where),
            _unique(table.key, f"{where}.key"),
            *_declared(plan.usecase.gates.silver.get(source, ()), f"gates.silver.{source}"),
        ),
    )


def silver_day(plan: Plan, source: str) -> Suite:
    """What the owner expects of `silver.<source>`, for the rows of a single batch date.

    Of several days together half of them can make up for one that is empty.
    """
    expected = _declared(plan.usecase.gates.silver.get(source, ()), f"gates.silver.{source}")
    return Suite(Tables(plan).silver(source).name, tuple(expected))


def features(plan: Plan, dates: Dates) -> Suite:
    """The suite of `gold.features` for the rows of `dates`."""
    spec = plan.usecase.features
    table = Tables(plan).features()
    return Suite(
        table.name,
        (
            Expected(ROWS_BETWEEN, {"min_value": 1}, "entity.source"),
            *_not_null((*table.key, "prediction_date", "_cutoff_at"), "entity.key"),
            _within(dates),
            *_numeric_features(spec.numeric, dates),
            _unique(table.key, "entity.key"),
            *_declared(plan.usecase.gates.features, "gates.features"),
        ),
    )


def labels(plan: Plan) -> Suite:
    """The suite of `gold.labels`; a night before which nothing has happened yet has no rows."""
    table = Tables(plan).labels()
    return Suite(
        table.name,
        (
            *_not_null((*table.key, "prediction_date", "matured_at"), "label"),
            _possible(plan.usecase.label),
            _unique(table.key, "entity.key"),
        ),
    )


def predictions(plan: Plan, dates: Dates, feature_rows: int) -> Suite:
    """The suite of `gold.predictions` for `dates`, whose features have `feature_rows` rows."""
    table = Tables(plan).predictions()
    where = "predict"
    return Suite(
        table.name,
        (
            Expected(ROWS_BETWEEN, {"min_value": 1}, where),
            Expected(ROWS_EQUAL, {"value": feature_rows}, where),
            *_not_null((*table.key, "prediction_date", "score", "prediction"), where),
            _within(dates),
            Expected(BETWEEN, {"column": "score", **_score_ends(plan.usecase.label)}, where),
            *_of_classes(plan.usecase.label),
            Expected(
                DISTINCT_COUNT, {"column": "model_version", "min_value": 1, "max_value": 1}, where
            ),
            _unique(table.key, "entity.key"),
            *_declared(plan.usecase.gates.predictions, "gates.predictions"),
        ),
    )


def declared(usecase: UseCase) -> tuple[Expected, ...]:
    """Every expectation that the owner wrote, with the field that it stands in."""
    gates = usecase.gates
    return (
        *(
            e
            for name, some in gates.silver.items()
            for e in _declared(some, f"gates.silver.{name}")
        ),
        *_declared(gates.features, "gates.features"),
        *_declared(gates.predictions, "gates.predictions"),
    )


def _possible(label: Label) -> Expected:
    values, where = list(label.values), "label.expression"
    if not values:
        ends = {"min_value": -LARGEST, "max_value": LARGEST}
        return Expected(BETWEEN, {"column": "label", **ends}, where)
    return Expected(IN_SET, {"column": "label", "value_set": values}, where)


def _score_ends(label: Label) -> dict[str, float]:
    # NaN is larger than any number to Spark, so the upper end refuses it.
    if label.kind.probabilities:
        return {"min_value": 0.0, "max_value": 1.0}
    return {"min_value": -LARGEST, "max_value": LARGEST}


def _of_classes(label: Label) -> Iterator[Expected]:
    columns, where = label.score_columns, "label.classes"
    if columns:
        yield from _not_null(columns, where)
        for column in columns:
            yield Expected(BETWEEN, {"column": column, **_score_ends(label)}, where)
        yield Expected(CHANCES, {"column_list": list(columns)}, where)
        yield Expected(IN_SET, {"column": "prediction", "value_set": list(label.classes)}, where)


def _not_null(columns: Iterable[str], where: str) -> Iterator[Expected]:
    # A key may have the prediction date in it.
    for column in dict.fromkeys(columns):
        yield Expected(NOT_NULL, {"column": column}, where)


def _unique(key: tuple[str, ...], where: str) -> Expected:
    return Expected(KEY_UNIQUE, {"column_list": list(key)}, where)


def _within(dates: Dates) -> Expected:
    ends = {"min_value": dates.first, "max_value": dates.last}
    return Expected(BETWEEN, {"column": "prediction_date", **ends}, "schedule")


def _numeric_features(names: tuple[str, ...], dates: Dates) -> Iterator[Expected]:
    for name in names:
        # One night may know nothing: after a blizzard there were no arrivals to take a share of.
        if len(dates) > 1:
            some = {"column": name, "min_value": 0.0, "strict_min": True}
            yield Expected(NON_NULL_SHARE, some, f"features.numeric.{name}")
        finite = {"column": name, "min_value": -LARGEST, "max_value": LARGEST}
        yield Expected(BETWEEN, finite, f"features.numeric.{name}")


def _column_rules(columns: dict[str, Column], where: str) -> Iterator[Expected]:
    for name, column in columns.items():
        place = f"{where}.columns.{name}"
        if ends := _ends(column):
            yield Expected(BETWEEN, {"column": name, **ends}, place)
        if column.values is not None:
            yield Expected(IN_SET, {"column": name, "value_set": list(column.values)}, place)
        if column.pattern is not None:
            yield Expected(MATCHES, {"column": name, "regex": rf"\A(?:{column.pattern})\z"}, place)


def _ends(column: Column) -> dict[str, float]:
    if column.type == "number":
        return {
            "min_value": -LARGEST if column.min is None else column.min,
            "max_value": LARGEST if column.max is None else column.max,
        }
    ends = {"min_value": column.min, "max_value": column.max}
    return {name: end for name, end in ends.items() if end is not None}


def _declared(some: Iterable[Expectation], where: str) -> Iterator[Expected]:
    for index, one in enumerate(some):
        yield Expected(one.expect, dict(one.arguments), f"{where}[{index}]")
