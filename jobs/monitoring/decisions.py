"""What was decided on a use case's champions, as the warehouse keeps it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from psycopg.rows import class_row

from jobs.prediction.warehouse import connect, translated
from jobs.settings import Settings

SELECT = """
SELECT decided_at, outcome, sentence, challenger_version, champion_version, run_id, by, reason,
    ruled, acknowledged, evidence
FROM monitoring.decisions WHERE use_case = %s ORDER BY id DESC
"""


@dataclass(frozen=True)
class Decided:
    """One decision; nobody can change it.

    Attributes:
        outcome: `promote`, `keep`, `needs_person`, `demote` or `rollback`.
        challenger_version: the version that was decided on.
        champion_version: the champion that there was; None: none.
        by: who decided: `daybreak`, by the rules, or a person.
        reason: a person's.
        ruled: what the rules had said of the version on which a person decided.
        acknowledged: warnings that a person knew of.
        evidence: the evaluation; empty if there was none.
    """

    decided_at: dt.datetime
    outcome: str
    sentence: str
    challenger_version: int | None
    champion_version: int | None
    run_id: str
    by: str
    reason: str
    ruled: str
    acknowledged: list[str]
    evidence: dict[str, Any]


def decisions(settings: Settings, use_case: str) -> list[Decided]:
    """Every decision on a use case, the newest first.

    Raises:
        Unavailable: the warehouse was lost.
    """
    with (
        connect(settings, "publisher") as connection,
        translated(f"reading the decisions on {use_case}"),
    ):
        cursor = connection.cursor(row_factory=class_row(Decided))
        return cursor.execute(SELECT, [use_case]).fetchall()
