"""How alembic runs the warehouse's migrations: on the connection it is handed, and alone."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

SCHEMA = "daybreak"


def migrate() -> None:
    """Run what is new on the connection that `jobs.prediction.migrations` hands over."""
    connection = context.config.attributes["connection"]
    # Two `daybreak up` at once: the second waits here and then finds nothing to do.
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('daybreak:migrate', 0))")
    )
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    context.configure(
        connection=connection, version_table="migrations", version_table_schema=SCHEMA
    )
    context.run_migrations()


migrate()
