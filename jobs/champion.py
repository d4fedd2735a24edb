"""A person's decision about the champion, which the rules of promotion do not ask."""

from __future__ import annotations

import getpass
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.errors import Refused
from jobs.learning import registry
from jobs.learning.evidence import evidence_of
from jobs.monitoring.record import record_decision
from jobs.plan import Plan
from jobs.prediction.turn import champion_turn

if TYPE_CHECKING:
    from mlflow import MlflowClient

LEAK = "leak"
# Whatever the champion is.
ANY = -1


@dataclass(frozen=True)
class Person:
    """Who decides, and why.

    Attributes:
        by: the operating system's user where nobody is named.
        acknowledged: warnings that they know of and do not mind: `leak`.
    """

    reason: str
    by: str = ""
    acknowledged: Collection[str] = ()

    @property
    def name(self) -> str:
        return self.by or getpass.getuser()


def promote(plan: Plan, version: int, person: Person, against: int | None = ANY) -> str:
    """Make a registered version champion, record who said so and why, and give a sentence.

    The version's files are checked first. The champion before it is kept as `previous`.

    Args:
        against: the champion that the person was told of; None: that there is none.

    Raises:
        Refused: there is no such version, its files are missing or were changed, a feature of it
            may give the label away and nobody acknowledges that, the champion is another one than
            the person was told of, or the version was taken down since.
        Unavailable: MLflow or the warehouse was lost, or somebody else decides at the moment.
    """
    client = registry.connect(plan.settings)
    with registry.reachable(plan.settings):
        registry.load_version(client, plan.name, version)
        _require_acknowledged(client, plan, version, person)
    sentence = f"{person.name} made version {version} of {plan.name} the champion: {person.reason}"
    with champion_turn(plan.settings, plan.name), registry.reachable(plan.settings):
        before = registry.alias(client, plan.name, registry.CHAMPION)
        if against != ANY:
            _require_as_asked(client, plan, version, person, before, against)
        # Recorded first: who is killed after it does the same again, and it is still one row.
        _record(client, plan, "promote", version, before, sentence, person)
        registry.forgive(client, plan.name, version)
        registry.promote(client, plan.name, version)
    return f"{sentence.rstrip('.')}. Before: {before or 'none'}. The next night scores with it."


def refuse(plan: Plan, version: int, person: Person) -> str:
    """Leave a challenger that a person was asked about what it is, record why, and say it.

    One that somebody has made champion meanwhile stays it, and nothing is recorded.

    Raises:
        Refused: there is no such version.
        Unavailable: MLflow or the warehouse was lost, or somebody else decides at the moment.
    """
    client = registry.connect(plan.settings)
    sentence = f"{person.name} kept version {version} of {plan.name} back: {person.reason}"
    with champion_turn(plan.settings, plan.name), registry.reachable(plan.settings):
        before = registry.alias(client, plan.name, registry.CHAMPION)
        if before == version:
            return (
                f"Version {version} of {plan.name} was made champion before this answer, which "
                f"changes nothing: `daybreak demote {plan.name} --reason WHY` takes it down."
            )
        _record(client, plan, "keep", version, before, sentence, person)
    return f"{sentence.rstrip('.')}. The champion is version {before or 'none'} as before."


def demote(plan: Plan, person: Person) -> str:
    """Take the champion down, so that nothing is scored until there is another, and say it.

    What is live stays. No step makes the version champion again; a person may.

    Raises:
        Refused: there is no champion.
        Unavailable: MLflow or the warehouse was lost, or somebody else decides at the moment.
    """
    client = registry.connect(plan.settings)
    with champion_turn(plan.settings, plan.name), registry.reachable(plan.settings):
        now = registry.alias(client, plan.name, registry.CHAMPION)
        if now is None:
            raise Refused(f"{plan.name} has no champion.", f"See `daybreak decisions {plan.name}`.")
        sentence = f"{person.name} took version {now} of {plan.name} down: {person.reason}"
        _record(client, plan, "demote", now, now, sentence, person)
        registry.demote(client, plan.name, now, person.reason)
    return (
        f"{sentence.rstrip('.')}. There is no champion: no night scores until there is one, and "
        "what is live stays."
    )


def roll_back(plan: Plan, person: Person) -> str:
    """Make the champion before this one champion again, and say it.

    The one that was is taken down as `demote` does. Who does the same at the same moment is
    refused, and does not put it up again.

    Raises:
        Refused: none is known, or its files are missing or were changed.
        Unavailable: MLflow or the warehouse was lost, or somebody else decides at the moment.
    """
    client, name = registry.connect(plan.settings), plan.name
    with champion_turn(plan.settings, name), registry.reachable(plan.settings):
        now = registry.alias(client, name, registry.CHAMPION)
        before = registry.alias(client, name, registry.PREVIOUS)
        if before is None or before == now:
            raise Refused(
                f"No champion of {name} before version {now or 'none'} is known.",
                f"Name one that `daybreak decisions {name}` shows: `daybreak promote {name} "
                "--version N --reason WHY`.",
            )
        registry.load_version(client, name, before)
        sentence = (
            f"{person.name} went back from version {now or 'none'} of {name} to version {before}: "
            f"{person.reason}"
        )
        _record(client, plan, "rollback", before, now, sentence, person)
        if now is not None:
            registry.take_down(client, name, now, person.reason)
        registry.promote(client, name, before)
        client.delete_registered_model_alias(name, registry.PREVIOUS)
    return f"{sentence.rstrip('.')}. The next night scores with it."


def _require_as_asked(
    client: MlflowClient,
    plan: Plan,
    version: int,
    person: Person,
    before: int | None,
    against: int | None,
) -> None:
    """Refuse an answer that was given of something else than there is by now."""
    anew = f"`daybreak promote {plan.name} --version {version} --reason WHY`."
    if before not in (against, version):
        raise Refused(
            f"The champion of {plan.name} is version {before or 'none'} by now, and "
            f"{person.name} was asked about one beside {against or 'none'}.",
            f"Train again, or say it anew: {anew}",
        )
    why = registry.version_of(client, plan.name, version).tags.get(registry.DEMOTED)
    if why is not None:
        raise Refused(
            f"Version {version} of {plan.name} was taken down after {person.name} was asked about "
            f"it: {why}",
            f"If it is to score all the same, say it anew: {anew}",
        )


def _require_acknowledged(client: MlflowClient, plan: Plan, version: int, person: Person) -> None:
    run_id = str(registry.version_of(client, plan.name, version).run_id)
    found = evidence_of(client, run_id)
    if found is not None and found.leaks and LEAK not in person.acknowledged:
        raise Refused(
            f"Version {version} of {plan.name} may know too much: {found.leaks[0]}",
            f"If it is known in time, say so with --acknowledge {LEAK}.",
        )


def _record(
    client: MlflowClient,
    plan: Plan,
    outcome: str,
    version: int,
    before: int | None,
    sentence: str,
    person: Person,
) -> None:
    of = registry.version_of(client, plan.name, version)
    found = evidence_of(client, str(of.run_id))
    facts: dict[str, Any] = {
        "run_id": of.run_id,
        "status": outcome,
        "model_version": version,
        "champion_before": before,
        "evaluation": found.model_dump(mode="json") if found is not None else {},
    }
    record_decision(
        plan.settings,
        plan.name,
        facts,
        sentence=sentence,
        by=person.name,
        reason=person.reason,
        ruled=of.tags.get(registry.REASON, ""),
        acknowledged=tuple(person.acknowledged),
    )
