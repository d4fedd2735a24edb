"""What was measured, written down: rows in the warehouse, main numbers in MLflow.

Writing a measurement again replaces it and never doubles it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.types.json import Jsonb

from jobs.monitoring.drift import Drift
from jobs.monitoring.freshness import Freshness
from jobs.monitoring.performance import ALL, Measured
from jobs.prediction.warehouse import Connection, connect, translated
from jobs.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

RUN_NAME = "monitoring"
RUN_KIND = "daybreak.kind"
DRIFT_KEY = ("use_case", "prediction_date", "feature", "model_version")
PERFORMANCE_KEY = ("use_case", "prediction_date", "model_version", "slice", "metric")
FRESHNESS_KEY = ("use_case", "night")
# Another champion in between makes the same decision a new one: the alias moves again.
DECISION = sql.SQL("""
INSERT INTO monitoring.decisions
    (use_case, outcome, sentence, challenger_version, champion_version, run_id, by, reason,
     ruled, acknowledged, evidence)
SELECT %(use_case)s, %(outcome)s, %(sentence)s, %(challenger)s, %(champion)s, %(run_id)s, %(by)s,
    %(reason)s, %(ruled)s, %(acknowledged)s, %(evidence)s
WHERE NOT EXISTS (
    SELECT 1 FROM monitoring.decisions same
    WHERE use_case = %(use_case)s AND run_id = %(run_id)s AND outcome = %(outcome)s
      AND by = %(by)s AND reason = %(reason)s AND sentence = %(sentence)s AND run_id <> ''
      AND NOT EXISTS (
          SELECT 1 FROM monitoring.decisions later
          WHERE later.use_case = same.use_case AND later.id > same.id
            AND later.outcome IN ('promote', 'demote', 'rollback')
      )
)
""")


def record_night(
    settings: Settings,
    use_case: str,
    date: dt.date,
    version: int | None,
    drift: Sequence[Drift],
    performance: Sequence[Measured],
    freshness: Freshness,
) -> None:
    """Write a night's measurements in one transaction.

    Raises:
        Unavailable: the warehouse was lost.
    """
    of = {"use_case": use_case}
    drifts = [{**of, "prediction_date": date, "model_version": version, **asdict(d)} for d in drift]
    with (
        connect(settings, "publisher") as connection,
        translated(f"recording the night of {use_case}"),
        connection.transaction(),
    ):
        _upsert(connection, "drift", DRIFT_KEY, drifts)
        _upsert(
            connection, "performance", PERFORMANCE_KEY, [{**of, **asdict(m)} for m in performance]
        )
        _upsert(
            connection, "freshness", FRESHNESS_KEY, [{**of, "night": date, **asdict(freshness)}]
        )


def record_decision(
    settings: Settings,
    use_case: str,
    facts: Mapping[str, Any],
    *,
    sentence: str,
    by: str = "daybreak",
    reason: str = "",
    ruled: str = "",
    acknowledged: Sequence[str] = (),
) -> None:
    """Write a decision, once as long as it says the same and no champion was decided on since.

    Args:
        settings: where the warehouse is.
        use_case: whose champion was decided on.
        facts: of the step `promote`: `run_id`, `status` (`promote`, `keep`, `needs_person`,
            `demote` or `rollback`), `model_version`, `champion_before` and `evaluation`, the
            evidence.
        sentence: why.
        by: who decided.
        reason: what a person gave as the reason of an override.
        ruled: what the rules had said of the version on which a person decides.
        acknowledged: the warnings that a person knows of and does not mind.

    Raises:
        Unavailable: the warehouse was lost.
    """
    values = {
        "use_case": use_case,
        "outcome": facts["status"],
        "sentence": sentence,
        "challenger": facts["model_version"],
        "champion": facts["champion_before"],
        "run_id": facts["run_id"],
        "by": by,
        "reason": reason,
        "ruled": ruled,
        "acknowledged": list(acknowledged),
        "evidence": Jsonb(finite(facts["evaluation"])),
    }
    with (
        connect(settings, "publisher") as connection,
        translated(f"recording a decision on {use_case}"),
    ):
        connection.execute(DECISION, values)


def log_night(
    settings: Settings,
    use_case: str,
    date: dt.date,
    drift: Sequence[Drift],
    performance: Sequence[Measured],
) -> None:
    """Log the main numbers to the use case's run `monitoring`, a step for each date.

    The step is the date's ordinal and the timestamp its midnight, so the same night measured
    again with the same result is the same point.

    Raises:
        Unavailable: MLflow was lost.
    """
    from mlflow.entities import Metric

    from jobs.learning import registry

    points = [(date, f"drift.psi.{one.feature}", one.psi) for one in drift]
    points += [(date, "drift.drifted_features", float(sum(one.drifted for one in drift)))]
    points += [
        (one.prediction_date, f"performance.{one.metric}", one.value)
        for one in performance
        if one.slice == ALL and one.value is not None
    ]
    metrics = [Metric(name, value, _midnight(day), day.toordinal()) for day, name, value in points]
    client = registry.connect(settings)
    with registry.reachable(settings):
        client.log_batch(_run(client, use_case), metrics=metrics)


def finite(value: Any) -> Any:
    """A JSON value in which NaN and infinity, which JSON has not, are null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return value


def _upsert(
    connection: Connection, table: str, key: tuple[str, ...], rows: Sequence[Mapping[str, Any]]
) -> None:
    if not rows:
        return
    columns = list(rows[0])
    others = [sql.Identifier(name) for name in columns if name not in key]
    if table != "freshness":
        others.append(sql.Identifier("measured_at"))
    query = sql.SQL(
        "INSERT INTO monitoring.{table} ({columns}) VALUES ({values}) "
        "ON CONFLICT ({key}) DO UPDATE SET {updates}"
    ).format(
        table=sql.Identifier(table),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        values=sql.SQL(", ").join(map(sql.Placeholder, columns)),
        key=sql.SQL(", ").join(map(sql.Identifier, key)),
        updates=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(one) for one in others),
    )
    with connection.cursor() as cursor:
        cursor.executemany(query, rows)


def _midnight(date: dt.date) -> int:
    return int(dt.datetime.combine(date, dt.time(), dt.UTC).timestamp() * 1000)


def _run(client: MlflowClient, use_case: str) -> str:
    from jobs.learning import registry

    tags = {RUN_KIND: RUN_NAME}
    found = client.get_experiment_by_name(use_case)
    wanted = f"tags.`{RUN_KIND}` = '{RUN_NAME}'"
    runs = found and client.search_runs([found.experiment_id], wanted, max_results=1)
    if runs:
        return str(runs[0].info.run_id)
    return registry.start_run(client, use_case, RUN_NAME, tags)
