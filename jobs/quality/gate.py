"""Validate rows against a suite with Great Expectations, and refuse what fails.

All expectations are first asked for yes or no only, which Spark answers in one pass and one more
for each key; details are fetched only for what failed. That a check could not be made (a missing
column, an expression that Spark refuses) is an error of the gate, never bad data and never a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jobs.errors import Refused
from jobs.quality.docs import page
from jobs.quality.expectations import GateBroken, answers, batch_of, expectation
from jobs.quality.suite import Expected, Suite, declared
from jobs.spec.document import Document, Problem
from jobs.usecase import COLUMN_ARGUMENTS, UseCase, columns_named

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

EXAMPLES = 3
# One cause, such as an empty column, can break many expectations; the kept result has them all.
FAILURES_SAID = 3
YES_OR_NO: dict[str, Any] = {"result_format": "BOOLEAN_ONLY"}
DETAILS: dict[str, Any] = {"result_format": "BASIC", "partial_unexpected_count": EXAMPLES}
LONGEST_EXAMPLE = 200


@dataclass(frozen=True)
class Failure:
    """One expectation that the rows do not live up to.

    Attributes:
        expectation: its name, such as `expect_column_values_to_be_between`.
        column: the column or, joined by commas, the columns; None for the whole table.
        wanted: the arguments other than the column, as text.
        observed: what was found, for expectations about a table or a whole column.
        unexpected_count: rows that do not fit, for expectations about rows.
        total: rows that were looked at.
        examples: a few values that do not fit.
        field: the place in the use-case file that the expectation comes from.
        day: the batch date that was looked at by itself, or empty.
    """

    expectation: str
    column: str | None
    wanted: str
    observed: str | None
    unexpected_count: int | None
    total: int | None
    examples: tuple[str, ...]
    field: str
    day: str = ""

    def __str__(self) -> str:
        of_day = f" on {self.day}" if self.day else ""
        what = f"{self.expectation}({self.column or ''}) failed{of_day}"
        wanted = f" (expected {self.wanted})" if self.wanted else ""
        if self.unexpected_count is None:
            return f"{what}: found {self.observed}{wanted}"
        examples = f", e.g. {', '.join(self.examples)}" if self.examples else ""
        return f"{what}: {self.unexpected_count} of {self.total} rows{examples}{wanted}"


@dataclass(frozen=True)
class GateResult:
    """Whether the rows of a table may pass, and what stands against it.

    `validated` is Great Expectations' own result, with details of what failed.
    """

    table: str
    passed: bool
    rows: int
    expectations: int
    failures: tuple[Failure, ...]
    validated: Any = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values."""
        return asdict(replace(self, validated=None))

    def page(self, batch: str) -> str:
        """The result as a page for people."""
        return page(self.validated, f"{self.table} of {batch}", [*map(str, self.failures)])

    def and_also(self, failures: Sequence[Failure]) -> GateResult:
        """The same with more that stands against the rows."""
        passed = self.passed and not failures
        return replace(self, passed=passed, failures=(*self.failures, *failures))


def check(usecase: UseCase, document: Document) -> None:
    """Check that every declared expectation exists and takes its arguments.

    Raises:
        Refused: some do not; the sentence names their lines and fields.
    """
    found = []
    for expected in declared(usecase):
        try:
            expectation(expected)
        except Refused as error:
            line = document.field(expected.field).line
            found.append(Problem(line, error.sentence.removesuffix(".")))
    if found:
        raise document.refusal(found)


def validate(df: DataFrame, suite: Suite, rows: int) -> GateResult:
    """Compare the rows of `df` with `suite`, on a classic or a Spark Connect session.

    Args:
        rows: how many there are, which whoever staged them knows without a Spark job.

    Raises:
        Refused: the suite has an expectation that does not exist or lacks arguments.
        GateBroken: an expectation could not be evaluated.
        Unavailable: Spark is gone.
    """
    asked = _indexed(suite.expectations)
    _columns_are_there(df, suite)
    batch = batch_of(df)
    validated = answers(batch, df, asked, YES_OR_NO)
    passed = [bool(one.success) for one in validated.results]
    failed = [one for one, ok in zip(suite.expectations, passed, strict=True) if not ok]
    details = answers(batch, df, _indexed(failed), DETAILS).results if failed else []
    told = iter(details)
    validated.results = [one if one.success else next(told) for one in validated.results]
    return GateResult(
        table=suite.table,
        passed=not failed,
        rows=rows,
        expectations=len(suite.expectations),
        failures=tuple(
            _failure(expected, dict(one.result or {}))
            for expected, one in zip(failed, details, strict=True)
        ),
        validated=validated,
    )


def require(result: GateResult, batch: str, see: str) -> None:
    """Let the rows pass, or refuse them.

    Args:
        result: what the validation found.
        batch: the dates of the rows, for the sentence.
        see: how to look at the refused rows: a path or a command.

    Raises:
        Refused: an expectation failed; the sentence has table, expectation, value and rows.
    """
    if result.passed:
        return
    said = "; ".join(str(failure) for failure in result.failures[:FAILURES_SAID])
    more = len(result.failures) - FAILURES_SAID
    raise Refused(
        f"{result.table} of {batch} ({result.rows} rows): {said}"
        + (f"; and {more} more of {result.expectations} expectations" if more > 0 else "")
        + ".",
        f"Nothing was changed; the refused rows are kept: {see}",
    )


def _indexed(suite: Sequence[Expected]) -> list[tuple[Expected, Any]]:
    return [(expected, expectation(expected, index)) for index, expected in enumerate(suite)]


def _columns_are_there(df: DataFrame, suite: Suite) -> None:
    there = set(df.columns)
    wanted = {
        name: one.field for one in suite.expectations for name in columns_named(one.arguments)
    }
    missing = [f"{name} ({where})" for name, where in wanted.items() if name not in there]
    if missing:
        raise GateBroken(
            f"The gate of {suite.table} itself failed, which says nothing about the data: "
            f"{len(missing)} of {len(wanted)} columns it looks at are not there: "
            f"{', '.join(missing)}.",
            "Mend the gate or the step that makes the rows; nothing was changed.",
        )


def _failure(expected: Expected, found: dict[str, Any]) -> Failure:
    examples = dict.fromkeys(str(value) for value in found.get("partial_unexpected_list") or ())
    others = {n: v for n, v in expected.arguments.items() if n not in COLUMN_ARGUMENTS}
    return Failure(
        expectation=expected.expect,
        column=", ".join(columns_named(expected.arguments)) or None,
        wanted=", ".join(f"{name} {value}" for name, value in others.items()),
        observed=None if "observed_value" not in found else str(found["observed_value"]),
        unexpected_count=found.get("unexpected_count"),
        total=found.get("element_count"),
        examples=tuple(_short(one) for one in examples if one != "None")[:EXAMPLES],
        field=expected.field,
    )


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_EXAMPLE else f"{text[:LONGEST_EXAMPLE]}…"
