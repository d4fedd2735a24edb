"""Quarantine replayed: rows judged once more after the rule or the file was mended.

Bronze has every row as it arrived, so nothing is moved by hand: what has quarantined rows is run
through the night's own steps again, and becomes what a clean load would have made of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace

from jobs.conform.quarantine import Which, days, summary
from jobs.context import Context
from jobs.lake.made import Made
from jobs.plan import Dates
from jobs.steps import run


@dataclass(frozen=True)
class Replayed:
    """What a replay changed.

    Attributes:
        use_case: which one.
        days: batch dates that had quarantined rows.
        before: rows in quarantine before; a row that fails two rules counts twice.
        after: rows in quarantine after.
        touched: prediction dates whose features were built anew.
    """

    use_case: str
    days: int
    before: int
    after: int
    touched: tuple[dt.date, ...]

    @property
    def sentence(self) -> str:
        if not self.days:
            return f"Nothing of {self.use_case} that was asked for is in quarantine."
        return (
            f"Of {self.before} quarantined rows of {self.use_case} on {self.days} days, "
            f"{self.after} still fail; the features of {len(self.touched)} prediction dates were "
            "built anew. Predictions that were published stay as they were."
        )


def replay(context: Context, which: Which, say: Callable[[str], None]) -> Replayed:
    """Judge quarantined rows again, and build anew what is made of them.

    Args:
        context: its dates are not looked at.
        which: which rows; their whole days are judged again.
        say: is told each step's sentence.

    Raises:
        Refused: a gate did not let the rows pass; silver and gold are as they were.
    """
    plan, spark, tables = context.plan, context.engine.session(), context.tables
    found = days(spark, tables, which)
    if not found:
        return Replayed(plan.name, 0, 0, 0, ())
    before = _count(context, which)
    nights = [
        day + dt.timedelta(days=plan.usecase.sources[source].arrives.lag)
        for source, of in found.items()
        for day in of
    ]
    first = max(min(nights), plan.usecase.schedule.start)
    dates = Dates(first, max([*nights, first]))
    again = replace(context, dates=dates, options={"layer": "silver", "replay": True})
    for step in ("ingest", "conform", "gate", "labels"):
        say(run(step, again).sentence)
    features = Made(tables.features())
    built = features.inputs()
    touched: tuple[dt.date, ...] = ()
    if built:
        # Rows that say since when they could be known may be of dates long before their files.
        says = any(plan.usecase.sources[source].known is not None for source in found)
        earliest = plan.usecase.schedule.start if says else dates.first
        gold = Dates(earliest, max(dates.last, dt.date.fromisoformat(max(built))))
        for step, options in (("features", {"built": True}), ("gate", {"layer": "features"})):
            say(run(step, replace(context, dates=gold, options=options)).sentence)
        now = features.inputs()
        touched = tuple(
            dt.date.fromisoformat(day) for day in sorted(now) if now[day] != built.get(day)
        )
    of_days = sorted({day for of in found.values() for day in of})
    return Replayed(plan.name, len(of_days), before, _count(context, which), touched)


def _count(context: Context, which: Which) -> int:
    found = summary(context.engine.session(), context.tables, which)
    return sum(each.rows for each in found)
