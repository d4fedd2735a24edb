"""The way to Great Expectations and back: names to classes, rows to a batch, answers to data.

Great Expectations takes seconds to import, so it is imported when a gate runs, not before.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from jobs.errors import DaybreakError, Refused, Unavailable
from jobs.guess import guess
from jobs.quality.suite import Expected

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MARK = "daybreak_index"


class GateBroken(DaybreakError):
    """The gate itself failed: it is not known whether the data are good."""


def expectation(expected: Expected, index: int = 0) -> Any:
    """The Great Expectations object for `expected`, marked with its place in the suite.

    Raises:
        Refused: there is no such expectation, or it does not take these arguments.
    """
    _quiet()
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    # Importing the modules is what makes our own expectations known.
    import jobs.quality.chances
    import jobs.quality.uniqueness  # noqa: F401

    try:
        kind = get_expectation_impl(expected.expect)
    except ExpectationNotFoundError as error:
        near = guess(expected.expect, list_registered_expectation_implementations())
        raise Refused(
            f"{expected.field}: there is no expectation {expected.expect!r}{near}.",
            "Use a name of Great Expectations' own, such as expect_column_values_to_be_between.",
        ) from error
    try:
        return kind(**expected.arguments, meta={MARK: index})
    except ValueError as error:
        raise Refused(
            f"{expected.field}: {expected.expect} does not take these arguments: "
            f"{'; '.join(_problems(error))}.",
            "Mend `arguments` in the use-case file.",
        ) from error


def batch_of(df: DataFrame) -> Any:
    """`df` as a batch that can be validated; nothing is cached and nothing leaves the machine."""
    _quiet()
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    # Persisted frames would never be released.
    source = context.data_sources.add_spark("spark", persist=False)
    whole = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    return whole.get_batch({"dataframe": df})


def answers(
    batch: Any, df: DataFrame, suite: Sequence[tuple[Expected, Any]], form: dict[str, Any]
) -> Any:
    """Great Expectations' validation, whose `results` are one answer for each, in order.

    Args:
        batch: from `batch_of(df)`.
        df: the rows, to find out whether Spark is still there when an answer is missing.
        suite: what is expected, and its object made with the index in this list.
        form: how much detail is wanted, as Great Expectations' `result_format`.

    Raises:
        GateBroken: an expectation could not be evaluated.
        Unavailable: Spark is gone.
    """
    from great_expectations import ExpectationSuite

    objects = [made for _, made in suite]
    found = batch.validate(ExpectationSuite(name="gate", expectations=objects), result_format=form)
    by_index = {one.expectation_config.meta[MARK]: one for one in found.results}
    ordered = [by_index[index] for index in range(len(suite))]
    errors = [
        f"{expected.field}: {expected.expect}: {message}"
        for (expected, _), one in zip(suite, ordered, strict=True)
        for message in raised(one.exception_info)
    ]
    if errors:
        _still_there(df)
        raise GateBroken(
            f"The gate itself failed, which says nothing about the data: {len(errors)} of "
            f"{len(suite)} expectations could not be evaluated: {'; '.join(errors)}.",
            "Mend the gate or the table's columns, then run the step again; nothing was changed.",
        )
    found.results = ordered
    return found


def raised(info: dict[str, Any] | None) -> Iterator[str]:
    """The messages of what was raised; `info` is one record, or one record for each metric."""
    if not info:
        return
    records = [info] if "raised_exception" in info else list(info.values())
    messages = (str(one["exception_message"]) for one in records if one["raised_exception"])
    yield from dict.fromkeys(" ".join(message.split())[:300] for message in messages)


def _still_there(df: DataFrame) -> None:
    try:
        df.sparkSession.range(1).count()
    except Exception as error:
        raise Unavailable(
            "Spark stopped answering while a gate was looking at the rows.",
            "Run `daybreak status`, then run the step again; nothing was changed.",
        ) from error


def _problems(error: ValueError) -> list[str]:
    found = getattr(error, "errors", None)
    if found is None:
        return [str(error)]
    return [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found()]


def _quiet() -> None:
    for name in ("great_expectations", "great_expectations.expectations"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"great_expectations\..*")
