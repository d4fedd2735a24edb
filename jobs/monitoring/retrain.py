"""When drift asks for a new model: often enough, tonight too, and not just after a decision."""

from __future__ import annotations

import datetime as dt

from jobs.prediction.warehouse import connect, translated
from jobs.settings import Settings

NIGHTS = 5
DRIFTED_NIGHTS = 2
# A model that was judged this week has seen what drifted; asking again would change nothing.
REST_DAYS = 7

MEASURED = """
SELECT prediction_date, array_agg(feature ORDER BY psi DESC) FILTER (WHERE drifted)
FROM monitoring.drift
WHERE use_case = %s AND model_version = %s AND prediction_date <= %s
GROUP BY prediction_date ORDER BY prediction_date DESC LIMIT %s
"""
DECIDED = """
SELECT count(*) FROM monitoring.decisions
WHERE use_case = %s AND outcome NOT IN ('demote', 'rollback')
    AND decided_at > clock_timestamp() - make_interval(days => %s)
"""


def reason(settings: Settings, use_case: str, version: int, date: dt.date) -> str | None:
    """Why `use_case` should be trained anew after the night of `date`, or None.

    Raises:
        Unavailable: the warehouse was lost.
    """
    with (
        connect(settings, "publisher") as connection,
        translated(f"reading the drift of {use_case}"),
    ):
        nights = connection.execute(MEASURED, [use_case, version, date, NIGHTS]).fetchall()
        decided = connection.execute(DECIDED, [use_case, REST_DAYS]).fetchone()
    if decided and decided[0]:
        return None
    return wanted([list(features or ()) for _, features in nights])


def wanted(nights: list[list[str]]) -> str | None:
    """The reason from each night's drifted features, the newest night first."""
    drifted = [night for night in nights[:NIGHTS] if night]
    if not nights or not nights[0] or len(drifted) < DRIFTED_NIGHTS:
        return None
    return (
        f"drift on {len(drifted)} of the last {len(nights[:NIGHTS])} nights and tonight: "
        f"{', '.join(nights[0][:3])}"
    )
