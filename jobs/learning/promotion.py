"""Whether the challenger may score the nights: a decision with its reason in one sentence.

Three kinds of rules are asked, in this order. What speaks against the challenger keeps the
champion; what leaves a doubt that figures cannot settle is for a person; else it is promoted. Where
the champion cannot be compared, all is for a person, who is told what the rules would say.

An equal model must not get in by being tried often. Of the chance `1 - confidence` that one does,
each challenger of the same champion on rows that an earlier one was judged on gets its part: 1/2,
1/6, 1/12, … 1/(k(k+1)), together 1 (alpha spending; Lan and DeMets, Biometrika 70(3), 1983). A
loss in a slice is looked for in all slices, at a confidence that makes a false find in any of them
as rare as in one (Bonferroni, with which Holm's procedure begins). That no slice loses needs no
correction, because it has to be shown in every one (Berger, Technometrics 24(4), 1982).
"""

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

# So few rows said to be of a class become twice as many by chance.
FEWEST_SAID = 20.0


@dataclass(frozen=True)
class Decision:
    """What is to happen with the challenger, and why."""

    status: Literal["promote", "keep", "needs_person"]
    sentence: str


def decide(evaluation: Evaluation, rules: Promote) -> Decision:
    """Judge an evaluation by a use case's rules."""
    if evaluation.champion_problem is not None:
        return Decision("needs_person", _unscored(evaluation, rules))
    objection = _objection(evaluation, rules)
    if objection is not None:
        return Decision("keep", objection)
    doubt = _doubt(evaluation, rules)
    if doubt is not None:
        return Decision("needs_person", f"{doubt} A person must decide.")
    reason = _reason(evaluation, rules)
    if rules.approval == "required":
        return Decision("needs_person", f"{reason} A person must approve it.")
    return Decision("promote", reason)


def _objection(evaluation: Evaluation, rules: Promote) -> str | None:
    """The first rule that speaks against the challenger."""
    if CHAMPION not in evaluation.gains:
        found = _over_constant(evaluation) or _over_simpler(evaluation)
    else:
        found = (
            _over_simpler(evaluation)
            or _over_champion(evaluation, rules)
            or _slice_loss(evaluation, rules)
            or _miscalibrated(evaluation, rules)
        )
    return found or _slow(evaluation, rules)


def _doubt(evaluation: Evaluation, rules: Promote) -> str | None:
    """The first rule that leaves the challenger to a person."""
    if evaluation.leaks:
        return f"The challenger ({evaluation.challenger}) may know too much: {evaluation.leaks[0]}"
    if CHAMPION not in evaluation.gains:
        return None
    return _slice_in_doubt(evaluation, rules) or _other_volume(evaluation, rules)


def _over_constant(evaluation: Evaluation) -> str | None:
    name = evaluation.challenger
    if name == "constant":
        return "No candidate is better than a constant on the holdout: nothing was learned."
    lead = evaluation.gains["constant"]
    if lead.low is not None and lead.low > 0:
        return None
    return f"The challenger ({name}) does not beat a constant: {_said(evaluation, lead)}."


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
    lead = _lead(evaluation)
    if lead.low is not None and lead.low > rules.min_gain:
        return None
    return (
        f"The challenger ({evaluation.challenger}) does not beat champion version "
        f"{evaluation.champion_version} by more than {rules.min_gain:g}: "
        f"{_over(evaluation, lead)}."
    )


def _lead(evaluation: Evaluation) -> Estimate:
    """The gain over the champion, as sure as this look at the holdout has to be."""
    return evaluation.gains[CHAMPION].at(_confidence(evaluation), evaluation.confidence)


def _confidence(evaluation: Evaluation) -> float:
    """Of the interval of the gain over the champion: half of what it leaves out is below it."""
    spent = (1 - evaluation.confidence) / (evaluation.look * (evaluation.look + 1))
    return 1 - 2 * spent


def _slice_loss(evaluation: Evaluation, rules: Promote) -> str | None:
    judged = _judged(evaluation)
    # Each is asked whether it loses: the more are asked, the surer an answer has to be.
    sure = 1 - (1 - evaluation.confidence) / max(1, len(judged))
    lost = [(found, gain.at(sure, evaluation.confidence)) for found, gain in judged]
    worse = [each for each in lost if _high(each[1]) < -rules.max_slice_loss]
    if not worse:
        return None
    worst, gain = min(worse, key=lambda each: _high(each[1]))
    return (
        f"The challenger ({evaluation.challenger}) loses more than {rules.max_slice_loss:g} in "
        f"{len(worse)} of {len(judged)} slices, most where {worst.slice} is {worst.value}: "
        f"{_said(evaluation, gain, worst.rows, sure)}."
    )


def _slice_in_doubt(evaluation: Evaluation, rules: Promote) -> str | None:
    judged = _judged(evaluation)
    unclear = [each for each in judged if not _low(each[1]) > -rules.max_slice_loss]
    if not unclear:
        return None
    worst, gain = min(unclear, key=lambda each: _low(each[1]))
    return (
        f"The challenger ({evaluation.challenger}) beats champion version "
        f"{evaluation.champion_version}, {_over(evaluation, _lead(evaluation))}, but may lose more "
        f"than {rules.max_slice_loss:g} in {len(unclear)} of {len(judged)} slices, most where "
        f"{worst.slice} is {worst.value}: {_said(evaluation, gain, worst.rows)}."
    )


def _judged(evaluation: Evaluation) -> list[tuple[SliceResult, Estimate]]:
    """The slices whose gain over the champion has an interval."""
    return [
        (found, found.gain)
        for found in evaluation.slices
        if found.gain is not None and found.gain.low is not None
    ]


def _low(gain: Estimate) -> float:
    return float("-inf") if gain.low is None else gain.low


def _high(gain: Estimate) -> float:
    return float("inf") if gain.high is None else gain.high


def _miscalibrated(evaluation: Evaluation, rules: Promote) -> str | None:
    found = evaluation.of(evaluation.challenger).metrics.get("calibration_error")
    if found is None:
        return None
    error = found.value
    if error is None:
        return (
            f"How far the challenger ({evaluation.challenger}) is off as a probability "
            f"(calibration error) is unknown, because {found.reason}."
        )
    if error <= rules.max_calibration_error:
        return None
    return (
        f"The challenger ({evaluation.challenger}) is off by {error:.3f} on average as a "
        f"probability (calibration error), and {rules.max_calibration_error:g} is allowed."
    )


def _slow(evaluation: Evaluation, rules: Promote) -> str | None:
    took = evaluation.of(evaluation.challenger).microseconds
    if rules.max_microseconds is None or took is None or took <= rules.max_microseconds:
        return None
    return (
        f"The challenger ({evaluation.challenger}) takes {took:.3g} microseconds to score a row, "
        f"and {rules.max_microseconds:g} are allowed."
    )


def _other_volume(evaluation: Evaluation, rules: Promote) -> str | None:
    ours = evaluation.of(evaluation.challenger).volumes
    theirs = evaluation.of(CHAMPION).volumes
    least = FEWEST_SAID if LABEL_TYPES[evaluation.target].probabilities else 0.0
    for name, amount in ours.items():
        few, many = sorted((max(amount, least), max(theirs.get(name, 0.0), least)))
        if many > few * (1 + rules.max_volume_change):
            return (
                f"The challenger ({evaluation.challenger}) beats champion version "
                f"{evaluation.champion_version}, {_over(evaluation, _lead(evaluation))}, but its "
                f"{name} is {amount:,.6g} and the champion's is {theirs.get(name, 0.0):,.6g}, a "
                f"change by more than {rules.max_volume_change:.0%}."
            )
    return None


def _reason(evaluation: Evaluation, rules: Promote) -> str:
    name = evaluation.challenger
    if CHAMPION in evaluation.gains:
        return (
            f"The challenger ({name}) beats champion version {evaluation.champion_version}: "
            f"{_over(evaluation, _lead(evaluation))}; {_slices(evaluation, rules)}."
        )
    beside = LABEL_TYPES[evaluation.target].beside
    value = evaluation.of(name).metrics[beside].value
    return (
        f"The challenger ({name}) beats a constant, and there is no champion yet: "
        f"{_said(evaluation, evaluation.gains['constant'])}; {WORDS[beside]} {value or 0:.3f}."
    )


def _slices(evaluation: Evaluation, rules: Promote) -> str:
    judged = len(_judged(evaluation))
    unknown = len(evaluation.slices) - judged + evaluation.small_slices
    return f"none of {judged} slices loses more than {rules.max_slice_loss:g}" + (
        f", and {unknown} more cannot be judged" if unknown else ""
    )


def _unscored(evaluation: Evaluation, rules: Promote) -> str:
    said = [
        f"The challenger ({evaluation.challenger}) could not be compared with champion version "
        f"{evaluation.champion_version}: {evaluation.champion_problem}",
        _objection(evaluation, rules),
        _doubt(evaluation, rules),
        "A person must decide.",
    ]
    return " ".join(filter(None, said))


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


def _over(evaluation: Evaluation, lead: Estimate) -> str:
    """The gain over the champion in words, and that it was not the first look."""
    said = _said(evaluation, lead, confidence=_confidence(evaluation))
    if evaluation.look == 1:
        return said
    return f"{said}, of which {evaluation.look} challengers of it were judged on some"


def _said(
    evaluation: Evaluation,
    lead: Estimate,
    rows: int | None = None,
    confidence: float | None = None,
) -> str:
    """A gain in words: metric, gain, interval, rows."""
    name = WORDS[evaluation.metric]
    if lead.value is None:
        return f"gain in {name} unknown, because {lead.reason}"
    if lead.low is None or lead.high is None:
        return f"gain in {name} {lead.value:+.4f} without an interval, because {lead.reason}"
    sure = 100 * (confidence or evaluation.confidence)
    return (
        f"gain in {name} {lead.value:+.4f} ({sure:.4g}% interval {lead.low:+.4f} "
        f"to {lead.high:+.4f}) on {rows or evaluation.rows} holdout rows"
    )
