"""What the nights were like: drift, matured performance, freshness, decisions, alerts.

Primary keys are such that measuring a night again overwrites and never doubles.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
CREATE SCHEMA monitoring;

CREATE TABLE monitoring.drift (
    use_case text NOT NULL,
    prediction_date date NOT NULL,
    feature text NOT NULL,
    model_version integer NOT NULL,
    psi double precision,
    bound double precision,
    statistic double precision,
    p_value double precision,
    q_value double precision,
    drifted boolean NOT NULL,
    rows bigint NOT NULL,
    measured_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (use_case, prediction_date, feature, model_version)
);

CREATE TABLE monitoring.performance (
    use_case text NOT NULL,
    prediction_date date NOT NULL,
    model_version integer NOT NULL,
    slice text NOT NULL,
    metric text NOT NULL,
    value double precision,
    low double precision,
    high double precision,
    rows bigint NOT NULL,
    matured_share double precision NOT NULL,
    measured_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (use_case, prediction_date, model_version, slice, metric)
);

CREATE TABLE monitoring.freshness (
    use_case text NOT NULL,
    night date NOT NULL,
    checked_at timestamptz NOT NULL,
    prediction_date date,
    batch_id bigint,
    age_hours double precision,
    fresh boolean NOT NULL,
    PRIMARY KEY (use_case, night)
);

CREATE TABLE monitoring.decisions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    use_case text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now(),
    outcome text NOT NULL,
    sentence text NOT NULL,
    challenger_version integer,
    champion_version integer,
    run_id text NOT NULL DEFAULT '',
    by text NOT NULL,
    reason text NOT NULL DEFAULT '',
    evidence jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX ON monitoring.decisions (use_case, decided_at);

CREATE TABLE monitoring.alerts (
    use_case text NOT NULL,
    prediction_date date NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL DEFAULT '',
    sentence text NOT NULL,
    remedy text NOT NULL DEFAULT '',
    raised_at timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    PRIMARY KEY (use_case, prediction_date, kind, subject)
);

GRANT USAGE ON SCHEMA monitoring TO daybreak_publisher;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA monitoring TO daybreak_publisher;
"""


def upgrade() -> None:
    """Make what the docstring above names."""
    op.execute(TABLES)


def downgrade() -> None:
    """Remove it, and all rows in it."""
    op.execute("DROP SCHEMA monitoring CASCADE")
