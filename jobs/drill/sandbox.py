"""A copy of a use case's lake as it was before a night, and of the files that the night took in."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.context import Context
from jobs.errors import Refused
from jobs.ingest.landing import LandedFile, landed, landing_store
from jobs.ingest.store import Folder
from jobs.lake.made import Made
from jobs.lake.table import Table
from jobs.prediction.turn import lake_turn
from jobs.quality.usual import Profiles

# Not part of what tables hold, and not wanted twice: half of all files are Hadoop's checksums.
ASIDE = ("_staging", "_gates", ".*.crc")
DRILLS = "_drill"
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Sandbox:
    """A use case with a lake and a landing folder of its own, as before the first of some nights.

    Attributes:
        context: what steps are given; its dates are the nights.
        files: the landed files that the nights need, by source.
    """

    context: Context
    files: dict[str, list[LandedFile]]

    @property
    def landing(self) -> Folder:
        return Folder(self.context.plan.settings.landing)

    @contextmanager
    def copy(self) -> Iterator[Sandbox]:
        """Another one with the same content, for one fault."""
        settings = self.context.plan.settings
        folder = Path(settings.lake).with_name(f"fault-{uuid.uuid4().hex[:8]}")
        lake, landing = folder / "lake", folder / "landing"
        try:
            shutil.copytree(settings.lake, lake, copy_function=_copied)
            shutil.copytree(settings.landing, landing)
            placed = settings.model_copy(update={"lake": str(lake), "landing": str(landing)})
            plan = replace(self.context.plan, settings=placed)
            yield replace(self, context=replace(self.context, plan=plan))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def sandbox(context: Context) -> Iterator[Sandbox]:
    """A sandbox in which the nights of the context's dates have not happened yet.

    Raises:
        Refused: the use case's lake has no features of the night before them.
    """
    plan = context.plan
    before = str(context.dates.first - dt.timedelta(days=1))
    if before not in Made(context.tables.features()).inputs():
        raise Refused(
            f"A drill of {plan.name} for {context.dates} needs the night before it, and there are "
            f"no features for {before}.",
            "Choose a date with nights before it: see `daybreak publications`.",
        )
    folder = Path(plan.settings.lake) / DRILLS / uuid.uuid4().hex[:8]
    _sweep(folder.parent)
    placed = plan.settings.model_copy(
        update={"lake": str(folder / "lake"), "landing": str(folder / "landing")}
    )
    try:
        source = Path(plan.settings.lake) / plan.name
        target = Path(placed.lake) / plan.name
        aside = shutil.ignore_patterns(*ASIDE)
        with lake_turn(plan.settings, plan.name, f"copy {plan.name} for a drill"):
            shutil.copytree(source, target, copy_function=_copied, ignore=aside)
        inside = replace(context, plan=replace(plan, settings=placed))
        _undo(inside)
        yield Sandbox(inside, _deliver(context, Folder(placed.landing)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what drills that were killed have left a day ago or longer."""
    for left in folder.glob("*"):
        if time.time() - left.stat().st_mtime > DAY_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _deliver(context: Context, landing: Folder) -> dict[str, list[LandedFile]]:
    """Copy the files of the nights, with their arrivals."""
    plan, found = context.plan, {}
    there = landing_store(plan)
    for source, spec in plan.usecase.sources.items():
        days = None
        if spec.is_daily:
            # And the day before, for a file that is stale.
            days = plan.batch_dates(source, context.dates, late=False).shifted(first=-1)
        found[source] = landed(plan, source, days)
        for file in found[source]:
            if spec.format.type == "delta":
                shutil.copytree(there.table(file.name)[0], Path(landing.root) / file.name)
                continue
            with there.open(file.name) as stream:
                landing.deliver(file.name, stream, file.arrived_at)
    return found


def _undo(context: Context) -> None:
    """Take the nights of the context's dates, and what came after them, out of the tables."""
    tables, first = context.tables, context.dates.first
    spark = context.engine.session()
    for source, spec in context.plan.usecase.sources.items():
        if not spec.is_daily:
            continue
        day = spec.day_for(first)
        for table in (tables.bronze(source), tables.silver(source), tables.quarantine(source)):
            _cut(context, table, f"_batch_date >= '{day}'", day)
        Profiles(tables.silver(source), spec).forget(day)
        ledger = tables.ledger()
        rows = ledger.read(spark).limit(0)
        ledger.replace(rows, f"source = '{source}' and _batch_date >= '{day}'")
    for table in (tables.features(), tables.labels(), tables.predictions()):
        _cut(context, table, f"prediction_date >= '{first}'", first)


def _cut(context: Context, table: Table, where: str, day: dt.date) -> None:
    if table.exists():
        table.replace(table.read(context.engine.session()).limit(0), where)
        Made(table).forget(day)


def _copied(source: str, target: str) -> None:
    """Rows are linked, because nothing writes into a file of them; what says which are, is copied:
    a few of those files are written over in their place."""
    if source.endswith(".parquet") and "/_delta_log/" not in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)
