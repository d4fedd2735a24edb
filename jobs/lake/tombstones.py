"""What was erased must not come back with a backfill, and must not be written down either.

A tombstone is a keyed hash of the erased values, so that no file names them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.lake import files
from jobs.usecase import Column


@dataclass(frozen=True)
class Tombstones:
    """The erased entities of a use case.

    Attributes:
        key: what the hashes are keyed with, as hexadecimal text.
        erased: by the columns that name them, the hashes of the entities.
    """

    key: str
    erased: Mapping[tuple[str, ...], frozenset[str]]

    @classmethod
    def read(cls, root: str) -> Tombstones:
        """Those of the use case whose lake is at `root`."""
        found = files.read_json(_path(root))
        if not found:
            return cls("", {})
        return cls(
            found["key"],
            {tuple(each["columns"]): frozenset(each["hashes"]) for each in found["erased"]},
        )

    def with_another(self, entity: Mapping[str, str], columns: Mapping[str, Column]) -> Tombstones:
        """These and one for an entity, given by its columns' values as text."""
        keyed = Tombstones(self.key or secrets.token_hex(32), self.erased)
        names = tuple(sorted(entity))
        hashes = self.erased.get(names, frozenset()) | {keyed.hash_of(entity, columns)}
        return Tombstones(keyed.key, {**self.erased, names: hashes})

    def hash_of(self, entity: Mapping[str, str], columns: Mapping[str, Column]) -> str:
        """What stands for an entity."""
        return self._hash(tuple(sorted(entity)), entity, columns)

    def write(self, root: str) -> None:
        """Keep them beside the tables of the use case."""
        erased = [
            {"columns": list(columns), "hashes": sorted(hashes)}
            for columns, hashes in sorted(self.erased.items())
        ]
        files.write_json(_path(root), {"key": self.key, "erased": erased})

    def of(self, columns: Mapping[str, Column]) -> Tombstones:
        """Those that rows with these columns can be of."""
        there = {names: h for names, h in self.erased.items() if set(names) <= columns.keys()}
        return Tombstones(self.key, there)

    def has(self, row: Mapping[str, Any], columns: Mapping[str, Column]) -> bool:
        """Whether a row, given as text, is of an erased entity."""
        return any(
            self._hash(names, row, columns) in hashes for names, hashes in self.erased.items()
        )

    def _hash(
        self, names: Sequence[str], row: Mapping[str, Any], columns: Mapping[str, Column]
    ) -> str:
        values = [f"{name}={canonical(columns[name], row.get(name))}" for name in names]
        text = "\0".join(values).encode()
        return hmac.new(bytes.fromhex(self.key), text, hashlib.sha256).hexdigest()


def canonical(column: Column, text: str | None) -> str:
    """One way of writing a value: 042 and 42 are the same integer."""
    if text is None:
        return "\1"
    try:
        if column.type == "integer":
            return str(int(text))
        if column.type == "number":
            return repr(float(text))
        if column.type == "timestamp":
            return str(dt.datetime.fromisoformat(text).astimezone(dt.UTC))
    except ValueError:
        pass
    return text.lower() if column.type == "boolean" else text


def _path(root: str) -> str:
    return f"{root}/_erased.json"
