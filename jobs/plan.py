"""A use case resolved against the settings: paths, moments and date ranges, worked out once.

Rules of time live here and nowhere else. Dates are local to the use case; moments are aware
UTC datetimes. A day of 23 or 25 hours is one date.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from jobs.errors import WrongUsage
from jobs.settings import Settings
from jobs.spec.read import checked
from jobs.usecase import TimeSplit, UseCase


@dataclass(frozen=True)
class Dates:
    """A closed range of local dates, first to last."""

    first: dt.date
    last: dt.date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise WrongUsage(
                f"The date range {self.first} to {self.last} ends before it begins.",
                "Swap the two dates.",
            )

    def __iter__(self) -> Iterator[dt.date]:
        for offset in range((self.last - self.first).days + 1):
            yield self.first + dt.timedelta(days=offset)

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}_{self.last}"

    @classmethod
    def one(cls, date: dt.date) -> Dates:
        return cls(date, date)

    def shifted(self, *, first: int = 0, last: int = 0) -> Dates:
        """The range with its ends moved by whole days (negative is earlier)."""
        return Dates(self.first + dt.timedelta(days=first), self.last + dt.timedelta(days=last))


@dataclass(frozen=True)
class Split:
    """The three parts of a training set, as ranges of prediction dates.

    Where parts are not cut by time, all three are the same range.
    """

    train: Dates
    validation: Dates
    holdout: Dates


@dataclass(frozen=True)
class Plan:
    """One use case with everything resolved that its steps need."""

    usecase: UseCase
    settings: Settings

    @classmethod
    def of(cls, name: str, settings: Settings) -> Plan:
        """Read the use case `name` and resolve it; raises `Refused` if it is wrong."""
        return cls(checked(settings.usecases / name), settings)

    @property
    def name(self) -> str:
        return self.usecase.name

    def moment(self, date: dt.date, time: dt.time) -> dt.datetime:
        """A local date and time as an aware UTC datetime."""
        return dt.datetime.combine(date, time, self.usecase.zone).astimezone(dt.UTC)

    def cutoff(self, date: dt.date) -> dt.datetime:
        """The moment before which a fact must have arrived to be used for prediction date `date`.

        The same moment is a training's cutoff when a model is trained on that date.
        """
        return self.moment(date, self.usecase.cutoff)

    def last_mature(self, cutoff_date: dt.date) -> dt.date:
        """The newest prediction date whose labels are final at the cutoff of `cutoff_date`.

        A label of date D is final `maturity` days after D has ended, or the last day whose events
        it is made of, at local midnight; one of an entity without a date when it is known.
        """
        return cutoff_date - dt.timedelta(days=self.days_to_maturity)

    def first_final(self, date: dt.date) -> dt.date:
        """The first date at whose cutoff the labels of prediction date `date` are final."""
        return date + dt.timedelta(days=self.days_to_maturity)

    @property
    def days_to_maturity(self) -> int:
        """From the beginning of a prediction date to the midnight at which its labels are final."""
        label = self.usecase.label
        if label.maturity is None:
            return 0
        return (label.within.days if label.within else 1) + label.maturity

    def split(self, cutoff_date: dt.date, holdout_until: dt.date | None = None) -> Split:
        """Train, validation and holdout for a training with cutoff `cutoff_date`.

        Normally the holdout is the last `split.holdout` mature days before the cutoff. With
        `holdout_until` the holdout runs from the cutoff to that date instead, and validation
        moves up to the last mature day: how a model trained then would have done afterwards.
        Where labels are of what happens within some days, no day whose events a part's labels are
        made of lies in the next part: as many days are left out between them.
        Where parts are not cut by time, each has rows of all mature days; of entities without a
        date, all rows as the cutoff's date sees them.

        Raises:
            WrongUsage: there are no dates left to train on, or `holdout_until` is given for parts
                that are not cut by time.
        """
        rules, within = self.usecase.split, self.usecase.label.within
        last, step = self.last_mature(cutoff_date), dt.timedelta(days=within.days if within else 1)
        if not isinstance(rules, TimeSplit):
            return self._one_range(cutoff_date, last, holdout_until)
        if holdout_until is not None:
            holdout = Dates(cutoff_date, holdout_until)
        else:
            holdout = Dates(last - dt.timedelta(days=rules.holdout - 1), last)
            last = holdout.first - step
        validation = Dates(last - dt.timedelta(days=rules.validation - 1), last)
        train_last = validation.first - step
        if train_last < self.usecase.schedule.start:
            raise WrongUsage(
                f"A training of {self.name} with cutoff {cutoff_date} has no days left before "
                f"{validation.first}: the use case starts on {self.usecase.schedule.start}.",
                "Choose a later cutoff, or shorten split.validation or split.holdout.",
            )
        return Split(Dates(self.usecase.schedule.start, train_last), validation, holdout)

    def _one_range(
        self, cutoff_date: dt.date, last: dt.date, holdout_until: dt.date | None
    ) -> Split:
        dated, by = self.usecase.entity.date is not None, self.usecase.split.by
        first = self.usecase.schedule.start if dated else cutoff_date
        if holdout_until is not None:
            raise WrongUsage(
                f"{self.name} is split by {by}: its holdout is a share of all rows, and no days "
                "after the cutoff.",
                "Leave the end of the holdout out, or declare `split: {by: time}`.",
            )
        if last < first:
            raise WrongUsage(
                f"A training of {self.name} with cutoff {cutoff_date} has no days whose labels are "
                f"final: the use case starts on {first}.",
                "Choose a later cutoff.",
            )
        return Split(*[Dates(first, last)] * 3)

    def featured(self, dates: Dates) -> Dates:
        """Those of a training's dates whose features it needs, where the last is its cutoff's.

        All entities without a date are of each date, and it learns from that of its cutoff alone.
        """
        return dates if self.usecase.entity.date is not None else Dates.one(dates.last)

    def batch_dates(self, source: str, dates: Dates, *, late: bool = True) -> Dates:
        """The file dates of a daily source that the nights of `dates` take in."""
        arrives = self.usecase.sources[source].arrives
        back = arrives.lag + (arrives.late if late else 0)
        return dates.shifted(first=-back, last=-arrives.lag)
