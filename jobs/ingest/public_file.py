"""One file that anybody may fetch, landed as it is known here or not at all."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from jobs.errors import Refused, Unavailable
from jobs.ingest.store import Store

SECONDS = 60.0


@dataclass(frozen=True)
class PublicFile:
    """Where a file is, what it must be, and as what it lands.

    Attributes:
        address: where it is fetched from.
        name: its name below the landing root.
        sha256: of what lands, as lower-case hexadecimal digits.
        arrived: when it could first be had, which is its arrival.
        made_of: what lands, of what was fetched.
    """

    address: str
    name: str
    sha256: str
    arrived: dt.datetime
    made_of: Callable[[bytes], bytes] = bytes

    def land(self, there: Store, copy: Path | None, say: Callable[[str], None]) -> None:
        """Put it into the landing root, unless it is there already.

        Args:
            copy: a copy of it, of which it is made then; nothing is fetched.
            say: is told what was done, in one sentence.

        Raises:
            Refused: it is another file than the one that is meant, or there is no such copy.
            Unavailable: its address does not give it.
        """
        content = self.made_of(_fetched(self.address) if copy is None else _read(copy))
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise Refused(
                f"What {copy or self.address} holds is not the file that is meant: its SHA-256 is "
                f"{found}, and should be {self.sha256}.",
                f"Give a copy of {self.address} as it was with --file.",
            )
        is_new = there.deliver(self.name, io.BytesIO(content), self.arrived)
        done = "landed" if is_new else "was there already"
        say(f"{self.name}, {len(content):,} bytes from {copy or self.address}, {done}.")


def _fetched(address: str) -> bytes:
    try:
        answer = httpx.get(address, timeout=SECONDS, follow_redirects=True).raise_for_status()
    except httpx.HTTPError as error:
        raise Unavailable(
            f"{address} cannot be fetched: {error}.",
            "Try again, or fetch it elsewhere and give the file with --file.",
        ) from error
    return answer.content


def _read(copy: Path) -> bytes:
    try:
        return copy.read_bytes()
    except OSError as error:
        raise Refused(
            f"{copy} cannot be read: {error.strerror}.", "Give another file with --file."
        ) from error
