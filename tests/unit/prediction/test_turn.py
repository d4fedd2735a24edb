"""What happens to work whose right to change the lake is lost; Postgres is stood in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest

from jobs.errors import Refused, Unavailable
from jobs.prediction import turn
from jobs.settings import Settings


class Warehouse:
    """A server that gives every lock, until it is started anew."""

    is_lost = False

    def execute(self, *_: object) -> Warehouse:
        if self.is_lost:
            raise psycopg.OperationalError("the connection is lost")
        return self

    def fetchone(self) -> tuple[Any, ...]:
        return (True,)


@pytest.fixture
def warehouse(monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    found = Warehouse()

    @contextmanager
    def connect(*_: object, **__: object) -> Iterator[Warehouse]:
        yield found

    monkeypatch.setattr(turn, "connect", connect)
    return found


LOST = "The warehouse was lost while working on visits's lake, and with it the right to change it."


def test_whoever_asks_in_the_middle_is_told_that_the_turn_is_lost(
    warehouse: Warehouse, settings: Settings
) -> None:
    with suppress(Unavailable), turn.lake_turn(settings, "visits", "gate silver visits") as mine:
        mine.require()
        warehouse.is_lost = True
        with pytest.raises(Unavailable) as told:
            mine.require()
    assert told.value.sentence == LOST
    assert "again" in told.value.remedy


def test_work_that_has_lost_its_turn_has_failed(warehouse: Warehouse, settings: Settings) -> None:
    def work() -> None:
        with turn.lake_turn(settings, "visits", "ingest visits", "ingest"):
            warehouse.is_lost = True

    with pytest.raises(Unavailable) as told:
        work()
    assert told.value.sentence == LOST


def test_what_has_failed_for_another_reason_says_that(
    warehouse: Warehouse, settings: Settings
) -> None:
    def work() -> None:
        with turn.lake_turn(settings, "visits", "ingest visits"):
            warehouse.is_lost = True
            raise Refused("There is a bad file.", "Mend it.")

    with pytest.raises(Refused, match="a bad file"):
        work()
