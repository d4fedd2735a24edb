"""Some rows of files, as the text that bronze would hold of them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from jobs.ingest.deltatable import Landed
from jobs.ingest.landing import LandedFile
from jobs.ingest.records import batches
from jobs.ingest.store import Store
from jobs.ingest.text import Limits, Unreadable
from jobs.usecase import Source

MOST_ROWS = 200_000
MOST_FILES = 40
SEED = 20130101
# Where a row came from, beside its columns.
FILE, ROW = "_file", "_row"


@dataclass(frozen=True)
class Rows:
    """A sample of the records of some files.

    Attributes:
        frame: a column of text for each declared one, and `_file` and `_row`: the record's number
            in its file, from 1.
        total: how many records were read; more than the frame's if it is a sample.
        malformed: of records that could not be split, the file, the number and why.
        unreadable: of each file that is refused as a whole, its name and why.
    """

    frame: pd.DataFrame
    total: int
    malformed: tuple[tuple[str, int, str], ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()

    @property
    def is_sample(self) -> bool:
        return len(self.frame) + len(self.malformed) < self.total

    @property
    def said(self) -> str:
        """How many rows were looked at."""
        if self.is_sample:
            return f"{len(self.frame):,} of {self.total:,} rows, chosen by chance"
        return f"{self.total:,} rows"


def look(store: Store, spec: Source, files: Sequence[LandedFile], most: int = MOST_ROWS) -> Rows:
    """Read files to their end, and keep no more than `most` of their rows, chosen by a seed."""
    names = list(spec.columns)
    sample = _Sample(names, most)
    unreadable = []
    for file in spread(files):
        try:
            if file.problem:
                raise Unreadable(file.problem)
            for batch in _records(store, spec, file):
                sample.add(batch, file.name)
        except Unreadable as error:
            unreadable.append((file.name, str(error)))
            sample.forget(file.name)
    return Rows(sample.frame(), sample.total, tuple(sample.malformed), tuple(unreadable))


def spread(files: Sequence[LandedFile]) -> list[LandedFile]:
    """The files, or if they are many, some from the first to the last."""
    if len(files) <= MOST_FILES:
        return list(files)
    return [files[place] for place in np.linspace(0, len(files) - 1, MOST_FILES).astype(int)]


def _records(store: Store, spec: Source, file: LandedFile) -> Iterator[pa.RecordBatch]:
    if spec.format.type == "delta":
        yield from Landed.open(*store.table(file.name)).batches(spec, file.batch_date, Limits())
        return
    try:
        with store.open(file.name) as raw:
            yield from batches(raw, file.name, file.size, spec, file.batch_date, Limits())
    except OSError as error:
        raise Unreadable(f"cannot be opened ({error.strerror or error})") from error


class _Sample:
    """The rows with the smallest of random numbers, so that it is the same each time."""

    def __init__(self, names: list[str], most: int) -> None:
        self.malformed: list[tuple[str, int, str]] = []
        self._names = names
        self._most = most
        self._chance = np.random.default_rng(SEED)
        self._held: list[pd.DataFrame] = []
        self._read: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """How many records were read, but for those of files that are refused."""
        return self._read.total()

    def add(self, batch: pa.RecordBatch, file: str) -> None:
        frame = batch.to_pandas()
        self._read[file] += len(frame)
        broken = frame[frame["_malformed"].notna()]
        self.malformed += [
            (file, int(row), text)
            for row, text in zip(broken[ROW], broken["_malformed"], strict=True)
        ]
        sound = frame.loc[frame["_malformed"].isna(), [*self._names, ROW]]
        chances = self._chance.random(len(sound))
        self._held.append(sound.assign(**{FILE: file, "_chance": chances}))
        if sum(map(len, self._held)) > 2 * self._most:
            self._held = [self._cut()]

    def forget(self, file: str) -> None:
        """Take the rows of a file that is refused out again."""
        self._held = [each[each[FILE] != file] for each in self._held]
        self.malformed = [each for each in self.malformed if each[0] != file]
        del self._read[file]

    def frame(self) -> pd.DataFrame:
        if not self._held:
            return pd.DataFrame(columns=[*self._names, FILE, ROW], dtype=object)
        kept = self._cut().sort_values([FILE, ROW], kind="stable")
        return kept.drop(columns="_chance").reset_index(drop=True)

    def _cut(self) -> pd.DataFrame:
        return pd.concat(self._held).nsmallest(self._most, "_chance")


def landed_file(name: str, source: str, size: int, at: dt.datetime) -> LandedFile:
    """A file that is not in the landing folder yet, as if it were."""
    return LandedFile(name, source, at.date(), size, at, at)
