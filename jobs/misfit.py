"""What is wrong with several fields of a use case together."""

from __future__ import annotations


class Misfit(ValueError):
    """What a check of several fields finds wrong.

    Attributes:
        at: the field to look at, below the part that was checked: `predict.columns`.
    """

    def __init__(self, at: str, said: str) -> None:
        super().__init__(said)
        self.at = at
