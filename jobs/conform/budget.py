"""How much of a day's data quarantine may take before the day itself is not to be trusted."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from jobs.errors import Refused
from jobs.lake.deliveries import Delivered
from jobs.usecase import Bound, Budget


@dataclass(frozen=True)
class Judged:
    """One file's content and how many of its rows are in quarantine.

    `failures` counts them by rule and column; the column is empty for a rule about the whole row.
    """

    delivered: Delivered
    quarantined: int = 0
    failures: tuple[tuple[str, str, int], ...] = ()


def over_budget(
    use_case: str, source: str, budget: Budget, files: Iterable[Judged]
) -> dict[dt.date, Refused]:
    """The batch dates that are over the source's budget, each with its refusal.

    Only the newest content of a file counts, so that a corrected delivery under the same name
    heals the date.
    """
    by_date: dict[dt.date, list[Judged]] = {}
    for each in _newest(files):
        by_date.setdefault(each.delivered.batch_date, []).append(each)
    return {
        date: _refusal(use_case, source, date, of, why)
        for date, of in sorted(by_date.items())
        if (why := _why_over(budget, of))
    }


def _why_over(budget: Budget, files: list[Judged]) -> str:
    """Which bound is exceeded, as the end of a sentence; empty if none is."""
    rows = sum(each.delivered.rows for each in files)
    whole = Bound(share=budget.share, rows=budget.rows)
    if most := _exceeded(whole, sum(each.quarantined for each in files), rows):
        return f"more than its budget of {most}"
    failed: Counter[str] = Counter()
    for each in files:
        for rule, _, count in each.failures:
            failed[rule] += count
    for rule, bound in budget.rules.items():
        if most := _exceeded(bound, failed[rule], rows):
            return f"and {failed[rule]:,} by rule {rule}, more than its budget of {most}"
    return ""


def _exceeded(bound: Bound, count: int, rows: int) -> str:
    if bound.share is not None and count > bound.share * rows:
        return f"{bound.share:.1%}"
    if bound.rows is not None and count > bound.rows:
        return f"{bound.rows:,} rows"
    return ""


def _refusal(use_case: str, source: str, date: dt.date, files: list[Judged], why: str) -> Refused:
    rows = sum(each.delivered.rows for each in files)
    quarantined = sum(each.quarantined for each in files)
    counts: Counter[tuple[str, str]] = Counter()
    for each in files:
        for rule, column, count in each.failures:
            counts[rule, column] += count
    most = ", ".join(
        _said(rule, column, count, rows) for (rule, column), count in counts.most_common(3)
    )
    return Refused(
        f"Quarantine would take {quarantined:,} of {rows:,} rows ({quarantined / rows:.1%}) of "
        f"{use_case}'s {source} of {date}, {why}; most frequent: {most}.",
        f"Look at them with `daybreak quarantine list {use_case} --day {date}`, then have the "
        "file delivered again under the same name, mend the rule, or raise the budget.",
    )


def _said(rule: str, column: str, count: int, rows: int) -> str:
    name = f"{rule} of {column}" if column else rule
    # One wrong cell is a slip; most of a column is a decision of those who deliver it.
    retyped = "; was it retyped?" if rule == "type" and count > rows / 2 else ""
    return f"{name} ({count:,} rows{retyped})"


def _newest(files: Iterable[Judged]) -> list[Judged]:
    newest: dict[str, Judged] = {}
    for each in sorted(files, key=lambda each: each.delivered.arrived_at):
        newest[each.delivered.file] = each
    return list(newest.values())
