"""Contents that a gate has refused: what it said is kept until they are replaced or accepted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jobs.lake import files


@dataclass(frozen=True)
class Refusals:
    """The refused parts of one table.

    Attributes:
        root: of the use case's lake.
        table: the table's name.
    """

    root: str
    table: str

    @property
    def _path(self) -> str:
        return f"{self.root}/_refused/{self.table}.json"

    def read(self) -> dict[str, list[list[Any]]]:
        """By part, name and arrival of the contents that were refused."""
        found: dict[str, list[list[Any]]] = files.read_json(self._path) or {}
        return found

    def add(self, part: str, contents: Iterable[list[Any]]) -> None:
        """Note that a part made of these contents was refused."""
        there = self.read()
        known = there.get(part, [])
        more = [each for each in contents if each not in known]
        files.write_json(self._path, {**there, part: [*known, *more]})

    def clear(self, part: str) -> None:
        """Forget a part's refusals, because a person accepts it."""
        there = self.read()
        if there.pop(part, None) is not None:
            files.write_json(self._path, there)
