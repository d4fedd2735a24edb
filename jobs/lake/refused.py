"""Contents that a gate has refused: what it said is kept until they are replaced or accepted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

    def add(self, parts: Mapping[str, Iterable[list[Any]]]) -> None:
        """Note that parts made of these contents were refused."""
        there = self.read()
        for part, contents in parts.items():
            known = there.get(part, [])
            there[part] = [*known, *(each for each in contents if each not in known)]
        files.write_json(self._path, there)

    def clear(self, parts: Iterable[str]) -> None:
        """Forget the refusals of parts that a gate let through, or that a person accepts."""
        there = self.read()
        if gone := there.keys() & set(parts):
            files.write_json(self._path, {part: there[part] for part in there.keys() - gone})
