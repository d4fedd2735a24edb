"""The landing root: a folder or `s3://bucket/prefix`, through one interface.

Names are paths below the root, with `/`; they are what bronze keeps as `_file`, so that a lake
says the same wherever its landing root is.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, Protocol, cast

from jobs.errors import Refused, Unavailable
from jobs.lake.moments import micros, moment

ARRIVED = "arrived-at"
IN_MEMORY = 32 << 20
PIECE = 1 << 20
ACCESS = "Check that the bucket exists, and that the credentials are valid and may read it."
# What stores say of a fault that passes, also with a status below 500.
PASSING = {
    # To a question about an object that has gone since it was listed.
    "404",
    "BandwidthLimitExceeded",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "TooManyRequestsException",
}


@dataclass(frozen=True)
class Found:
    """A stored file: its name below the root, size in bytes, and when it was last written.

    Whoever writes a file may say `modified` of it; `written` is by the clock of the store itself.
    `pattern` is the one it matched; `problem` says why the file must not be opened, if so.
    """

    name: str
    pattern: str
    size: int
    modified: dt.datetime
    written: dt.datetime
    problem: str = ""


class Store(Protocol):
    """What both kinds of landing root can do."""

    def find(self, patterns: list[str]) -> list[Found]:
        """The files that match any of some glob patterns, sorted by name."""
        ...

    def arrivals(self, found: list[Found]) -> list[dt.datetime]:
        """When each of some files arrived (aware, UTC)."""
        ...

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """A file's bytes as they are stored.

        Raises:
            OSError: this file cannot be opened; `FileNotFoundError` if it has gone.
            Refused, Unavailable: the store gives nobody anything, for good or for now.
        """
        ...

    def table(self, name: str) -> tuple[str, dict[str, str]]:
        """The address of a Delta table for delta-rs, and the options that it needs to read it."""
        ...

    def deliver(self, name: str, content: BinaryIO, at: dt.datetime) -> bool:
        """Put a file there whole or not at all, as if it had arrived at `at`.

        The content is read in pieces, from its beginning and more than once. False if the very
        same file was there already.
        """
        ...


def store(root: str, endpoint: str | None) -> Store:
    """The landing root at `root`; `endpoint` is that of an S3 store that is not AWS's own."""
    if root.startswith("s3://"):
        bucket, _, prefix = root.removeprefix("s3://").partition("/")
        return Bucket(bucket, prefix.strip("/"), endpoint)
    return Folder(root)


@dataclass(frozen=True)
class Folder:
    """Landing files in a folder; a file's modification time is its arrival."""

    root: str

    def find(self, patterns: list[str]) -> list[Found]:
        root = Path(self.root)
        inside = root.resolve()
        files = {path: pattern for pattern in patterns for path in root.glob(pattern)}
        found = (_found(path, files[path], root, inside) for path in sorted(files))
        return [each for each in found if each is not None]

    def arrivals(self, found: list[Found]) -> list[dt.datetime]:
        return [each.modified for each in found]

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        with (Path(self.root) / name).open("rb") as stream:
            yield stream

    def table(self, name: str) -> tuple[str, dict[str, str]]:
        return str(Path(self.root) / name), {}

    def deliver(self, name: str, content: BinaryIO, at: dt.datetime) -> bool:
        path = Path(self.root) / name
        written = micros(at)
        if path.is_file() and _micros(path) == written:
            with path.open("rb") as there:
                if _md5(there) == _md5(content):
                    return False
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        content.seek(0)
        with unfinished.open("wb") as to:
            shutil.copyfileobj(content, to)
        # In whole nanoseconds: as seconds, a moment of today would lose its microseconds.
        os.utime(unfinished, ns=(written * 1000, written * 1000))
        unfinished.replace(path)
        return True


def _md5(content: BinaryIO) -> str:
    content.seek(0)
    md5 = hashlib.md5(usedforsecurity=False)
    while piece := content.read(PIECE):
        md5.update(piece)
    return md5.hexdigest()


def _micros(path: Path) -> int:
    return path.stat().st_mtime_ns // 1000


def _found(path: Path, pattern: str, root: Path, inside: Path) -> Found | None:
    try:
        if not path.is_file():
            return None
        stat = path.stat()
    except FileNotFoundError:
        return None
    outside = not path.resolve().is_relative_to(inside)
    return Found(
        path.relative_to(root).as_posix(),
        pattern,
        stat.st_size,
        # Spark keeps microseconds: without cutting here, a file would never equal its entry.
        moment(stat.st_mtime_ns // 1000),
        moment(stat.st_ctime_ns // 1000),
        "is a link to a place outside the landing folder" if outside else "",
    )


@dataclass(frozen=True)
class Bucket:
    """Landing files in an S3 bucket; metadata `arrived-at` is the arrival, else the last write."""

    bucket: str
    prefix: str
    endpoint: str | None

    def find(self, patterns: list[str]) -> list[Found]:
        fixed = {pattern: re.split(r"[*?]", pattern, maxsplit=1)[0] for pattern in patterns}
        regexes = {pattern: re.compile(_regex(pattern)) for pattern in patterns}

        def match(name: str) -> str | None:
            near = (each for each in patterns if name.startswith(fixed[each]))
            return next((each for each in near if regexes[each].fullmatch(name)), None)

        found = []
        with _reachable(self):
            pages = self._client().get_paginator("list_objects_v2")
            for page in pages.paginate(
                Bucket=self.bucket, Prefix=self._key(_common(list(fixed.values())))
            ):
                for each in page.get("Contents", []):
                    name = each["Key"].removeprefix(self._key(""))
                    if pattern := match(name):
                        at = each["LastModified"].astimezone(dt.UTC)
                        found.append(Found(name, pattern, each["Size"], at, at, _leaves(name)))
        return sorted(found, key=lambda each: each.name)

    def arrivals(self, found: list[Found]) -> list[dt.datetime]:
        client = self._client()

        def arrival(each: Found) -> dt.datetime:
            head = client.head_object(Bucket=self.bucket, Key=self._key(each.name))
            written = head["Metadata"].get(ARRIVED)
            if written is None:
                return each.modified
            return _moment(written, each.name)

        with _reachable(self), ThreadPoolExecutor(16) as pool:
            return list(pool.map(arrival, found))

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        with SpooledTemporaryFile(IN_MEMORY) as copy:
            with _reachable(self, self._key(name)):
                self._fetch(name, cast(BinaryIO, copy))
            copy.seek(0)
            yield cast(BinaryIO, copy)

    def _fetch(self, name: str, copy: BinaryIO) -> None:
        client = self._client()
        try:
            answer = client.get_object(
                Bucket=self.bucket, Key=self._key(name), ChecksumMode="ENABLED"
            )
        except client.exceptions.NoSuchKey as error:
            raise FileNotFoundError(name) from error
        except client.exceptions.InvalidObjectState as error:
            raise OSError(f"{name} is archived") from error
        md5 = hashlib.md5(usedforsecurity=False)
        for chunk in answer["Body"].iter_chunks(PIECE):
            md5.update(chunk)
            copy.write(chunk)
        etag = answer["ETag"].strip('"')
        if _is_md5(answer, etag) and md5.hexdigest() != etag:
            raise Unavailable(
                f"s3://{self.bucket}/{self._key(name)} came with other bytes than it is stored "
                f"with: MD5 {md5.hexdigest()} instead of {etag}.",
                "Try again; if it stays, the store is damaged: deliver the file again.",
            )

    def table(self, name: str) -> tuple[str, dict[str, str]]:
        address = f"s3://{self.bucket}/{self._key(name)}"
        if self.endpoint is None:
            return address, {}
        # Stores that are not AWS's own are often reached without TLS, inside a private network.
        return address, {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ALLOW_HTTP": "true"}

    def deliver(self, name: str, content: BinaryIO, at: dt.datetime) -> bool:
        client, key = self._client(), self._key(name)
        md5 = _md5(content)
        arrived = at.astimezone(dt.UTC).isoformat()
        with _reachable(self):
            try:
                head = client.head_object(Bucket=self.bucket, Key=key)
                if head["ETag"].strip('"') == md5 and head["Metadata"].get(ARRIVED) == arrived:
                    return False
            except client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] not in ("404", "NoSuchKey"):
                    raise
            content.seek(0)
            client.put_object(
                Bucket=self.bucket, Key=key, Body=content, Metadata={ARRIVED: arrived}
            )
        return True

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        retries = Config(retries={"max_attempts": 3, "mode": "standard"}, connect_timeout=5)
        return boto3.client("s3", endpoint_url=self.endpoint, config=retries)


@contextmanager
def _reachable(bucket: Bucket, key: str = "") -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    where = f"s3://{bucket.bucket}/{key}".rstrip("/")
    where += f" at {bucket.endpoint}" if bucket.endpoint else ""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        if _passes(error):
            raise Unavailable(
                f"{where} cannot be read: {error}.",
                "Check the address and the network; the next attempt may succeed.",
            ) from error
        raise Refused(f"The landing store refused {where}: {error}.", ACCESS) from error


def _passes(error: Exception) -> bool:
    """Whether the next attempt may succeed: the store was not reached, is busy, or has a fault."""
    from botocore.exceptions import ClientError, NoCredentialsError, PartialCredentialsError

    if not isinstance(error, ClientError):
        return not isinstance(error, (NoCredentialsError, PartialCredentialsError))
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status >= 500 or status == 429 or error.response["Error"]["Code"] in PASSING


def _common(starts: list[str]) -> str:
    """The longest text that all begin with: one listing then covers a range of dates."""
    first, last = min(starts), max(starts)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(pair[0] for pair in same)


def _is_md5(answer: dict[str, Any], etag: str) -> bool:
    # Multipart uploads and KMS encryption give an ETag that is not the content's MD5.
    plain = "aws:kms" not in answer.get("ServerSideEncryption", "")
    return plain and re.fullmatch(r"[0-9a-f]{32}", etag) is not None


def _moment(written: str, name: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(written)
    except ValueError:
        found = dt.datetime.min
    if found.tzinfo is None:
        raise Refused(
            f"{name} says that it arrived at {written!r}, which is not an ISO 8601 time with a "
            "zone.",
            f"Mend the metadata {ARRIVED!r} of the object, or take it away.",
        )
    return found.astimezone(dt.UTC)


def _leaves(name: str) -> str:
    climbs = any(part in ("", ".", "..") for part in name.split("/"))
    return "has a name that leads out of its folder" if climbs else ""


def _regex(pattern: str) -> str:
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    tokens = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return "".join(parts.get(token, re.escape(token)) for token in tokens)
