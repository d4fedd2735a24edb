"""How everything is: the services, and for each use case its champion and its last batch."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.errors import DaybreakError
from jobs.plan import Plan
from jobs.settings import Settings, settings_file
from jobs.spec.read import names

if TYPE_CHECKING:
    from daybreak_local.probes import Service
    from jobs.quality.kept import GateAnswer


ADDRESSES = {"spark", "mlflow_url", "warehouse_host", "airflow_url"}


@dataclass(frozen=True)
class Batch:
    """The live batch of the newest prediction date."""

    batch_id: int
    prediction_date: dt.date
    rows: int
    model_version: int
    published_at: dt.datetime | None


@dataclass(frozen=True)
class UseCaseStatus:
    """How one use case is.

    Attributes:
        champion_version: the model version that scores tonight; None if there is none.
        last_batch: the newest live batch; None if there is none.
        age_hours: hours since the last batch was published.
        feedback_waiting: labels that people gave and that the next night takes in; None where
            they give none.
        gates: the last answer of each table's gate.
        problems: why something could not be told, one sentence each.
    """

    name: str
    champion_version: int | None
    last_batch: Batch | None
    age_hours: float | None
    feedback_waiting: int | None
    gates: tuple[GateAnswer, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Overview:
    """The whole deployment as it is now."""

    home: str
    services: tuple[Service, ...]
    use_cases: tuple[UseCaseStatus, ...]


def overview(settings: Settings) -> Overview:
    """Ask every service and look at every use case; what is down is said, not raised."""
    return Overview(
        home=str(settings.home),
        services=tuple(_services(settings)),
        use_cases=tuple(_use_case(name, settings) for name in names(settings.usecases)),
    )


def _services(settings: Settings) -> list[Service]:
    from daybreak_local.probes import elsewhere, status

    # A home that was never started, beside addresses that somebody set: the services are others'.
    if settings.model_fields_set & ADDRESSES and not settings_file(settings.home).exists():
        return elsewhere(settings)
    return status(settings.home)


def _use_case(name: str, settings: Settings) -> UseCaseStatus:
    problems: list[str] = []

    def asked(question: Any) -> Any:
        try:
            return question()
        except DaybreakError as error:
            problems.append(error.sentence)
            return None

    plan = asked(lambda: Plan.of(name, settings))
    champion = asked(lambda: _champion(plan)) if plan else None
    batch = asked(lambda: _last_batch(plan)) if plan else None
    age = None
    if batch and batch.published_at:
        age = (dt.datetime.now(dt.UTC) - batch.published_at).total_seconds() / 3600
    feedback = asked(lambda: _feedback(plan)) if plan else None
    gates = asked(lambda: _gates(plan)) if plan else None
    return UseCaseStatus(name, champion, batch, age, feedback, tuple(gates or ()), tuple(problems))


def _gates(plan: Plan) -> list[GateAnswer]:
    from jobs.lake.tables import Tables
    from jobs.quality.kept import last_answers

    return last_answers(Tables(plan).root)


def _champion(plan: Plan) -> int | None:
    from jobs.learning import registry

    client = registry.connect(plan.settings)
    with registry.reachable(plan.settings):
        return registry.alias(client, plan.name, registry.CHAMPION)


def _feedback(plan: Plan) -> int | None:
    from jobs.prediction.feedback import waiting

    return waiting(plan)


def _last_batch(plan: Plan) -> Batch | None:
    from jobs.prediction.batches import latest

    found = latest(plan.settings, plan.name)
    if found is None:
        return None
    return Batch(
        found.batch_id, found.prediction_date, found.rows, found.model_version, found.published_at
    )
