"""What was erased must not come back with a backfill, and must not be written down either.

A tombstone is a keyed hash of the erased values, so that no file names them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import math
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.lake import files
from jobs.usecase import Column

# What may stand around a value in a file, and is borne with where it is looked for.
BLANKS = " \t"
# Numbers as large as a silver table holds, and the largest up to which a double counts by ones.
LARGEST, COUNTED = 2**63, 2**53
DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ].*)?", re.DOTALL)
BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), "true"),
    **dict.fromkeys(("false", "f", "no", "n", "0"), "false"),
}


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

    def with_another(
        self, entity: Mapping[str, str], typed: Iterable[Mapping[str, Column]]
    ) -> Tombstones:
        """These and those for an entity, given by its columns' values as text.

        Args:
            typed: the columns as each source declares them: where their types differ, so do the
                hashes.
        """
        keyed = Tombstones(self.key or secrets.token_hex(32), self.erased)
        names = tuple(sorted(entity))
        hashes = self.erased.get(names, frozenset()) | keyed.hashes_of(entity, typed)
        return Tombstones(keyed.key, {**self.erased, names: hashes})

    def hashes_of(
        self, entity: Mapping[str, str], typed: Iterable[Mapping[str, Column]]
    ) -> frozenset[str]:
        """What stands for an entity in sources that declare its columns so."""
        return frozenset(
            self._hash({name: said(columns[name], text) for name, text in entity.items()})
            for columns in typed
        )

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
            self._hash({name: canonical(columns[name], row.get(name)) for name in names}) in hashes
            for names, hashes in self.erased.items()
        )

    def _hash(self, values: Mapping[str, str]) -> str:
        text = "\0".join(f"{name}={value}" for name, value in sorted(values.items())).encode()
        return hmac.new(bytes.fromhex(self.key), text, hashlib.sha256).hexdigest()


def canonical(column: Column, text: str | None) -> str:
    """One way of writing a value that a file has: 042 and 42 are the same integer.

    What is no value of the column's type, or not in its format, stands for itself.
    """
    if text is None:
        return "\1"
    if not column.format:
        return said(column, text)
    found = column.read(text.strip(BLANKS))
    return text if found is None else str(found)


def said(column: Column, text: str) -> str:
    """The same of a value that a person gives, in whichever way files write it."""
    known = value_of(column.type, text)
    return text if known is None else known


def value_of(kind: str, text: str) -> str | None:
    """A value of one of the types of columns, in one way of writing; None if the text is none.

    It bears with what Spark bears with when it reads text: blanks around a value, 42.0 for 42, a
    time after a date, a moment without a zone, which is then in UTC.
    """
    if kind == "string":
        return text
    written = text.strip()
    # Python would read digits of other scripts, and 1_000.
    if not written.isascii() or "_" in written:
        return None
    try:
        return _READ[kind](written)
    except (ValueError, OverflowError):
        return None


def _integer(text: str) -> str | None:
    try:
        whole = int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer() or abs(number) >= COUNTED:
            return None
        whole = int(number)
    return str(whole) if -LARGEST <= whole < LARGEST else None


def _number(text: str) -> str | None:
    number = float(text)
    # Without the sign of zero.
    return repr(number + 0.0) if math.isfinite(number) else None


def _date(text: str) -> str | None:
    found = DAY.fullmatch(text)
    return str(dt.date(*map(int, found.groups()))) if found else None


def _timestamp(text: str) -> str:
    moment = dt.datetime.fromisoformat(text)
    return str((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC))


_READ: Mapping[str, Callable[[str], str | None]] = {
    "integer": _integer,
    "number": _number,
    "boolean": lambda text: BOOLEANS.get(text.lower()),
    "date": _date,
    "timestamp": _timestamp,
}


def _path(root: str) -> str:
    return f"{root}/_erased.json"
