"""The gates between the layers: validate what is staged, keep the result, commit what passed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import replace

from jobs.context import Context
from jobs.errors import Refused, WrongUsage
from jobs.lake.made import UNSOUND, WHOLE, Made
from jobs.lake.parallel import side_by_side
from jobs.lake.refused import Refusals
from jobs.lake.staging import Staged
from jobs.lake.table import Table
from jobs.quality import gate, suite
from jobs.quality.gate import Failure, GateResult
from jobs.quality.kept import answers_of, keep
from jobs.quality.suite import Suite
from jobs.quality.usual import Profile, Profiles, profiles, unusual, valueless
from jobs.usecase import Source

LAYERS = ("silver", "features", "predictions")
# With how many nights a night's features are compared.
NIGHTS_BEFORE = 7
# Of the numeric features, how many may have lost all their values.
TOO_MANY_GONE = 0.5


def let_through(context: Context, layer: str, require_turn: Callable[[], None]) -> dict[str, int]:
    """Validate every staged table of a layer and, if all pass, commit them all.

    Gives the rows of each table that was committed now; a table committed before is left alone.

    Args:
        require_turn: raises if the right to change the lake was lost during the validation.

    Raises:
        Refused: a table failed; nothing of the layer was committed, and its rows stay staged.
        Unavailable: the right was lost; nothing was committed.
        GateBroken: the check itself could not be made.
    """
    spark = context.engine.session()
    waiting = [staged for staged in _staged(context, layer) if not staged.is_committed()]
    if layer == "silver":
        _require_tonight(context, waiting)
        _require_not_refused(context, waiting)
    else:
        _require_any(context, layer)
    days = _profiles(context, waiting) if layer == "silver" and context.is_night else {}
    rows = {
        staged.table.name: _validate(context, layer, staged, days.get(staged.table.name, {}))
        for staged in waiting
    }

    require_turn()

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
    quarantine = context.tables.quarantine(_name(staged))
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
    if not context.is_night:
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


def _require_not_refused(context: Context, waiting: list[Staged]) -> None:
    """A range does not let through what the gate of a night has refused since it was staged.

    Raises:
        Refused: it holds such a day.
    """
    if context.is_night:
        return
    found = []
    for staged in waiting:
        refused = Refusals(context.tables.root, staged.table.name).read()
        for part, inputs in staged.parts().items():
            used = [each for each in inputs["files"] if each not in inputs.get(UNSOUND, ())]
            if any(each in refused.get(part, ()) for each in used):
                found.append(f"{staged.table.name} of {part}")
    if found:
        raise Refused(
            f"{', '.join(found)} was refused by the gate of its night after it had been staged "
            f"for {context.dates}.",
            "Run conform again for the same dates: it leaves out what was refused.",
        )


def _require_any(context: Context, layer: str) -> None:
    """A gate that has nothing to look at has not let anything through.

    Raises:
        Refused: nothing is staged for these dates, and nothing was let through for them before.
    """
    (table,) = _tables(context, layer)
    if context.tables.staged(table, str(context.dates)).is_there():
        return
    made = Made(table).inputs()
    if not any(str(date) in made for date in context.dates):
        step = "predict" if layer == "predictions" else layer
        raise Refused(
            f"{table.name} of {context.dates} is neither staged nor let through before.",
            f"Run `daybreak run {step} {context.plan.name}` for the same dates first.",
        )


def pages(context: Context, layer: str) -> list[str]:
    """Where the pages of a layer's last validations for these dates are."""
    tables = {table.name for table in _tables(context, layer)}
    answers = answers_of(context.tables.root, str(context.dates))
    newest = {each.table: each.page for each in answers if each.table in tables}
    return [newest[table] for table in sorted(newest)]


def _profiles(context: Context, waiting: list[Staged]) -> dict[str, dict[str, Profile]]:
    """The profiles of the staged days of each daily source, by table."""
    spark = context.engine.session()
    daily = [each for each in waiting if _source(context, each).is_daily]
    found = side_by_side(daily, lambda each: profiles(each.read(spark), _source(context, each)))
    return {each.table.name: days for each, days in zip(daily, found, strict=True)}


def _source(context: Context, staged: Staged) -> Source:
    return context.plan.usecase.sources[_name(staged)]


def _name(staged: Staged) -> str:
    """The source that a staged silver table is made of."""
    return staged.table.name.removeprefix("silver.")


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
    if context.is_night and layer == "silver":
        result = result.and_also([*_of_days(context, staged, days), *_odd(context, staged, days)])
    if context.is_night and layer == "features":
        result = result.and_also(_gone(context, staged))
    if not result.passed and layer == "silver" and context.is_night:
        contents = {part: inputs["files"] for part, inputs in staged.parts().items()}
        Refusals(context.tables.root, staged.table.name).add(contents)
    require_and_keep(context, staged, result)
    return result.rows


def require_and_keep(context: Context, staged: Staged, result: GateResult) -> str:
    """Keep what was found of staged rows beside the lake, as its page too; gives where that is.

    Raises:
        Refused: they did not pass.
    """
    page = keep(context.tables.root, staged.batch, result.to_json(), result.page(staged.batch))
    gate.require(
        result,
        staged.batch,
        f"Parquet files in {staged.rows}, and every failed expectation in {page}.",
    )
    return page


def _of_days(context: Context, staged: Staged, days: Mapping[str, Profile]) -> list[Failure]:
    """What the owner expects of a day and one of several staged days does not live up to."""
    expected = suite.silver_day(context.plan, _name(staged))
    if len(days) < 2 or not expected.expectations:
        return []
    spark = context.engine.session()

    def failures(day: str) -> list[Failure]:
        rows = staged.read(spark).where(staged.table.of_dates([day]))
        found = gate.validate(rows, expected, int(days[day]["rows"]))
        return [replace(each, day=day) for each in found.failures]

    return [each for found in side_by_side(sorted(days), failures) for each in found]


def _odd(context: Context, staged: Staged, days: Mapping[str, Profile]) -> list[Failure]:
    """What is strange about the staged days, unless a person accepts it.

    What was strange about a day already when it was let through was accepted then.
    """
    spec = _source(context, staged)
    if _accepts(context) or spec.usual is None:
        return []
    spark, profiled = context.engine.session(), Profiles(staged.table, spec)
    where = f"sources.{_name(staged)}.usual"
    found: list[Failure] = []
    for day, profile in sorted(days.items()):
        before = profiled.before(spark, dt.date.fromisoformat(day), spec.usual.days)
        strange = unusual(profile, before, spec.usual, where)
        if strange and (passed := profiled.of(spark, [day]).get(day)):
            was = unusual(passed, before, spec.usual, where)
            known = {(each.expectation, each.column) for each in was}
            strange = [each for each in strange if (each.expectation, each.column) not in known]
        found += [replace(each, day=day) for each in strange]
    return found


def _gone(context: Context, staged: Staged) -> list[Failure]:
    """Numeric features without one value tonight that the nights before had, if they are many.

    Few are borne, such as those of the evening's weather when that did not come.
    """
    numeric = context.plan.usecase.features.numeric
    if _accepts(context) or not numeric:
        return []
    spark, table = context.engine.session(), staged.table
    empty = valueless(staged.read(spark), numeric)
    days = sorted(day for day in Made(table).inputs() if day < str(context.date))[-NIGHTS_BEFORE:]
    if not (empty and days):
        return []
    never = valueless(table.read(spark).where(table.of_dates(days)), empty)
    if len(empty) - len(never) < TOO_MANY_GONE * len(numeric):
        return []
    return [
        Failure(
            expectation="usual_values",
            column=name,
            wanted=f"some, as in the last {len(days)} nights",
            observed="no value at all",
            unexpected_count=None,
            total=None,
            examples=(),
            field=f"features.numeric.{name}",
        )
        for name in empty
        if name not in never
    ]


def _accepts(context: Context) -> bool:
    """Whether a person has said that what is unusual about the night is as it was."""
    return context.options.get("unusual") == "accept"


def _suite(context: Context, layer: str, staged: Staged) -> Suite:
    plan, tables = context.plan, context.tables
    if layer == "silver":
        return suite.silver(plan, _name(staged))
    if layer == "features":
        return suite.features(plan, context.dates)
    features = tables.features()
    known = features.read(context.engine.session()).where(features.of_dates(context.dates))
    return suite.predictions(plan, context.dates, known.count())
