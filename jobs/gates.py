"""The gates between the layers: validate what is staged, keep the result, commit what passed."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.context import Context
from jobs.errors import Refused, WrongUsage
from jobs.lake import files
from jobs.lake.made import WHOLE, Made
from jobs.lake.parallel import side_by_side
from jobs.lake.refused import Refusals
from jobs.lake.staging import Staged
from jobs.lake.table import Table
from jobs.quality import gate, suite
from jobs.quality.gate import Failure
from jobs.quality.kept import keep, page_of
from jobs.quality.suite import Suite
from jobs.quality.usual import Profile, Profiles, profiles, unusual
from jobs.usecase import Source

LAYERS = ("silver", "features", "predictions")


def let_through(context: Context, layer: str) -> dict[str, int]:
    """Validate every staged table of a layer and, if all pass, commit them all.

    Gives the rows of each table that was committed now; a table committed before is left alone.

    Raises:
        Refused: a table failed; nothing of the layer was committed, and its rows stay staged.
        GateBroken: the check itself could not be made.
    """
    spark = context.engine.session()
    waiting = [staged for staged in _staged(context, layer) if not staged.is_committed()]
    if layer == "silver":
        _require_tonight(context, waiting)
    days = _profiles(context, waiting) if layer == "silver" and len(context.dates) == 1 else {}
    rows = {
        staged.table.name: _validate(context, layer, staged, days.get(staged.table.name, {}))
        for staged in waiting
    }

    def commit(staged: Staged) -> None:
        if layer == "silver":
            _commit_silver(context, staged, days.get(staged.table.name, {}))
        else:
            staged.commit(spark)

    side_by_side(waiting, commit)
    return rows


def _commit_silver(context: Context, staged: Staged, days: Mapping[str, Profile]) -> None:
    spark, parts = context.engine.session(), staged.parts()
    # Quarantine first: rows missing from silver are then always accounted for.
    quarantine = context.tables.quarantine(staged.table.name.removeprefix("silver."))
    context.tables.staged(quarantine, staged.batch).commit(spark)
    profiled = Profiles(staged.table, _source(context, staged))
    profiled.drop(parts)
    staged.commit(spark)
    # But for days of which another run has committed something newer.
    made = Made(staged.table).inputs()
    profiled.keep({day: each for day, each in days.items() if made.get(day) == parts[day]})
    Refusals(context.tables.root, staged.table.name).clear(staged.parts())


def _require_tonight(context: Context, waiting: list[Staged]) -> None:
    """A single night needs a day of each source, staged now or let through before.

    Raises:
        Refused: one is neither.
    """
    if len(context.dates) > 1:
        return
    staged = {each.table.name: each.parts() for each in waiting}
    lacking = []
    for source, spec in context.plan.usecase.sources.items():
        table = context.tables.silver(source)
        day = spec.day_for(context.date)
        part = str(day) if spec.is_daily else WHOLE
        if day < context.plan.usecase.schedule.start and part != WHOLE:
            continue
        if part not in staged.get(table.name, {}) and part not in Made(table).inputs():
            lacking.append(f"{table.name} of {part}")
    if lacking:
        raise Refused(
            f"The night of {context.date} needs {', '.join(lacking)}, which is neither staged nor "
            "let through before.",
            f"Run `daybreak run conform {context.plan.name} --date {context.date}` first.",
        )


def pages(context: Context, layer: str) -> list[str]:
    """Where the pages of a layer's last validations for these dates are."""
    found = (
        page_of(context.tables.root, table.name, str(context.dates))
        for table in _tables(context, layer)
    )
    return [page for page in found if files.exists(page)]


def _profiles(context: Context, waiting: list[Staged]) -> dict[str, dict[str, Profile]]:
    """The profiles of the staged days of each daily source, by table."""
    spark = context.engine.session()
    daily = [each for each in waiting if _source(context, each).is_daily]
    found = side_by_side(daily, lambda each: profiles(each.read(spark), _source(context, each)))
    return {each.table.name: days for each, days in zip(daily, found, strict=True)}


def _source(context: Context, staged: Staged) -> Source:
    return context.plan.usecase.sources[staged.table.name.removeprefix("silver.")]


def _tables(context: Context, layer: str) -> list[Table]:
    tables = context.tables
    if layer == "silver":
        return [tables.silver(source) for source in context.plan.usecase.sources]
    if layer == "features":
        return [tables.features()]
    if layer == "predictions":
        return [tables.predictions()]
    raise WrongUsage(f"A gate needs a layer, not {layer!r}.", f"Give --layer: {', '.join(LAYERS)}.")


def _staged(context: Context, layer: str) -> list[Staged]:
    return [
        staged
        for table in _tables(context, layer)
        if (staged := context.tables.staged(table, str(context.dates))).is_there()
    ]


def _validate(context: Context, layer: str, staged: Staged, days: Mapping[str, Profile]) -> int:
    """Validate one table, keep the result beside the lake, and refuse what fails."""
    spark = context.engine.session()
    rows = staged.count(spark)
    result = gate.validate(staged.read(spark), _suite(context, layer, staged), rows)
    if layer == "silver":
        result = result.and_also(_unusual(context, staged, days))
    if not result.passed and layer == "silver" and len(context.dates) == 1:
        contents = {part: inputs["files"] for part, inputs in staged.parts().items()}
        Refusals(context.tables.root, staged.table.name).add(contents)
    page = keep(context.tables.root, staged.batch, result.to_json(), result.page(staged.batch))
    gate.require(
        result,
        staged.batch,
        f"Parquet files in {staged.rows}, and every failed expectation in {page}.",
    )
    return result.rows


def _unusual(context: Context, staged: Staged, days: Mapping[str, Profile]) -> list[Failure]:
    """What is strange about the day that a single night needs, unless a person accepts it."""
    spec = _source(context, staged)
    day = spec.day_for(context.date)
    accepted = context.options.get("unusual") == "accept"
    if accepted or spec.usual is None or str(day) not in days:
        return []
    spark = context.engine.session()
    before = Profiles(staged.table, spec).before(spark, day, spec.usual.days)
    source = staged.table.name.removeprefix("silver.")
    return unusual(days[str(day)], before, spec.usual, f"sources.{source}.usual")


def _suite(context: Context, layer: str, staged: Staged) -> Suite:
    plan, tables = context.plan, context.tables
    if layer == "silver":
        return suite.silver(plan, staged.table.name.removeprefix("silver."))
    if layer == "features":
        return suite.features(plan, context.dates)
    features = tables.features()
    known = features.read(context.engine.session()).where(features.of_dates(context.dates))
    return suite.predictions(plan, context.dates, known.count())
