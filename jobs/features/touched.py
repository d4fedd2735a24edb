"""Which prediction dates' features are not what they would be if they were built now.

A date's features depend on the declaration, on its cutoff, and on the contents of files that had
arrived before it. A late file touches only the dates whose cutoff is after its arrival.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.lake.files import digest
from jobs.lake.made import SINCE, UNSOUND, WHOLE, Inputs, Made
from jobs.lake.moments import MICROSECOND, micros, moment
from jobs.lake.tables import Tables
from jobs.plan import Dates

CODE = digest(Path(__file__).parent, "*.py")


@dataclass(frozen=True)
class Known:
    """What silver is made of, and so what each prediction date may see.

    Attributes:
        tables: the use case's.
        silver: by source and part, its inputs.
    """

    tables: Tables
    silver: Mapping[str, Mapping[str, Inputs]]

    @classmethod
    def of(cls, tables: Tables) -> Known:
        """Read the records of all silver tables."""
        sources = tables.plan.usecase.sources
        return cls(tables, {name: Made(tables.silver(name)).inputs() for name in sources})

    def has_entities(self, date: dt.date) -> bool:
        """Whether the source that lists the entities had anything for a date by its cutoff."""
        source, cutoff = self.tables.plan.usecase.entity.source, self.cutoff(date)
        return bool(self._visible(source, self._part(source, date), cutoff))

    def cutoff(self, date: dt.date) -> dt.datetime:
        """The moment before which a fact must have arrived to be used for a prediction date.

        It is the declared one, unless a file that the night needs came later, or was sound only
        when it came again, but still on that day: then it is the moment after the last such file
        came.
        """
        plan = self.tables.plan
        declared = plan.cutoff(date)
        until = plan.moment(date + dt.timedelta(days=1), dt.time.min)
        came = [self._needed(source, date) for source in plan.usecase.sources]
        waited_for = [at + MICROSECOND for at in came if at is not None and declared <= at < until]
        return max([declared, *waited_for])

    def cutoffs(self, dates: Iterable[dt.date]) -> dict[dt.date, dt.datetime]:
        """The cutoffs of those of some dates whose night waited."""
        plan = self.tables.plan
        found = {date: self.cutoff(date) for date in dates}
        return {date: at for date, at in found.items() if at != plan.cutoff(date)}

    def inputs(self, dates: Iterable[dt.date]) -> dict[str, Inputs]:
        """What the features of each date are made of if they are built now."""
        declared = self._declared()
        return {str(date): {"digest": self._digest(declared, date)} for date in dates}

    def came_too_late(self, source: str, date: dt.date) -> bool:
        """Whether what a night needs of a source came only when its day was over.

        Never of a source whose rows say themselves when they could be known.
        """
        if self.tables.plan.usecase.sources[source].known is not None:
            return False
        came = self._needed(source, date)
        return came is not None and came >= self.cutoff(date)

    def _needed(self, source: str, date: dt.date) -> dt.datetime | None:
        """When what the night of a date needs of a source was there and sound.

        That is when its first file came, or when the last of those came again that were unsound.
        """
        made = self._part(source, date)
        sound: dict[str, int] = {}
        for name, arrived in sorted(_sound(made), key=lambda file: int(file[1])):
            sound.setdefault(name, arrived)
        mended = [sound[name] for name, _ in made.get(UNSOUND, []) if name in sound]
        return moment(max([min(sound.values()), *mended])) if sound else None

    def _part(self, source: str, date: dt.date) -> Inputs:
        spec = self.tables.plan.usecase.sources[source]
        part = str(spec.day_for(date)) if spec.is_daily else WHOLE
        return self.silver[source].get(part, {})

    def _declared(self) -> str:
        plan = self.tables.plan
        usecase = plan.usecase
        written = [
            # What a model makes of the features touches none of their rows.
            usecase.features.model_dump_json(exclude={"transforms", "max_categories"}),
            usecase.entity.model_dump_json(),
            usecase.timezone,
            CODE,
        ]
        code = b""
        if (name := usecase.features.module) is not None:
            module = plan.settings.usecases / plan.name / f"{name}.py"
            code = module.read_bytes() if module.is_file() else b""
        return hashlib.sha256("\n".join(written).encode() + code).hexdigest()

    def _digest(self, declared: str, date: dt.date) -> str:
        usecase, at = self.tables.plan.usecase, self.cutoff(date)
        whole = hashlib.sha256(f"{declared} {at}".encode())
        span = Dates(date, date).shifted(first=-usecase.features.history)
        for name, source in usecase.sources.items():
            parts = map(str, span) if source.is_daily else (WHOLE,)
            for part in parts:
                if (made := self.silver[name].get(part)) is None:
                    continue
                if visible := self._visible(name, made, at):
                    whole.update(f"{name} {part} {made['declared']} {visible}".encode())
        return whole.hexdigest()

    def _visible(self, source: str, made: Inputs, cutoff: dt.datetime) -> list[list[Any]]:
        """What of a part may be seen at a cutoff, so that a date is touched if this changes."""
        if self.tables.plan.usecase.sources[source].known is not None:
            # The last day's digest is of all before it, too.
            return [each for each in made.get(SINCE, []) if each[0] <= str(cutoff.date())][-1:]
        before = micros(cutoff)
        return [file for file in _sound(made) if file[1] < before]


def touched(known: Known, dates: Iterable[dt.date], *, built: bool = False) -> dict[str, Inputs]:
    """The dates that have entities and were not built of what is known now, with their inputs.

    Args:
        built: leave out dates that were never built.
    """
    made = Made(known.tables.features())
    there = made.inputs() if built else {}
    listed = [
        date for date in dates if known.has_entities(date) and (not built or str(date) in there)
    ]
    return made.stale(known.inputs(listed))


def _sound(made: Inputs) -> list[list[Any]]:
    """Name and arrival of each sound content that a part of silver was made of."""
    return [file for file in made.get("files", []) if file not in made.get(UNSOUND, [])]
