"""The schemas, and the catalog of use cases, batches and which of them is live.

`daybreak.live` holds what a reader needs beside a score (model version, time of publication),
so that one row says everything about a batch that goes live, and a rollback is that row.

`daybreak.behind` is for the transactions that were reading a use case's table when a partition
was attached to it. Postgres may let them go on with the partitions they know, so that they would
look for the new batch and find nothing. They go on with the batch they saw, until they end.
`daybreak.seen` is `live` with that: what the transaction that asks is to see.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMAS = """
CREATE SCHEMA batches;
CREATE SCHEMA predictions;
GRANT USAGE, CREATE ON SCHEMA batches TO daybreak_publisher;
GRANT USAGE, CREATE ON SCHEMA predictions TO daybreak_publisher;
GRANT USAGE ON SCHEMA daybreak TO daybreak_publisher;
GRANT USAGE ON SCHEMA predictions TO daybreak_reader;
"""

CATALOG = """
CREATE TABLE daybreak.use_cases (
    use_case text PRIMARY KEY,
    key jsonb NOT NULL,
    date_column text,
    columns jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE daybreak.batches (
    batch_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    use_case text NOT NULL REFERENCES daybreak.use_cases,
    prediction_date date NOT NULL,
    attempt integer NOT NULL,
    model_name text NOT NULL,
    model_version integer NOT NULL,
    rows bigint NOT NULL CHECK (rows >= 0),
    checksum numeric NOT NULL,
    state text NOT NULL DEFAULT 'loading'
        CHECK (state IN ('loading', 'attached', 'ready', 'failed', 'dropped')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_at timestamptz,
    note text NOT NULL DEFAULT '',
    UNIQUE (use_case, prediction_date, attempt)
);
COMMENT ON COLUMN daybreak.batches.rows IS 'Rows in gold, which the partition must hold too.';
COMMENT ON COLUMN daybreak.batches.checksum IS
    'Sum over the rows of a 60-bit digest of each; see jobs/prediction/fingerprint.py.';

CREATE TABLE daybreak.loads (
    batch_id bigint NOT NULL REFERENCES daybreak.batches ON DELETE CASCADE,
    part integer NOT NULL,
    rows bigint NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (batch_id, part)
);

CREATE TABLE daybreak.live (
    use_case text NOT NULL REFERENCES daybreak.use_cases,
    prediction_date date NOT NULL,
    batch_id bigint NOT NULL UNIQUE REFERENCES daybreak.batches,
    model_version integer NOT NULL,
    rows bigint NOT NULL,
    published_at timestamptz NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (use_case, prediction_date)
);

CREATE TABLE daybreak.live_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    use_case text NOT NULL,
    prediction_date date NOT NULL,
    from_batch bigint,
    to_batch bigint,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by text NOT NULL,
    reason text NOT NULL
);
CREATE INDEX ON daybreak.live_history (use_case, prediction_date);

CREATE TABLE daybreak.behind (
    use_case text NOT NULL,
    prediction_date date NOT NULL,
    pid integer NOT NULL,
    transaction text NOT NULL,
    noted_at timestamptz NOT NULL,
    batch_id bigint,
    model_version integer,
    rows bigint,
    published_at timestamptz,
    PRIMARY KEY (use_case, prediction_date, pid)
);
CREATE INDEX ON daybreak.behind (pid);
COMMENT ON COLUMN daybreak.behind.batch_id IS 'Null where nothing was live for the date before.';

CREATE VIEW daybreak.seen AS
    SELECT use_case, prediction_date, batch_id, model_version, rows, published_at
    FROM daybreak.live l
    WHERE NOT EXISTS (
        SELECT FROM daybreak.behind b
        WHERE b.pid = pg_backend_pid() AND b.noted_at > now()
            AND b.use_case = l.use_case AND b.prediction_date = l.prediction_date
    )
    UNION ALL
    SELECT use_case, prediction_date, batch_id, model_version, rows, published_at
    FROM daybreak.behind
    WHERE pid = pg_backend_pid() AND noted_at > now() AND batch_id IS NOT NULL;

GRANT SELECT ON daybreak.seen TO daybreak_publisher;
GRANT SELECT, INSERT, DELETE ON daybreak.behind TO daybreak_publisher;
GRANT SELECT, INSERT, UPDATE ON daybreak.use_cases, daybreak.batches, daybreak.loads
    TO daybreak_publisher;
GRANT SELECT, INSERT ON daybreak.live_history TO daybreak_publisher;
GRANT SELECT, INSERT, UPDATE, DELETE ON daybreak.live TO daybreak_publisher;
"""

# A use case's name begins with a letter, so these two names are never one.
FOR_READERS = """
CREATE VIEW predictions._live AS
    SELECT use_case, prediction_date, batch_id, model_version, rows, published_at
    FROM daybreak.seen;
CREATE VIEW predictions._use_cases AS
    SELECT use_case, key, date_column, columns FROM daybreak.use_cases;
GRANT SELECT ON predictions._live, predictions._use_cases
    TO daybreak_reader, daybreak_publisher;
"""


def upgrade() -> None:
    """Make what the docstring above names."""
    for part in (SCHEMAS, CATALOG, FOR_READERS):
        op.execute(part)


def downgrade() -> None:
    """Remove it, and all rows in it."""
    op.execute("DROP SCHEMA predictions, batches CASCADE")
    op.execute(
        "DROP VIEW daybreak.seen; DROP TABLE daybreak.behind, daybreak.live_history, "
        "daybreak.live, daybreak.loads, daybreak.batches, "
        "daybreak.use_cases"
    )
