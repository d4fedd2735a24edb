"""A turn on the lake where there is no warehouse to take it by."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace


def held(*_: object) -> AbstractContextManager[SimpleNamespace]:
    """In the place of `lake_turn`: a turn that is never lost."""
    return nullcontext(SimpleNamespace(require=lambda: None))
