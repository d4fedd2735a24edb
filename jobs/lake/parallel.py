"""Small jobs on Spark beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

One = TypeVar("One")
Done = TypeVar("Done")

AT_ONCE = 3


def side_by_side(all_of: Iterable[One], work: Callable[[One], Done]) -> list[Done]:
    """What `work` gives for each one, in their order; the first failure is raised.

    Spark plans one job while it runs another. They share one scheduler, so the jobs of a big
    range get no more memory than one after the other would. No two may write to one table.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(work, all_of))
