"""The jars that Spark needs beside its own, fetched once and checked against pinned digests."""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from jobs.engine import JARS
from jobs.errors import Refused, Unavailable

MAVEN_CENTRAL = "https://repo1.maven.org/maven2"
_SHA256 = dict(
    zip(
        JARS,
        (
            "27d4fd8b1f879535c573ed1c718177d6a27f24d3e626ba02e216369725721ead",
            "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc",
            "e0cc30fb0531eb0b59468dc0abf5b257533d2365b5e9f45e795edd707aa78c62",
        ),
        strict=True,
    )
)
_SECONDS_WITHOUT_A_BYTE = 30
_CHUNK = 1 << 20


def fetch_jars(
    folder: Path, say: Callable[[str], None] = lambda line: None, maven: str = MAVEN_CENTRAL
) -> None:
    """Put the jars into `folder`; a jar that is there with the right digest is kept.

    Raises:
        Refused: what came has another digest than the pinned one; nothing is kept of it.
        Unavailable: the repository cannot be reached.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for jar in missing_jars(folder):
        say(f"Fetching {jar} from {maven}")
        _fetch(f"{maven.rstrip('/')}/{maven_path(jar)}", folder / jar, _SHA256[jar])


def missing_jars(folder: Path) -> list[str]:
    """The jars that are not in `folder`, or not with the pinned digest."""
    return [
        jar
        for jar, sha256 in _SHA256.items()
        if not (folder / jar).is_file() or _sha256(folder / jar) != sha256
    ]


def maven_path(jar: str) -> str:
    """Where a repository keeps it, by Maven's layout."""
    artifact, version = jar.removesuffix(".jar").rsplit("-", 1)
    group = "io/delta" if artifact.startswith("delta-") else "com/globalmentor"
    return f"{group}/{artifact}/{version}/{jar}"


def _fetch(url: str, target: Path, sha256: str) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        _download(url, part)
        found = _sha256(part)
        if found != sha256:
            raise Refused(
                f"{target.name} from {url} has SHA-256 {found[:12]}…, not the pinned one.",
                "Nothing was kept. Check the Maven mirror or the proxy between, then try again.",
            )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _download(url: str, part: Path) -> None:
    try:
        # Whoever names another mirror may name a folder (`file://`) too: the digest decides.
        with (
            urllib.request.urlopen(url, timeout=_SECONDS_WITHOUT_A_BYTE) as answer,  # noqa: S310
            part.open("wb") as file,
        ):
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise Unavailable(
            f"{url} cannot be fetched: {error}.",
            f"Check the network, or copy the jar into {part.parent} by hand.",
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    fetch_jars(Path(sys.argv[1]), print)
