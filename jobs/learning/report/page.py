"""The evaluation as one page that needs nothing beside it: styles, drawings and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jobs.label_types import LABEL_TYPES, WORDS
from jobs.learning.evaluation import CandidateResult, Confusion, Evaluation
from jobs.learning.intervals import Estimate
from jobs.learning.report import charts
from jobs.learning.report.charts import PLOTS, Chart, Scale, chart, number
from jobs.learning.report.details import Curve, Details

if TYPE_CHECKING:
    from jinja2 import Template

# What numbers are measured in, where they are not shares or areas from 0 to 1.
IN_THE_LABELS_UNIT = "in the label's unit"
UNITS = {
    "log_loss": "nats",
    "rmse": IN_THE_LABELS_UNIT,
    "mae": IN_THE_LABELS_UNIT,
    "bias": IN_THE_LABELS_UNIT,
}
# Beside the words of sentences.
NAMES = {**WORDS, "brier": "Brier score", "f1": "F1", "precision": "precision", "recall": "recall"}
# Each model has its colour in every chart; so many there are.
COLOURS = {"constant": 0, "rule": 1, "linear": 2, "xgboost": 3, "champion": 4}
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
    return _template().render(
        heading=heading,
        found=found,
        details=details,
        challenger=challenger,
        others=[name for name in found.gains if name != found.challenger],
        metrics=_metrics(found),
        confusion=_confusion(challenger),
        charts=_charts(found, details),
        gains=Scale.of(found.gains.values(), 0.0),
        slices=Scale.of([each.estimate for each in found.slices], _main(found)),
        slice_gains=Scale.of([each.gain for each in found.slices], 0.0),
        overall=_main(found),
    )


def _main(found: Evaluation) -> float:
    return found.of(found.challenger).metrics[found.metric].value or 0.0


def _metrics(found: Evaluation) -> list[str]:
    """All metrics, those of the evaluation's table first."""
    shown = LABEL_TYPES[found.target].shown
    return list(dict.fromkeys([found.metric, *shown, *found.candidates[0].metrics]))


def _confusion(challenger: CandidateResult) -> Mapping[str, Mapping[str, int]]:
    """Rows by true and, below it, by said class; empty of numbers."""
    counted = challenger.confusion
    if isinstance(counted, Confusion):
        return {
            "yes": {"yes": counted.yes_said_yes, "no": counted.yes_said_no},
            "no": {"yes": counted.no_said_yes, "no": counted.no_said_no},
        }
    return counted or {}


def _charts(found: Evaluation, details: Details) -> list[Chart]:
    curves = dict(details.curves)
    calibration = {
        one.name: Curve(
            x=tuple(bin_.mean_score for bin_ in one.calibration),
            y=tuple(bin_.share_of_yes for bin_ in one.calibration),
        )
        for one in found.candidates
        if one.calibration
    }
    if calibration:
        curves["calibration"] = calibration
    wanted = (*FIRST, "calibration", *THEN)
    return [chart(PLOTS[name], curves[name], COLOURS) for name in wanted if name in curves]


def named(metric: str) -> str:
    """A metric in words, with its unit if it has one."""
    unit = UNITS.get(metric)
    return NAMES.get(metric, metric) + (f", {unit}" if unit else "")


def estimated(found: Estimate | None) -> str:
    """A value with its interval, in words."""
    if found is None or found.value is None:
        return "–"
    if found.low is None or found.high is None:
        return f"{found.value:.4f}"
    return f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f})"


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
        "named": named,
        "estimated": estimated,
        "share": share,
    }
    made.filters.update(filters)
    made.globals["size"] = {
        name.lower(): getattr(charts, name)
        for name in ("WIDTH", "HEIGHT", "LEFT", "RIGHT", "TOP", "BOTTOM")
    }
    return made.get_template("report.html.jinja")
