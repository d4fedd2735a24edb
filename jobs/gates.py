"""The gates between the layers: validate what is staged, keep the result, commit what passed."""

from __future__ import annotations

import datetime as dt

from jobs.context import Context
from jobs.errors import WrongUsage
from jobs.lake import files
from jobs.lake.staging import Staged
from jobs.quality import gate, suite
from jobs.quality.suite import Suite

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
    rows = {staged.table.name: _validate(context, layer, staged) for staged in waiting}
    for staged in waiting:
        if layer == "silver":
            # Quarantine first: rows missing from silver are then always accounted for.
            source = staged.table.name.removeprefix("silver.")
            quarantine = context.tables.quarantine(source)
            context.tables.staged(quarantine, staged.batch).commit(spark)
        staged.commit(spark)
    return rows


def _staged(context: Context, layer: str) -> list[Staged]:
    tables = context.tables
    if layer == "silver":
        of_layer = [tables.silver(source) for source in context.plan.usecase.sources]
    elif layer == "features":
        of_layer = [tables.features()]
    elif layer == "predictions":
        of_layer = [tables.predictions()]
    else:
        raise WrongUsage(
            f"A gate needs a layer, not {layer!r}.", f"Give --layer: {', '.join(LAYERS)}."
        )
    return [
        staged
        for table in of_layer
        if (staged := tables.staged(table, str(context.dates))).is_there()
    ]


def _validate(context: Context, layer: str, staged: Staged) -> int:
    """Validate one table, keep the result beside the lake, and refuse what fails."""
    result = gate.validate(staged.read(context.engine.session()), _suite(context, layer, staged))
    kept = f"{context.tables.root}/_gates/{staged.table.name}/{staged.batch}.json"
    files.write_json(kept, {**result.to_json(), "checked_at": dt.datetime.now(dt.UTC)})
    gate.require(
        result,
        staged.batch,
        f"Parquet files in {staged.rows}, and every failed expectation in {kept}.",
    )
    return result.rows


def _suite(context: Context, layer: str, staged: Staged) -> Suite:
    plan, tables = context.plan, context.tables
    if layer == "silver":
        return suite.silver(plan, staged.table.name.removeprefix("silver."))
    if layer == "features":
        return suite.features(plan, context.dates)
    features = tables.features()
    known = features.read(context.engine.session()).where(features.of_dates(context.dates))
    return suite.predictions(plan, context.dates, known.count())
