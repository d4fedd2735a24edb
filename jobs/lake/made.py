"""What the parts of a table were made of, kept beside the table.

A part is a date's partition, or a whole table that has none. Its inputs say everything that its
rows depend on, so that a part whose inputs are the same as when it was made need not be made
again, and one that was staged before a newer one was committed must not overwrite it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.lake import files
from jobs.lake.table import Table

WHOLE = "whole"
# Of a part of silver, the contents that were over the budget until they were delivered again.
UNSOUND = "unsound"
# Of a part of silver whose rows say when they could be known: each day (UTC) on which some of them
# began or ceased to be, with a digest of all that did until its end.
SINCE = "since"

Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Made:
    """The record of one table. Delta leaves files alone whose names begin with an underscore."""

    table: Table

    @property
    def _path(self) -> str:
        return f"{self.table.path}/_made_of.json"

    def inputs(self) -> dict[str, Inputs]:
        """The inputs of each part, JSON values all of them.

        A part of which no rows were ever committed is there too, such as a clean day's quarantine.
        """
        return {part: each["inputs"] for part, each in self._parts().items()}

    def stale(self, inputs: Mapping[str, Inputs]) -> dict[str, Inputs]:
        """Those of some parts that were not made of these inputs; what else is noted is ignored."""
        made = self.inputs()
        return {
            part: each
            for part, each in inputs.items()
            if not each.items() <= made.get(part, {}).items()
        }

    def overtaken(self, parts: Iterable[str], staged_at: int) -> set[str]:
        """Those of some parts for which rows were committed that were staged after `staged_at`."""
        made = self._parts()
        return {part for part in parts if part in made and made[part]["staged_at"] > staged_at}

    def record(self, inputs: Mapping[str, Inputs], staged_at: int) -> None:
        """Note what parts are made of now; call it right after the commit.

        Killed between the two, the parts are only made once more.
        """
        new = {part: {"inputs": each, "staged_at": staged_at} for part, each in inputs.items()}
        files.write_json(self._path, {"parts": {**self._parts(), **new}})

    def forget(self, day: dt.date) -> None:
        """Forget the parts of a day and of all days after it."""
        kept = {part: each for part, each in self._parts().items() if part < str(day)}
        files.write_json(self._path, {"parts": kept})

    def _parts(self) -> dict[str, dict[str, Any]]:
        found = files.read_json(self._path)
        parts: dict[str, dict[str, Any]] = found["parts"] if found else {}
        return parts
