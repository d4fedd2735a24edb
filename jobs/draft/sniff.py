"""How a file is written: its format, and the columns it has."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from jobs.declared import DATE
from jobs.draft.profile import Profile, names_of, profiles
from jobs.draft.rows import Rows, landed_file, look
from jobs.errors import Refused, WrongUsage
from jobs.ingest.store import Folder
from jobs.ingest.text import Limits, Text, Unreadable
from jobs.lake.moments import moment
from jobs.usecase import BESIDE_KEY, Arrives, Column, Format, Source

ENDINGS = {
    **dict.fromkeys(("csv", "tsv", "txt", "data"), "csv"),
    **dict.fromkeys(("jsonl", "ndjson"), "jsonl"),
    **dict.fromkeys(("parquet", "pq"), "parquet"),
}
ENCODINGS = ("utf-8", "cp1252", "latin-1")
DELIMITERS = ",;\t|"
# So much of a file's beginning shows how it is written.
BEGINNING = 1 << 20
LINES = 100


@dataclass(frozen=True)
class Sheet:
    """A file that was looked at.

    Attributes:
        path: where it is.
        name: what its source is called.
        spec: a source with every column as text, and the texts that mean nothing.
        rows: some of its rows.
        columns: what each holds, by name.
    """

    path: Path
    name: str
    spec: Source
    rows: Rows
    columns: dict[str, Profile]

    @property
    def frame(self) -> pd.DataFrame:
        return self.rows.frame


def sheet(path: Path, name: str) -> Sheet:
    """Look at a file.

    Raises:
        WrongUsage: there is no such file, or it is of no known format.
        Refused: it cannot be taken in as it is; the sentence says why.
    """
    if not path.is_file():
        raise WrongUsage(f"There is no file {path}.", "Give --from the path of a file.")
    if not path.stat().st_size:
        raise Refused(f"{path} is empty (0 bytes).", "Give a file with rows.")
    kind = _kind(path)
    why = ""
    for encoding in ENCODINGS:
        found, why = _looked(path, name, kind, encoding)
        if found is not None:
            return found
        if f"is not {encoding}" not in why:
            break
    raise Refused(f"{path} {why}.", "Mend the file, or give another one.")


def _kind(path: Path) -> str:
    ending = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if ending not in ENDINGS:
        raise WrongUsage(
            f"The ending of {path} says no format that is known.",
            "CSV (.csv, .tsv, .txt), JSON lines (.jsonl, .ndjson), either gzipped, or .parquet.",
        )
    return ENDINGS[ending]


def _looked(path: Path, name: str, kind: str, encoding: str) -> tuple[Sheet | None, str]:
    """The file read in an encoding, or why it cannot be."""
    try:
        form, headers = _form(path, kind, encoding)
    except Unreadable as error:
        return None, str(error)
    if twice := next((each for each in headers if headers.count(each) > 1 and each), None):
        return None, f"has the column {twice!r} twice"
    names = names_of(headers, (DATE, *BESIDE_KEY))
    if not names:
        return None, "has no column with a name"
    columns = {name: Column(type="string", header=header) for name, header in names.items()}
    spec = Source(
        landing=path.name,
        format=form,
        arrives=Arrives.model_validate({"as": "snapshot"}),
        key=tuple(names)[:1],
        columns=columns,
        drift="keep_extra" if len(names) < len(headers) else "refuse",
    )
    at = path.stat()
    file = landed_file(path.name, name, at.st_size, moment(at.st_mtime_ns // 1000))
    rows = look(Folder(str(path.parent)), spec, [file])
    if rows.unreadable:
        return None, rows.unreadable[0][1]
    found = profiles(rows, names)
    if nothing := sorted({text for each in found.values() for text in each.nothing}):
        # A file has one list of them: they are missing in every column.
        form = form.model_copy(update={"null": (*form.nothing, *nothing)})
        spec = spec.model_copy(update={"format": form})
        there = {name: rows.frame[name].where(~rows.frame[name].isin(nothing)) for name in names}
        rows = replace(rows, frame=rows.frame.assign(**there))
        found = profiles(rows, names)
    return Sheet(path, name, spec, rows, found), ""


def _form(path: Path, kind: str, encoding: str) -> tuple[Format, list[str]]:
    """How the file is written, and its headers."""
    if kind == "parquet":
        try:
            return Format(type="parquet"), list(parquet.ParquetFile(path).schema_arrow.names)
        except (pa.ArrowException, OSError) as error:
            raise Unreadable(f"is no Parquet file ({error})") from error
    with path.open("rb") as raw:
        beginning = Text(raw, path.name, path.stat().st_size, encoding, Limits())
        text = _text(beginning)
        while beginning.read():
            pass
    end = "required" if beginning.ends_with_newline else "optional"
    if kind == "jsonl":
        form = Format(type="jsonl", encoding=encoding, final_newline=end)
        return form, _keys(text)
    delimiter = _delimiter(text)
    header = next((row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row), [])
    form = Format(type="csv", encoding=encoding, delimiter=delimiter, final_newline=end)
    return form, header


def _text(beginning: Text) -> str:
    """The first part of a text, up to the end of a line, without a mark of its byte order."""
    found = b""
    while len(found) < BEGINNING and (chunk := beginning.read()):
        found += chunk
    return found.decode(errors="ignore").removeprefix("\ufeff")


def _keys(text: str) -> list[str]:
    """The keys of the first records, in the order in which they come."""
    found: dict[str, None] = {}
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            found |= dict.fromkeys(record)
    return list(found)


def _delimiter(text: str) -> str:
    """The sign that parts the first lines into the most fields of the same number."""

    def fields(sign: str) -> int:
        rows = islice(csv.reader(io.StringIO(text), delimiter=sign), LINES)
        widths = Counter(len(row) for row in rows if row)
        # A line or two may be broken, and the last of them cut off.
        width, times = widths.most_common(1)[0] if widths else (1, 0)
        return width if 2 * times > widths.total() else 1

    return max(DELIMITERS, key=fields)
