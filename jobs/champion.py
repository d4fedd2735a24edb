"""A person's decision about the champion, which the rules of promotion do not ask."""

from __future__ import annotations

import getpass
from typing import Any

from jobs.learning import registry
from jobs.monitoring.record import record_decision
from jobs.plan import Plan
from jobs.prediction.turn import champion_turn


def promote(plan: Plan, version: int, reason: str) -> str:
    """Make a registered version champion, record who said so and why, and give a sentence.

    The version's files are checked first. The champion before it is kept as `previous`.

    Raises:
        Refused: there is no such version, or its files are missing or were changed.
        Unavailable: MLflow or the warehouse was lost, or somebody else decides at the moment.
    """
    client = registry.connect(plan.settings)
    with registry.reachable(plan.settings):
        registry.load_version(client, plan.name, version)
        run_id = client.get_model_version(plan.name, str(version)).run_id
    by = getpass.getuser()
    sentence = f"{by} made version {version} of {plan.name} the champion: {reason}"
    with champion_turn(plan.settings, plan.name), registry.reachable(plan.settings):
        before = registry.alias(client, plan.name, registry.CHAMPION)
        registry.promote(client, plan.name, version)
        facts: dict[str, Any] = {
            "run_id": run_id,
            "status": "promote",
            "model_version": version,
            "champion_before": before,
            "evaluation": {},
        }
        record_decision(plan.settings, plan.name, facts, sentence=sentence, by=by, reason=reason)
    return f"{sentence.rstrip('.')}. Before: {before or 'none'}. The next night scores with it."
