"""A warehouse of its own for a night in a sandbox: a database of the stack's server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import psycopg
from psycopg import sql

from daybreak_local import postgres
from daybreak_local.keys import load
from daybreak_local.places import Places
from jobs.drill.sandbox import Sandbox
from jobs.prediction.migrations import ensure_roles, upgrade
from jobs.prediction.warehouse import connect, one
from tests.stack import Stack

# What a night writes, of which rows, and which of their columns differ between any two runs. What
# a killed attempt leaves is closed by the next one; nothing of it may be left half-made.
TABLES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "predictions.flight_delay": ("true", ("batch_id", "published_at")),
    "daybreak.live": ("true", ("batch_id", "published_at", "since")),
    "daybreak.batches": (
        "state not in ('dropped', 'failed')",
        ("batch_id", "attempt", "created_at", "published_at", "note"),
    ),
    "monitoring.drift": ("true", ("measured_at",)),
    "monitoring.performance": ("true", ("measured_at",)),
    "monitoring.freshness": ("true", ("batch_id", "checked_at", "age_hours")),
}
STATE = """
select count(*), md5(coalesce(string_agg(row, ' ' order by row), ''))
from (select (to_jsonb(each) - %s::text[])::text as row from {table} each where {where}) rows
"""


@contextmanager
def own_warehouse(stack: Stack, box: Sandbox, like: Sandbox | None = None) -> Iterator[Sandbox]:
    """The sandbox with a database of its own: an empty one, or a copy of another sandbox's."""
    plan, name = box.context.plan, f"night_{uuid.uuid4().hex[:12]}"
    settings = plan.settings.model_copy(update={"warehouse_database": name})
    server = postgres.superuser_conninfo(load(Places(stack.home)), settings.warehouse_port)
    try:
        if like:
            source = like.context.plan.settings.warehouse_database
            _run(server, "CREATE DATABASE {} OWNER daybreak_owner TEMPLATE {}", name, source)
        else:
            ensure_roles(server, settings)
            upgrade(settings)
        yield replace(box, context=replace(box.context, plan=replace(plan, settings=settings)))
    finally:
        _run(server, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def state(box: Sandbox) -> Mapping[str, str]:
    """The number of rows of each table of a sandbox's warehouse, and a checksum of them."""
    found = {}
    with connect(box.context.plan.settings, "publisher") as connection:
        for name, (where, left_out) in TABLES.items():
            query = sql.SQL(STATE).format(
                table=sql.Identifier(*name.split(".")), where=sql.SQL(where)
            )
            rows, checksum = one(connection, query, [list(left_out)])
            found[name] = f"{rows} rows, {checksum}"
    return found


def _run(server: str, statement: str, *names: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
