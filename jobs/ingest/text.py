"""A landed file's bytes as checked UTF-8 text: unpacked, decoded, measured, and never a bomb."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from dataclasses import dataclass, field
from typing import BinaryIO

GZIP = b"\x1f\x8b"
KEPT = 1000  # characters of a malformed record that are worth keeping


class Unreadable(Exception):
    """Why a whole file is refused: the rest of a sentence that begins with its name."""


@dataclass(frozen=True)
class Limits:
    """How large things may be, in bytes.

    A gzip file is a bomb if it unpacks to more than `unpacked` and to more than `ratio` times
    its size. A record with a larger `value` is malformed. `record` is also the size of the
    blocks in which a file is read.
    """

    unpacked: int = 1 << 30
    ratio: int = 100
    value: int = 1 << 20
    record: int = 16 << 20


@dataclass
class Text(io.RawIOBase):
    """A file's bytes as UTF-8 text, checked on the way: packing, size, encoding, NUL, its end.

    Args:
        raw: the bytes as stored.
        size: how many there are.
    """

    raw: BinaryIO
    name: str
    size: int
    encoding: str
    limits: Limits
    lines: int = 0
    quotes: int = 0
    ends_with_newline: bool = False
    unpacked: int = 0
    _ended: bool = False
    _pending: bytes = b""
    _inner: BinaryIO = field(init=False)
    _decoder: codecs.IncrementalDecoder = field(init=False)

    def __post_init__(self) -> None:
        packed = self.raw.read(2) == GZIP
        self.raw.seek(0)
        if self.name.endswith(".gz") and not packed:
            raise Unreadable("is named .gz but is not gzip")
        self._inner = gzip.GzipFile(fileobj=self.raw) if packed else self.raw  # type: ignore[assignment]
        try:
            self._decoder = codecs.getincrementaldecoder(self.encoding)()
        except LookupError as error:
            raise Unreadable(f"is declared as {self.encoding!r}, which is no encoding") from error

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` more bytes of text as UTF-8; empty at the end only."""
        wanted = size if size > 0 else self.limits.record
        while not self._pending and not self._ended:
            found = self._unpack(wanted)
            self._ended = not found
            self._pending = self._decode(found)
        # Latin-1 grows in UTF-8, and Arrow must never be given more than it asked for.
        given, self._pending = self._pending[:wanted], self._pending[wanted:]
        return given

    def first_line(self) -> bytes:
        """The first line that is not blank, as UTF-8, without taking it."""
        found = b""
        while len(found) <= self.limits.record and b"\n" not in found.lstrip():
            chunk = self.read()
            found += chunk
            if not chunk:
                break
        self._pending = found + self._pending
        return found.lstrip().partition(b"\n")[0]

    def cut_off(self) -> str:
        """Why a file whose last line has no end is refused."""
        return f"was cut off after {self.size:,} bytes: its last line {self.lines + 1:,} has no end"

    def _unpack(self, size: int) -> bytes:
        try:
            found = self._inner.read(size)
        except EOFError as error:
            raise Unreadable(
                f"is a gzip file that was cut off after {self.size:,} bytes"
            ) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise Unreadable(f"is a damaged gzip file ({error})") from error
        self.unpacked += len(found)
        if self.unpacked > max(self.limits.unpacked, self.limits.ratio * self.size):
            raise Unreadable(
                f"unpacks from {self.size:,} bytes to more than {self.unpacked:,}: a gzip bomb"
            )
        return found

    def _decode(self, found: bytes) -> bytes:
        try:
            text = self._decoder.decode(found, final=self._ended)
        except UnicodeDecodeError as error:
            line = self.lines + 1 + error.object[: error.start].count(b"\n")
            raise Unreadable(
                f"is not {self.encoding}: byte 0x{error.object[error.start]:02x} in line {line:,}"
            ) from error
        if "\0" in text:
            raise Unreadable(
                f"holds a NUL character in or after line {self.lines + 1:,}: it is not "
                f"{self.encoding} text"
            )
        if not text:
            return b""
        self.lines += text.count("\n")
        self.quotes += text.count('"')
        self.ends_with_newline = text[-1] in "\r\n"
        return text.encode()


def shortened(text: str) -> str:
    """The beginning of a text that may be long."""
    return text if len(text) <= KEPT else f"{text[:KEPT]}… ({len(text):,} characters)"
