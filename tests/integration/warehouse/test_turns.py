"""The right to change a lake, which is lost with the connection that holds it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from jobs.errors import Unavailable
from jobs.prediction.turn import lake_turn
from jobs.prediction.warehouse import connect

if TYPE_CHECKING:
    from jobs.settings import Settings


def test_a_turn_that_is_lost_is_another_s_and_its_work_has_failed(settings: Settings) -> None:
    with suppress(Unavailable), lake_turn(settings, "flights", "gate silver flights") as mine:
        mine.require()
        ended = "SELECT pg_terminate_backend(%s, 5000)"
        with connect(settings, "publisher") as other:
            other.execute(ended, [mine.connection.info.backend_pid])
        with lake_turn(settings, "flights", "erase flights"):
            pass
        with pytest.raises(Unavailable, match="and with it the right to change it"):
            mine.require()
