"""What a person may have meant by a name that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def guess(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, or nothing if no known name is like it."""
    near = get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
