"""Whether the newest scores that readers see are as new as they should be."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from jobs.plan import Plan


@dataclass(frozen=True)
class Freshness:
    """How old the newest live batch was at a moment.

    Attributes:
        prediction_date, batch_id, age_hours: of the newest live batch; None if nothing is live.
        fresh: young enough, or nothing newer is due any more.
    """

    checked_at: dt.datetime
    prediction_date: dt.date | None
    batch_id: int | None
    age_hours: float | None
    fresh: bool

    @property
    def sentence(self) -> str:
        if self.age_hours is None:
            return "nothing is published"
        state = "fresh" if self.fresh else "too old"
        return f"the newest batch is of {self.prediction_date}, {self.age_hours:.1f} h old, {state}"


def check(
    plan: Plan,
    moment: dt.datetime,
    prediction_date: dt.date | None,
    batch_id: int | None,
    published_at: dt.datetime | None,
) -> Freshness:
    """Judge the newest live batch at `moment` (aware), by when it was published and for when.

    After the schedule's last date nothing newer is due, so that date's batch stays fresh; before
    its first date none is due yet.
    """
    schedule = plan.usecase.schedule
    if prediction_date is None or published_at is None:
        due = moment >= plan.cutoff(schedule.start)
        return Freshness(moment, None, None, None, fresh=not due)
    age = (moment - published_at).total_seconds() / 3600
    over = schedule.end is not None and prediction_date >= schedule.end
    fresh = over or age <= plan.usecase.monitor.fresh_within_hours
    return Freshness(moment, prediction_date, batch_id, age, fresh)
