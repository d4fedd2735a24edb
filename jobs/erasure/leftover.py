"""Files among a source's landing files that ingest does not take, and may hold an entity."""

from __future__ import annotations

import datetime as dt
from pathlib import PurePosixPath

from jobs.erasure.entity import Entity
from jobs.erasure.rewriting import without
from jobs.errors import Refused
from jobs.ingest.landing import DAY, UNFINISHED, LandedFile, landing_store
from jobs.ingest.store import Found, Store
from jobs.ingest.text import Unreadable
from jobs.plan import Plan

# Of Hadoop, beside each file that it wrote.
CHECKSUMS = ".crc"


def content_of(store: Store, file: LandedFile | Found) -> bytes:
    """A file's bytes as they are stored.

    Raises:
        Unreadable: it must not be opened, or cannot be; the rest of a sentence that begins with
            its name.
        FileNotFoundError: it has gone.
        Unavailable: the store cannot be reached.
    """
    if file.problem:
        raise Unreadable(file.problem)
    try:
        with store.open(file.name) as stream:
            return stream.read()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unreadable(f"cannot be opened ({error.strerror or error})") from error
    except Refused as error:
        raise Unreadable(f"cannot be opened: {error.sentence}") from error


def left_out(plan: Plan, source: str, entity: Entity) -> dict[str, str]:
    """The hidden and unfinished files that may name an entity, each with why.

    They are searched in the folders of the source's files, and are not changed: somebody may be
    writing them.
    """
    store, spec = landing_store(plan), plan.usecase.sources[source]
    pattern = PurePosixPath(spec.landing.replace(DAY, "*"))
    found = {}
    for file in store.find([str(pattern), str(pattern.with_name("*"))]):
        if not _is_left_out(file.name):
            continue
        try:
            if without(content_of(store, file), spec, dt.date.today(), entity)[1]:
                found[file.name] = "names it, and is hidden or unfinished"
        except FileNotFoundError:
            continue
        except Unreadable as error:
            found[file.name] = f"{error}, and is hidden or unfinished"
    return found


def _is_left_out(name: str) -> bool:
    hidden = any(part.startswith((".", "_")) for part in PurePosixPath(name).parts)
    return (hidden or name.endswith(UNFINISHED)) and not name.endswith(CHECKSUMS)
