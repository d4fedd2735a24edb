"""What an expectation of ours answers, in the form that Great Expectations takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def verdict(found: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of an expectation that no row may break.

    Args:
        found: the number of `rows`, of those that are `wrong`, and an `example` of these.
    """
    return {
        "success": found["wrong"] == 0,
        "result": {
            "element_count": found["rows"],
            "unexpected_count": found["wrong"],
            "partial_unexpected_list": [found["example"]] if found["wrong"] else [],
        },
    }
