"""Decisions on champions keep what the rules had said, and nobody changes what was decided.

A person who decides otherwise is recorded with the rules' own sentence beside the reason, and with
the warnings that were acknowledged.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MORE = """
ALTER TABLE monitoring.decisions
    ADD COLUMN ruled text NOT NULL DEFAULT '',
    ADD COLUMN acknowledged text[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT decisions_outcome
        CHECK (outcome IN ('promote', 'keep', 'needs_person', 'demote', 'rollback'));
COMMENT ON COLUMN monitoring.decisions.ruled IS
    'What the rules had said of the version on which a person decided.';
COMMENT ON COLUMN monitoring.decisions.acknowledged IS
    'Warnings that the person knew of: leak, a feature that may give the label away.';
REVOKE UPDATE, DELETE ON monitoring.decisions FROM daybreak_publisher;
"""


def upgrade() -> None:
    """Add the columns, and take the rights away."""
    op.execute(MORE)


def downgrade() -> None:
    """Take the columns out again, and give the rights back."""
    op.execute(
        "ALTER TABLE monitoring.decisions DROP CONSTRAINT decisions_outcome, "
        "DROP COLUMN acknowledged, DROP COLUMN ruled; "
        "GRANT UPDATE, DELETE ON monitoring.decisions TO daybreak_publisher"
    )
