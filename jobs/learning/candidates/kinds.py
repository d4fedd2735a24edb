"""All kinds of candidates, the simplest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.errors import Refused
from jobs.learning.candidates.boosted import Boosted
from jobs.learning.candidates.candidate import Candidate
from jobs.learning.candidates.constant import Constant
from jobs.learning.candidates.linear import Linear
from jobs.learning.candidates.rule import Rule

KINDS = {"constant": Constant, "rule": Rule, "linear": Linear, "xgboost": Boosted}
# The order in which a tie is decided.
SIMPLEST_FIRST = tuple(KINDS)


def restored(kind: str, parameters: Mapping[str, Any], files: Mapping[str, bytes]) -> Candidate:
    """A candidate from what `parameters` and `files` gave.

    Raises:
        Refused: this version knows no such kind.
    """
    if kind not in KINDS:
        raise Refused(
            f"The model is of kind {kind!r}, which this version of Daybreak does not know.",
            "Run the version that trained it, or train a new model.",
        )
    found: Candidate = KINDS[kind].from_parameters(parameters, files)  # type: ignore[attr-defined]
    return found
