"""Which sources tell an entity's rows from others, and whether that is all that have them."""

from __future__ import annotations

from collections.abc import Mapping, Set

from jobs.context import Context
from jobs.erasure.entity import Entity
from jobs.errors import Refused, WrongUsage
from jobs.ingest.landing import landed
from jobs.ingest.ledger import seen
from jobs.usecase import Source


def sources_of(context: Context, entity: Entity) -> dict[str, Source]:
    """The sources that have all of the columns.

    Raises:
        WrongUsage: there are none, or a value is not of its column's type.
        Refused: another source keeps the columns of the same files without declaring them.
    """
    sources, names = context.plan.usecase.sources, entity.values.keys()
    found = {name: each for name, each in sources.items() if entity.is_told_by(each.columns.keys())}
    if not names or not found:
        raise WrongUsage(
            f"No source of {context.plan.name} has the columns {sorted(names)}.",
            "Name the entity by columns of a source: --key customer_id=42.",
        )
    entity.require_known(found.values())
    _require_declared(context, found, names)
    return found


def _require_declared(context: Context, found: Mapping[str, Source], names: Set[str]) -> None:
    """Refuse if the entity is in rows of another source that do not say so by a column.

    Raises:
        Refused: such a source takes the same files, and keeps what it does not declare.
    """
    others = {
        name: each
        for name, each in context.plan.usecase.sources.items()
        if name not in found and each.drift == "keep_extra"
    }
    if not others:
        return
    files_of = _files_of(context, {*found, *others})
    for name, each in others.items():
        alike = [one for one in sorted(found) if files_of[one] & files_of[name]]
        if alike:
            lacking = ", ".join(sorted(names - each.columns.keys()))
            raise Refused(
                f"sources.{name} of {context.plan.name} takes the files of "
                f"{alike[0]} and does not declare {lacking}: which of its rows are "
                "the entity's cannot be told.",
                f"Declare {lacking} in sources.{name} too, remove what is in "
                f"{context.tables.root} but _erased.json and _receipts, run the steps from ingest "
                "on for all dates, then erase.",
            )


def _files_of(context: Context, sources: Set[str]) -> dict[str, set[str]]:
    """By source the pattern of its files, and the names of those that are there or were taken."""
    plan, known = context.plan, seen(context.engine.session(), context.tables.ledger())
    return {
        source: {
            plan.usecase.sources[source].landing,
            *known[source].newest,
            *[file.name for file in landed(plan, source, None)],
        }
        for source in sources
    }
