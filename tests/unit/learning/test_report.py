"""The page of an evaluation: what it tells, and that nothing in it runs or comes from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from jobs.learning.evaluation import Evaluation
from jobs.learning.intervals import Estimate
from jobs.learning.report.charts import PLOTS, Scale, chart, number
from jobs.learning.report.details import Curve, Details
from jobs.learning.report.page import Heading, page
from tests.unit.learning.judged import HOSTILE, METRIC, Judged, N, judged

KINDS = tuple(METRIC)
HEADING = Heading("late_parcel", "Which parcels <b>will</b> be late?", "depot", "2024-02-01", "4f")
VOID = {"meta", "line", "circle", "rect", "polyline", "br"}


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest) -> Judged:
    return judged(request.param)


def details(case: Judged) -> Details:
    found = case.found.challenger
    return Details(curves=case.target.curves(case.holdout.labels, case.models, found))


def points_of(x: Sequence[float], y: Sequence[float]) -> set[tuple[str, str]]:
    """Points as they are kept."""
    return {(f"{a:.5g}", f"{b:.5g}") for a, b in zip(x, y, strict=True)}


class Tags(HTMLParser):
    """Which tags a page opens, and whether each is closed where it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_a_page_is_whole_and_needs_nothing_beside_it(case):
    written = page(HEADING, case.found, details(case))
    tags = Tags()
    tags.feed(written)
    assert tags.open == []
    assert len(written.encode()) < 500_000
    assert not {"script", "link", "img", "iframe", "object"} & set(tags.seen)
    assert tags.addresses == []
    assert not re.search(r"url\(|@import|https?:", written)
    assert tags.seen.count("figure") == written.count("<summary>Numbers</summary>")
    assert "prefers-color-scheme: dark" in written


def test_what_others_wrote_is_text_and_no_markup(case):
    written = page(HEADING, case.found, details(case))
    assert HOSTILE not in written
    assert "&lt;script&gt;alert" in written
    assert "Which parcels &lt;b&gt;will&lt;/b&gt; be late?" in written


def test_a_page_says_who_won_and_by_how_much(case):
    written = page(HEADING, case.found, details(case))
    best = case.found.of("xgboost").metrics[case.found.metric]
    assert f"{best.value:.4f} ({best.low:.4f} to {best.high:.4f})" in written
    assert "Gain over the champion, version 3" in written


def test_a_page_without_a_champion_or_slices():
    for kind in KINDS:
        case = judged(kind, champion=False)
        found = case.found.model_copy(update={"slices": ()})
        written = page(HEADING, found, details(case))
        assert "There is no champion yet." in written
        assert "Declared slices" not in written


def test_details_are_the_same_after_json(case):
    found = details(case)
    assert Details.model_validate_json(found.model_dump_json()) == found
    assert Evaluation.model_validate_json(case.found.model_dump_json()) == case.found


def test_curves_as_scikit_learn():
    case = judged("binary")
    labels, scores = case.holdout.labels, case.challenger.scores
    curves = details(case).curves
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    roc = curves["roc"]["xgboost"]
    assert points_of(roc.x, roc.y) <= points_of(false, true)
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)
    precision, recall, _ = precision_recall_curve(labels, scores)
    found = curves["precision_recall"]["xgboost"]
    assert points_of(found.x, found.y) <= points_of(recall, precision)


def test_lift_of_a_constant_is_one_and_that_of_the_best_tenth_is_counted():
    case = judged("binary")
    labels, scores = case.holdout.labels, case.challenger.scores
    lift = details(case).curves["lift"]
    assert lift["constant"].y == pytest.approx([1] * 10)
    tenth = np.argsort(-scores)[: N // 10]
    assert lift["xgboost"].y[0] == pytest.approx(labels[tenth].mean() / labels.mean(), rel=1e-4)


def test_residuals_count_every_row():
    found = details(judged("regression")).curves["residuals"]["xgboost"]
    assert sum(found.y) == pytest.approx(1, abs=1e-3)


def test_f1_of_a_class_is_that_of_its_precision_and_recall(case):
    for one in case.found.of("xgboost").classes.values():
        assert one.f1 == pytest.approx(
            2 * one.precision * one.recall / (one.precision + one.recall)
        )


def test_a_chart_of_one_point_or_of_equal_ones_has_axes():
    for values in ((3.0,), (2.0, 2.0)):
        found = chart(PLOTS["deciles"], {"constant": Curve(x=values, y=values)}, {})
        assert all(np.isfinite(place) for line in found.lines for place in sum(line.points, ()))
        assert found.x.ticks


def test_places_stay_within_a_cell():
    scale = Scale.of([Estimate(0.5, 0.2, 0.9), Estimate(None, reason="x"), None], 0.0)
    assert 0 <= scale.place(0.2) < scale.place(0.9) <= 100
    assert scale.place(7) == 100


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (float("nan"), "–"), (12345, "12\u202f345"), (-0.5, "−0.5"), (0.123456, "0.1235"),
     (1234567.8, "1\u202f234\u202f568"), (1e-17, "0")],
)  # fmt: skip
def test_numbers_are_written_for_people(value, said):
    assert number(value) == said
