"""Where people write labels: a schema, and the catalog of the tables in it.

`daybreak_labeller` is given each table by whoever makes it (`jobs.prediction.feedback_table`).
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE SCHEMA feedback;
GRANT USAGE, CREATE ON SCHEMA feedback TO daybreak_publisher;
GRANT USAGE ON SCHEMA feedback TO daybreak_labeller, daybreak_reader;

CREATE TABLE daybreak.feedback (
    use_case text PRIMARY KEY,
    key jsonb NOT NULL,
    label text NOT NULL,
    classes jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE ON daybreak.feedback TO daybreak_publisher;
"""


def upgrade() -> None:
    """Make what the docstring above names."""
    op.execute(SCHEMA)


def downgrade() -> None:
    """Remove it, and all that people wrote."""
    op.execute("DROP SCHEMA feedback CASCADE; DROP TABLE daybreak.feedback")
