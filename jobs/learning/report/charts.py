"""Where the lines, bars and ticks of a chart lie, for the page's template to draw as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from jobs.learning.intervals import Estimate
from jobs.learning.report.details import Curve

# Of a chart and its margins, in the units of its SVG.
WIDTH, HEIGHT = 360, 270
LEFT, RIGHT, TOP, BOTTOM = 50, 8, 8, 40
TICKS = 5
# A line's table has so many rows: it is to be read, and the line has them all.
TOLD = 21
# A distance that is none.
NOTHING = 1e-12

Number = float | int


@dataclass(frozen=True)
class Plot:
    """What is said of a kind of chart, and how it is drawn.

    Attributes:
        share: whether both axes go from 0 to 1.
        guide: the line that a useless or a perfect model would have.
        from_zero: whether its values are compared with 0.
        drawn: a line without dots, `dots` on a line, or `bars`.
        note: how it is read.
    """

    title: str
    x: str
    y: str
    note: str
    share: bool = False
    from_zero: bool = False
    guide: Literal["diagonal", "one"] | None = None
    drawn: Literal["line", "dots", "bars"] = "line"


PLOTS: Mapping[str, Plot] = {
    "roc": Plot(
        "ROC",
        "False positive rate",
        "True positive rate",
        "The nearer to the upper left, the better yes and no are told apart; by chance it would "
        "be the dashed line.",
        share=True,
        guide="diagonal",
    ),
    "precision_recall": Plot(
        "Precision and recall",
        "Recall",
        "Precision",
        "Of the rows above a threshold, which share is rightly there, and which share of all of "
        "the class is among them.",
        share=True,
    ),
    "calibration": Plot(
        "Calibration",
        "Mean score",
        "Share that came true",
        "Tenths of the score, without those of fewer than 20 rows. On the dashed line, of rows "
        "with a score of 0.3 three in ten come true.",
        share=True,
        guide="diagonal",
        drawn="dots",
    ),
    "gains": Plot(
        "Gains",
        "Share of rows, highest scores first",
        "Share of all yes among them",
        "How many of the yes are found if only the rows with the highest scores are looked at.",
        share=True,
        guide="diagonal",
    ),
    "lift": Plot(
        "Lift",
        "Share of rows, highest scores first",
        "Times as many yes as by chance",
        "How much denser the yes are among the rows with the highest scores.",
        from_zero=True,
        guide="one",
        drawn="dots",
    ),
    "deciles": Plot(
        "Predicted and true",
        "Mean prediction, in the label's unit",
        "Mean label, in the label's unit",
        "Each dot is a tenth of the rows, by the prediction. Below the dashed line predictions "
        "are too large.",
        guide="diagonal",
        drawn="dots",
    ),
    "errors": Plot(
        "Sizes of errors",
        "Absolute error, in the label's unit",
        "Share of rows with at most that",
        "The nearer to the upper left, the smaller the errors. The largest 0.5 % are not drawn.",
        from_zero=True,
    ),
    "residuals": Plot(
        "Residuals",
        "Prediction minus label, in the label's unit",
        "Share of rows",
        "Right of 0 predictions are too large. The outermost bars also hold what lies beyond.",
        from_zero=True,
        drawn="bars",
    ),
    "growth": Plot(
        "Learning curve",
        "Rows learned from",
        "",
        "On validation, where rounds, calibration and threshold are chosen, so all of it flatters.",
        drawn="dots",
    ),
}


@dataclass(frozen=True)
class Axis:
    """One direction of a chart: from values to places in its SVG."""

    low: float
    high: float
    begin: float
    end: float

    def place(self, value: float) -> float:
        """Where a value lies, rounded to what can be seen."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.begin + share * (self.end - self.begin), 1)

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Places and values of round numbers."""
        step = _round_step((self.high - self.low) / TICKS)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        values = [count * step for count in range(first, last + 1)]
        return tuple((self.place(value), number(value)) for value in values)


@dataclass(frozen=True)
class Line:
    """One line or set of bars; `colour` is its place among the page's colours."""

    name: str
    colour: int
    points: tuple[tuple[float, float], ...]

    @property
    def path(self) -> str:
        return " ".join(f"{x:g},{y:g}" for x, y in self.points)


@dataclass(frozen=True)
class Chart:
    """A plot with its axes and lines; `rows` are its table: line, x and y."""

    plot: Plot
    x: Axis
    y: Axis
    lines: tuple[Line, ...]
    guide: tuple[float, float, float, float] | None
    rows: tuple[tuple[str, float, float], ...]

    @property
    def bar(self) -> float:
        """The width of a bar."""
        return (WIDTH - LEFT - RIGHT) / max(1, len(self.lines[0].points)) * 0.9


def chart(plot: Plot, curves: Mapping[str, Curve], colours: Mapping[str, int]) -> Chart:
    """A chart of some curves, each in its colour."""
    found = {name: curve for name, curve in curves.items() if curve.x}
    xs = [value for curve in found.values() for value in curve.x]
    ys = [value for curve in found.values() for value in curve.y]
    x_range, y_range = (0.0, 1.0), (0.0, 1.0)
    if not plot.share:
        x_range = _range(xs, 0.0 if plot.drawn == "bars" else 0.03)
        y_range = _range([*ys, *([0.0] if plot.from_zero else [])], 0.03)
    x = Axis(*x_range, LEFT, WIDTH - RIGHT)
    y = Axis(*y_range, HEIGHT - BOTTOM, TOP)
    lines = [
        Line(
            name,
            colours.get(name, place),
            tuple((x.place(a), y.place(b)) for a, b in zip(curve.x, curve.y, strict=True)),
        )
        for place, (name, curve) in enumerate(found.items())
    ]
    return Chart(plot, x, y, tuple(lines), _guide(plot, x, y), tuple(_told(found)))


def _guide(plot: Plot, x: Axis, y: Axis) -> tuple[float, float, float, float] | None:
    if plot.guide is None:
        return None
    if plot.guide == "one":
        return x.begin, y.place(1), x.end, y.place(1)
    low, high = max(x.low, y.low), min(x.high, y.high)
    if low >= high:
        return None
    return x.place(low), y.place(low), x.place(high), y.place(high)


def _told(curves: Mapping[str, Curve]) -> Iterable[tuple[str, float, float]]:
    for name, curve in curves.items():
        every = max(1, -(-len(curve.x) // TOLD))
        points = list(zip(curve.x, curve.y, strict=True))
        for x, y in [*points[:-1:every], points[-1]]:
            yield name, x, y


def _range(values: Iterable[float], margin: float) -> tuple[float, float]:
    there = list(values) or [0.0]
    low, high = min(there), max(there)
    if high - low < NOTHING * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    room = margin * (high - low)
    return low - (room if low else 0.0), high + room


def _round_step(wanted: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(wanted))
    return next(power * each for each in (1, 2, 2.5, 5, 10) if power * each >= wanted * 0.999)


@dataclass(frozen=True)
class Scale:
    """From the values of some intervals to places in percent of a cell's width."""

    low: float
    high: float

    @classmethod
    def of(cls, estimates: Iterable[Estimate | None], *also: float) -> Scale:
        """One that holds all of them."""
        ends = [
            end
            for one in estimates
            if one is not None
            for end in (one.value, one.low, one.high)
            if end is not None
        ]
        return cls(*_range([*ends, *also], 0.05))

    def place(self, value: float) -> float:
        """Where a value lies, from 0 to 100."""
        return round(min(100.0, max(0.0, 100 * (value - self.low) / (self.high - self.low))), 1)


def number(value: Number | None, digits: int = 4) -> str:
    """A number for a person: significant digits, and groups of thousands."""
    if value is None or not math.isfinite(value):
        return "–"
    if isinstance(value, int) or (abs(value) >= 1000 and digits <= 4):
        return f"{value:,.0f}".replace(",", "\u202f").replace("-", "−")
    text = f"{value:.{digits}g}"
    if "e" in text and abs(value) < NOTHING:
        text = "0"
    return text.replace("-", "−")
