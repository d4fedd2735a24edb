"""The evaluation as one page that needs nothing beside it: styles, drawings and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from jobs.label_types import LABEL_TYPES, WORDS
from jobs.learning.evaluate import SMALLEST_SLICE
from jobs.learning.evaluation import CandidateResult, Confusion, Evaluation, SliceResult
from jobs.learning.intervals import FEWEST, Estimate
from jobs.learning.report import charts
from jobs.learning.report.charts import NOTHING, PLOTS, Chart, Scale, chart, number
from jobs.learning.report.details import Curve, Details, Fairness, Group, Growth, WorstSlice
from jobs.learning.targets.kinds import KINDS

if TYPE_CHECKING:
    from jinja2 import Template

T = TypeVar("T", Group, SliceResult)

# What numbers are measured in, where they are not shares or areas from 0 to 1.
IN_THE_LABELS_UNIT = "in the label's unit"
UNITS = {
    "log_loss": "nats",
    "rmse": IN_THE_LABELS_UNIT,
    "mae": IN_THE_LABELS_UNIT,
    "bias": IN_THE_LABELS_UNIT,
}
# What a single row costs.
LOSSES = {
    "binary": "log loss, nats",
    "multiclass": "log loss, nats",
    "regression": "absolute error, in the label's unit",
}
# Beside the words of sentences.
NAMES = {
    **WORDS,
    "brier": "Brier score",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "bias": "mean error",
}
# Each model has its colour in every chart; so many there are.
COLOURS = {"constant": 0, "rule": 1, "linear": 2, "xgboost": 3, "champion": 4}
# More classes make no matrix that can be read, and more rows no table. A slice's groups share their
# number if they are told of for several classes, each of which has some at least.
MOST_CLASSES, MOST_GROUPS, FEWEST_GROUPS, MOST_VALUES, MOST_WEEKS = 20, 30, 5, 60, 60
# A tenth of the score with fewer rows is told by chance alone.
FEWEST_IN_TENTH = 20
# Metrics that are best at a value of their own.
WITHOUT_DIRECTION = {"bias", "coverage"}
# From the one on fewer than four decimals are wanted, and below the other more.
LARGE, SMALL = 100, 0.0005
# The plots that a page shows beside calibration, in their order.
FIRST, THEN = ("roc", "precision_recall"), ("gains", "lift", "deciles", "errors", "residuals")


@dataclass(frozen=True)
class Heading:
    """What the page is of.

    Attributes:
        cutoff: date of the training's, ISO.
        run_id: of the training in MLflow.
    """

    use_case: str
    question: str
    owner: str
    cutoff: str
    run_id: str


def page(heading: Heading, found: Evaluation, details: Details) -> str:
    """The page as HTML. Whatever was written by others, such as names of classes, is escaped."""
    challenger = found.of(found.challenger)
    searched = details.worst.worst if details.worst else ()
    return _template().render(
        heading=heading,
        found=found,
        details=details,
        challenger=challenger,
        others=[name for name in found.gains if name != found.challenger],
        metrics=_metrics(found),
        beside={metric: _beside(found.target, metric) for metric in NAMES},
        confusion=_confusion(challenger),
        values=_largest(found.slices, MOST_VALUES),
        latest=details.weeks[-MOST_WEEKS:],
        smallest=SMALLEST_SLICE,
        fewest=FEWEST,
        charts=_charts(found, details),
        gains=Scale.of(found.gains.values(), 0.0),
        slices=Scale.of([each.estimate for each in found.slices], _main(found)),
        slice_gains=Scale.of([each.gain for each in found.slices], 0.0),
        overall=_main(found),
        weeks=Scale.of([each.estimate for each in details.weeks], _main(found)),
        most=max([each.loss for each in details.importance], default=0.0),
        worse=Scale.of([_more_loss(each) for each in searched], 0.0),
        growth=_growth(details.growth, found.metric) if details.growth else None,
        loss=LOSSES[found.target],
        compared=_compared(details.fairness),
        estimate_of=_more_loss,
    )


def _growth(found: Growth, metric: str) -> Chart:
    curves = {}
    for name, values in found.candidates.items():
        points = [(x, y) for x, y in zip(found.rows, values, strict=True) if y is not None]
        curves[name] = Curve(x=tuple(x for x, _ in points), y=tuple(y for _, y in points))
    return chart(replace(PLOTS["growth"], y=capitalised(named(metric))), curves, COLOURS)


def _more_loss(found: WorstSlice) -> Estimate:
    return Estimate(found.loss - found.elsewhere, found.low, found.high)


def _compared(
    found: tuple[Fairness, ...],
) -> list[tuple[Fairness, tuple[Group, ...], Mapping[str, Scale]]]:
    """What is told of each slice and class, the groups that are shown, and each rate's scale."""
    told = Counter(each.slice for each in found)
    most = {name: max(FEWEST_GROUPS, MOST_GROUPS // times) for name, times in told.items()}
    return [(each, _largest(each.groups, most[each.slice]), _rate_scales(each)) for each in found]


def _rate_scales(found: Fairness) -> Mapping[str, Scale]:
    """A scale for each rate of the groups."""
    rates = found.groups[0].rates if found.groups else ()
    return {name: Scale.of([each.rates[name] for each in found.groups]) for name in rates}


def _largest(parts: tuple[T, ...], most: int) -> tuple[T, ...]:
    """Those with most rows, in the order that they have among all."""
    kept = sorted(range(len(parts)), key=lambda place: -parts[place].rows)[:most]
    return tuple(parts[place] for place in sorted(kept))


def _main(found: Evaluation) -> float:
    return found.of(found.challenger).metrics[found.metric].value or 0.0


def _metrics(found: Evaluation) -> list[str]:
    """All metrics that any candidate has, those of the evaluation's table first."""
    shown = LABEL_TYPES[found.target].shown
    there = {n for one in found.candidates for n, e in one.metrics.items() if e.value is not None}
    every = dict.fromkeys([found.metric, *shown, *found.candidates[0].metrics])
    return [name for name in every if name in there]


def _beside(target: str, metric: str) -> str:
    """What stands beside a metric: its unit, and which values of it are good."""
    known = KINDS[target].metrics.get(metric)
    if known is None or metric in WITHOUT_DIRECTION:
        return UNITS.get(metric, "")
    better = f"{'higher' if known.higher_is_better else 'lower'} is better"
    return f"{UNITS[metric]}, {better}" if metric in UNITS else better


def _confusion(challenger: CandidateResult) -> Mapping[str, Mapping[str, int]]:
    """Rows by true and, below it, by said class, of the largest classes; empty of numbers."""
    counted = challenger.confusion
    if isinstance(counted, Confusion):
        return {
            "yes": {"yes": counted.yes_said_yes, "no": counted.yes_said_no},
            "no": {"yes": counted.no_said_yes, "no": counted.no_said_no},
        }
    largest = sorted(counted or {}, key=lambda name: -challenger.classes[name].rows)[:MOST_CLASSES]
    kept = [name for name in counted or {} if name in largest]
    return {name: {said: (counted or {})[name][said] for said in kept} for name in kept}


def _charts(found: Evaluation, details: Details) -> list[Chart]:
    curves = dict(details.curves)
    calibration = {}
    for one in found.candidates:
        if tenths := [tenth for tenth in one.calibration if tenth.rows >= FEWEST_IN_TENTH]:
            calibration[one.name] = Curve(
                x=tuple(tenth.mean_score for tenth in tenths),
                y=tuple(tenth.share_of_yes for tenth in tenths),
            )
    if calibration:
        curves["calibration"] = calibration
    # Lines of classes are not those of candidates, whatever the classes are called.
    of_models = COLOURS if found.target != "multiclass" else {}
    colours = dict.fromkeys(FIRST, of_models)
    wanted = (*FIRST, "calibration", *THEN)
    return [
        chart(PLOTS[name], curves[name], colours.get(name, COLOURS))
        for name in wanted
        if name in curves
    ]


def called(metric: str) -> str:
    """A metric in words."""
    return NAMES[metric]


def unit(metric: str) -> str:
    """What follows a metric's value: its unit, if it has one."""
    return f" {UNITS[metric]}" if metric in UNITS else ""


def named(metric: str) -> str:
    """A metric at the head of a row, with its unit if it has one."""
    return f"{NAMES[metric]}, {UNITS[metric]}" if metric in UNITS else NAMES[metric]


def capitalised(text: str) -> str:
    """A text at the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def estimated(found: Estimate | None) -> str:
    """A value with its interval, in words."""
    if found is None or found.value is None:
        return "–"
    if found.low is None or found.high is None:
        return figure(found.value)
    return f"{figure(found.value)} ({figure(found.low)} to {figure(found.high)})"


def gained(found: Estimate | None) -> str:
    """A gain with its interval, in words, and whether it is one."""
    if found is None or found.value is None:
        return "–"
    said = f"{'+' if found.value > 0 else ''}{estimated(found)}"
    if found.low is not None and found.low > 0:
        return f"{said}, which is better beyond chance"
    if found.high is not None and found.high < 0:
        return f"{said}, which is worse beyond chance"
    return f"{said}, which may be chance"


def figure(value: float | None) -> str:
    """A metric's value, with as many digits in each cell of a table, unless they were all 0."""
    if value is None or abs(value) >= LARGE:
        return number(value)
    if NOTHING < abs(value) < SMALL:
        return number(value, 2)
    return f"{value if abs(value) > NOTHING else 0.0:.4f}".replace("-", "−")


def share(value: float | None) -> str:
    """A share in percent."""
    return "–" if value is None else f"{100 * value:.1f} %"


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("jobs.learning.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "number": number,
        "figure": figure,
        "called": called,
        "unit": unit,
        "named": named,
        "capitalised": capitalised,
        "estimated": estimated,
        "gained": gained,
        "share": share,
    }
    made.filters.update(filters)
    made.globals["size"] = {
        name.lower(): getattr(charts, name)
        for name in ("WIDTH", "HEIGHT", "LEFT", "RIGHT", "TOP", "BOTTOM")
    }
    return made.get_template("report.html.jinja")
