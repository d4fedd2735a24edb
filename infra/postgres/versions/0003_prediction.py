"""The catalog of use cases says what `prediction` holds: true or false, or a number.

A use case whose label becomes of another type is then told apart from the one that was published.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; all that was published so far is true or false."""
    op.execute(
        "ALTER TABLE daybreak.use_cases ADD COLUMN prediction text NOT NULL DEFAULT 'boolean'"
    )
    op.execute(
        "CREATE OR REPLACE VIEW predictions._use_cases AS "
        "SELECT use_case, key, date_column, columns, prediction FROM daybreak.use_cases"
    )


def downgrade() -> None:
    """Take it out again."""
    op.execute("DROP VIEW predictions._use_cases")
    op.execute(
        "CREATE VIEW predictions._use_cases AS "
        "SELECT use_case, key, date_column, columns FROM daybreak.use_cases"
    )
    op.execute("GRANT SELECT ON predictions._use_cases TO daybreak_reader, daybreak_publisher")
    op.execute("ALTER TABLE daybreak.use_cases DROP COLUMN prediction")
