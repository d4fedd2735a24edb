"""What a demo does after one that was stopped."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from jobs import demo
from jobs.plan import Dates, Plan
from jobs.settings import Settings


def day(number: int) -> dt.date:
    return dt.date(2013, 10, number)


@pytest.mark.parametrize(
    ("live", "ranges"),
    [
        ([], [(1, 7)]),
        ([1, 2, 3, 4], [(5, 7)]),
        ([1, 2, 4], [(3, 3), (5, 7)]),
        ([2, 3, 4, 5, 6], [(1, 1), (7, 7)]),
        ([1, 2, 3, 4, 5, 6, 7], []),
    ],
)
def test_only_nights_that_are_not_live_are_lacking(
    live: list[int], ranges: list[tuple[int, int]]
) -> None:
    found = demo.lacking({day(number) for number in live})
    assert found == [Dates(day(first), day(last)) for first, last in ranges]


@dataclass
class Airflow:
    """Stands for Airflow: what a backfill is asked for is published once it was waited for."""

    published: set[dt.date]
    under_way: Dates | None = None
    asked: list[Dates] = field(default_factory=list)

    def ready(self, dag: str) -> None:
        """Nothing: it is."""

    def unpause(self, dag: str) -> None:
        """Nothing: it runs."""

    def unfinished_backfill(self, dag: str) -> int | None:
        return 1 if self.under_way else None

    def backfill(self, dag: str, dates: Dates) -> int:
        self.asked.append(dates)
        return 1 + len(self.asked)

    def wait_backfill(self, dag: str, backfill: int, dates: Dates, say: object) -> list[object]:
        self.published |= set(self.under_way or () if backfill == 1 else dates)
        return []


@pytest.mark.parametrize(
    ("under_way", "asked"),
    [
        (None, [Dates(day(3), day(3)), Dates(day(5), day(7))]),
        (Dates(day(3), day(6)), [Dates(day(7), day(7))]),
        (Dates(day(3), day(7)), []),
    ],
)
def test_a_second_demo_runs_the_nights_that_the_first_did_not(
    under_way: Dates | None, asked: list[Dates], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow = Airflow({day(1), day(2), day(4)}, under_way)

    @contextmanager
    def connect(_: Settings) -> Iterator[Airflow]:
        yield airflow

    def publications(*_: object) -> list[SimpleNamespace]:
        return [SimpleNamespace(prediction_date=date, live=True) for date in airflow.published]

    monkeypatch.setattr("jobs.airflow_api.connect", connect)
    monkeypatch.setattr("jobs.prediction.batches.publications", publications)
    demo._nights(Plan.of(demo.USE_CASE, settings), lambda _: None)
    assert airflow.asked == asked
    assert airflow.published == set(demo.NIGHTS)
