"""The errors a person reads at three in the morning: one sentence, and what to do.

Only failures that a caller treats differently have a class of their own.
"""

from __future__ import annotations


class DaybreakError(Exception):
    """Something that stops the work, said in one sentence with a remedy.

    Attributes:
        sentence: what happened, where, and to how many.
        remedy: what to do next; a command where there is one.
    """

    def __init__(self, sentence: str, remedy: str) -> None:
        super().__init__(sentence, remedy)
        self.sentence = sentence
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}"


class Refused(DaybreakError):
    """The input, the data or the model is not acceptable; trying again changes nothing."""


class Unavailable(DaybreakError):
    """A service or a connection is not there now; trying again may help."""


class NotLanded(DaybreakError):
    """The files a night needs have not arrived yet; the night waits for them."""


class WrongUsage(DaybreakError):
    """The command was called wrongly (exit code 2)."""
