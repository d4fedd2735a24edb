"""How much of a day's data quarantine may take before the day itself is not to be trusted."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from jobs.errors import Refused


@dataclass(frozen=True)
class Delivered:
    """One file's content in bronze, and how many of its rows are in quarantine.

    `arrived_at` is in microseconds since 1970; `rules` counts failures by rule and column.
    """

    batch_date: dt.date
    file: str
    arrived_at: int
    rows: int
    quarantined: int = 0
    rules: tuple[tuple[str, int], ...] = ()


def check_budget(use_case: str, source: str, budget: float, files: Iterable[Delivered]) -> None:
    """Hold each batch date to the source's budget.

    Only the newest content of a file counts, so that a corrected delivery under the same name
    heals the date.

    Raises:
        Refused: on some date a larger share of rows than `budget` is in quarantine; the sentence
            names the worst date and its most frequent rules.
    """
    by_date: dict[dt.date, list[Delivered]] = {}
    for each in _newest(files):
        by_date.setdefault(each.batch_date, []).append(each)
    over = {date: share for date, of in by_date.items() if (share := _share(of)) > budget}
    if not over:
        return
    worst = max(over, key=lambda date: over[date])
    of = by_date[worst]
    rules: Counter[str] = Counter()
    for each in of:
        rules.update(dict(each.rules))
    most = ", ".join(f"{rule} ({rows:,} rows)" for rule, rows in rules.most_common(3))
    more = f" and {len(over) - 1} more dates are over it" if len(over) > 1 else ""
    raise Refused(
        f"Quarantine would take {sum(each.quarantined for each in of):,} of "
        f"{sum(each.rows for each in of):,} rows ({over[worst]:.1%}) of {use_case}'s {source} of "
        f"{worst}, more than its budget of {budget:.1%}{more}; most frequent: {most}.",
        f"Look at them with `daybreak quarantine list {use_case} --date {worst}`, then have the "
        "file delivered again under the same name, mend the rule, or raise the budget.",
    )


def _newest(files: Iterable[Delivered]) -> list[Delivered]:
    newest: dict[tuple[dt.date, str], Delivered] = {}
    for each in sorted(files, key=lambda each: each.arrived_at):
        newest[each.batch_date, each.file] = each
    return list(newest.values())


def _share(files: list[Delivered]) -> float:
    rows = sum(each.rows for each in files)
    return sum(each.quarantined for each in files) / rows if rows else 0.0
