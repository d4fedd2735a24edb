"""Whether the challenger may score the nights: a decision with its reason in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from jobs.label_types import LABEL_TYPES, WORDS
from jobs.learning.candidates.kinds import SIMPLEST_FIRST
from jobs.learning.evaluate import CHAMPION
from jobs.learning.evaluation import Evaluation, SliceResult
from jobs.learning.intervals import Estimate
from jobs.usecase import Promote


@dataclass(frozen=True)
class Decision:
    """What is to happen with the challenger, and why."""

    status: Literal["promote", "keep", "needs_person"]
    sentence: str


def decide(evaluation: Evaluation, rules: Promote) -> Decision:
    """Judge an evaluation by a use case's rules."""
    if evaluation.champion_problem is not None:
        return Decision("needs_person", _unscored(evaluation))
    objection = _objection(evaluation, rules)
    if objection is not None:
        return Decision("keep", objection)
    reason = _reason(evaluation)
    if rules.approval == "required":
        return Decision("needs_person", f"{reason} A person must approve it.")
    return Decision("promote", reason)


def _objection(evaluation: Evaluation, rules: Promote) -> str | None:
    """The first rule that speaks against the challenger."""
    if CHAMPION not in evaluation.gains:
        return _over_constant(evaluation) or _over_simpler(evaluation)
    return (
        _over_simpler(evaluation)
        or _over_champion(evaluation, rules)
        or _slice_loss(evaluation, rules)
        or _miscalibrated(evaluation, rules)
    )


def _over_constant(evaluation: Evaluation) -> str | None:
    name = evaluation.challenger
    if name == "constant":
        return "No candidate is better than a constant on the holdout: nothing was learned."
    lead = evaluation.gains["constant"]
    if lead.low is not None and lead.low > 0:
        return None
    return f"The first model ({name}) does not beat a constant: {_said(evaluation, lead)}."


def _over_simpler(evaluation: Evaluation) -> str | None:
    for name in SIMPLEST_FIRST[: SIMPLEST_FIRST.index(evaluation.challenger)]:
        lead = evaluation.gains.get(name)
        if lead is not None and not (lead.low is not None and lead.low > 0):
            return (
                f"The challenger ({evaluation.challenger}) does not beat the simpler {name}: "
                f"{_said(evaluation, lead)}."
            )
    return None


def _over_champion(evaluation: Evaluation, rules: Promote) -> str | None:
    lead = evaluation.gains[CHAMPION]
    if lead.low is not None and lead.low > rules.min_gain:
        return None
    return (
        f"The challenger ({evaluation.challenger}) does not beat champion version "
        f"{evaluation.champion_version} by more than {rules.min_gain:g}: {_said(evaluation, lead)}."
    )


def _slice_loss(evaluation: Evaluation, rules: Promote) -> str | None:
    worse = [found for found in evaluation.slices if _lost(found) > rules.max_slice_loss]
    worst = max(worse, key=_lost, default=None)
    if worst is None or worst.gain is None:
        return None
    return (
        f"The challenger ({evaluation.challenger}) loses more than {rules.max_slice_loss:g} in "
        f"{len(worse)} of {len(evaluation.slices)} slices, most where {worst.slice} is "
        f"{worst.value}: {_said(evaluation, worst.gain, worst.rows)}."
    )


def _lost(found: SliceResult) -> float:
    """What a slice has surely lost: the loss at the gain's upper end."""
    if found.gain is None or found.gain.high is None:
        return 0.0
    return -found.gain.high


def _miscalibrated(evaluation: Evaluation, rules: Promote) -> str | None:
    found = evaluation.of(evaluation.challenger).metrics.get("calibration_error")
    if found is None:
        return None
    error = found.value
    if error is not None and error <= rules.max_calibration_error:
        return None
    return (
        f"The challenger ({evaluation.challenger}) is off by {error or 0:.3f} on average as a "
        f"probability (calibration error), and {rules.max_calibration_error:g} is allowed."
    )


def _reason(evaluation: Evaluation) -> str:
    if CHAMPION in evaluation.gains:
        over, whom = CHAMPION, f"champion version {evaluation.champion_version}"
    else:
        over, whom = "constant", "a constant, and there is no champion yet"
    return (
        f"The challenger ({evaluation.challenger}) beats {whom}: "
        f"{_said(evaluation, evaluation.gains[over])}; {_slices(evaluation)}."
    )


def _slices(evaluation: Evaluation) -> str:
    if CHAMPION not in evaluation.gains:
        beside = LABEL_TYPES[evaluation.target].beside
        value = evaluation.of(evaluation.challenger).metrics[beside].value
        return f"{WORDS[beside]} {value or 0:.3f}"
    return f"none of {len(evaluation.slices)} slices loses more than allowed"


def _unscored(evaluation: Evaluation) -> str:
    return (
        f"The challenger ({evaluation.challenger}) could not be compared with champion version "
        f"{evaluation.champion_version}: {evaluation.champion_problem} A person must decide."
    )


def bought(evaluation: Evaluation) -> str:
    """What the challenger gains for being less simple than others, and gives up to be simple."""
    name, gains = evaluation.challenger, evaluation.gains
    place = SIMPLEST_FIRST.index(name)
    said = []
    if over := _closest(gains, SIMPLEST_FIRST[:place]):
        told = _said(evaluation, gains[over])
        said.append(f"What {name} buys over {over}, the best of the simpler candidates: {told}.")
    if (over := _closest(gains, SIMPLEST_FIRST[place + 1 :])) and (gains[over].value or 0) < 0:
        told = _said(evaluation, gains[over])
        said.append(f"What {name} gives up to be simpler than {over}, perhaps by chance: {told}.")
    return " ".join(said)


def _closest(gains: Mapping[str, Estimate], kinds: Sequence[str]) -> str | None:
    """The best of some candidates: the one that the challenger gains least over."""
    found = {kind: gains[kind].value for kind in kinds if kind in gains}
    there = {kind: value for kind, value in found.items() if value is not None}
    return min(there, key=lambda kind: there[kind], default=None)


def _said(evaluation: Evaluation, lead: Estimate, rows: int | None = None) -> str:
    """A gain in words: metric, gain, interval, rows."""
    name = WORDS[evaluation.metric]
    if lead.value is None:
        return f"gain in {name} unknown, because {lead.reason}"
    if lead.low is None or lead.high is None:
        return f"gain in {name} {lead.value:+.4f} without an interval, because {lead.reason}"
    return (
        f"gain in {name} {lead.value:+.4f} ({evaluation.confidence:.0%} interval {lead.low:+.4f} "
        f"to {lead.high:+.4f}) on {rows or evaluation.rows} holdout rows"
    )
