"""Moments as whole microseconds since 1970.

Spark hands timestamps out in this process's own time zone, where one hour of the year is ambiguous,
and seconds in floating point are not exact to the microsecond; these are neither.
"""

from __future__ import annotations

import datetime as dt

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)


def moment(micros: int) -> dt.datetime:
    """The moment that many microseconds after 1970, aware in UTC."""
    return EPOCH + micros * MICROSECOND


def micros(moment: dt.datetime) -> int:
    """Microseconds since 1970 of an aware moment."""
    return (moment - EPOCH) // MICROSECOND


def now() -> int:
    """This moment in microseconds since 1970."""
    return micros(dt.datetime.now(dt.UTC))
