"""The page of an evaluation: what it tells, and that nothing in it runs or comes from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from jobs.learning.evaluation import ClassResult, Evaluation
from jobs.learning.intervals import Estimate, Resamples
from jobs.learning.report.charts import PLOTS, Scale, chart, number
from jobs.learning.report.details import (
    Curve,
    Details,
    Example,
    Fairness,
    Growth,
    Searched,
    Weight,
    WorstSlice,
)
from jobs.learning.report.fairness import fairness
from jobs.learning.report.page import Heading, figure, page
from jobs.learning.report.stability import by_week, changed
from tests.unit.learning.judged import HOSTILE, METRIC, Judged, N, judged

KINDS = tuple(METRIC)
HEADING = Heading("late_parcel", "Which parcels <b>will</b> be late?", "depot", "2024-02-01", "4f")
VOID = {"meta", "line", "circle", "rect", "polyline", "br"}


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest) -> Judged:
    return judged(request.param)


def details(case: Judged) -> Details:
    """With every section, of which some are of made-up rows."""
    name, target, holdout = case.found.challenger, case.target, case.holdout
    draws, metric = Resamples.of(holdout.dates, 1), case.found.metric
    part = WorstSlice(
        feature="depot",
        value=HOSTILE,
        rows=300,
        loss=0.7,
        elsewhere=0.4,
        low=0.2,
        high=0.4,
        p=1e-7,
        label=None if target.shape else 0.4,
        score=None if target.shape else 0.3,
    )
    example = Example(
        key={"parcel": HOSTILE},
        label="yes",
        score="no, with a score of 0.010",
        loss=4.6,
        features={HOSTILE: HOSTILE},
    )
    return Details(
        curves=target.curves(holdout.labels, case.models, name),
        weeks=by_week(target, holdout, case.challenger, draws, metric, 0.95),
        changed=changed(target, holdout.labels, case.models, name),
        fairness=fairness(target, holdout, case.challenger, draws, ("depot",), 0.95),
        worst=Searched(looked_at=40, found=1, worst=(part,)),
        importance=(
            Weight(feature="weight", loss=0.09, least=0.085, most=0.1),
            Weight(feature=HOSTILE, loss=-0.001, least=-0.003, most=0.002),
        ),
        shuffled=2000,
        examples=(example,),
        growth=Growth(
            rows=(250, 500, 1000, 2000),
            candidates={
                "constant": (None, 0.5, 0.5, 0.5),
                name: (0.71, 0.752, 0.7731, 0.7811),
            },
        ),
    )


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


def test_what_was_asked_for_and_could_not_be_had_is_told_at_the_top():
    case = judged("binary")
    lacking = case.found.model_copy(update={"remark": "No threshold has a precision of 0.9."})
    top, _ = page(HEADING, lacking, details(case)).split("<h2>", 1)
    assert "<p>No threshold has a precision of 0.9.</p>" in top


def test_a_feature_that_may_know_too_much_is_told_at_the_top():
    case = judged("binary")
    leaky = case.found.model_copy(update={"leaks": (f"The feature {HOSTILE} alone tells all.",)})
    top, _ = page(HEADING, leaky, details(case)).split("<h2>", 1)
    assert "Warning: The feature &lt;script&gt;" in top
    assert "Warning" not in page(HEADING, case.found, details(case))


def test_a_page_of_nothing_but_curves():
    case = judged("binary")
    bare = Details(curves=details(case).curves)
    written = page(HEADING, case.found, bare)
    for title in (
        "Fairness",
        "Week by week",
        "What counts",
        "Where it errs most",
        "Costliest",
        "Is more",
    ):
        assert f"<h2>{title}" not in written
        assert f"<h2>{title}" in page(HEADING, case.found, details(case))
    alone = bare.model_copy(
        update={"fairness": (Fairness(slice="depot", said=None, groups=(), differences={}),)}
    )
    assert "there is nothing to compare" in page(HEADING, case.found, alone)
    nothing = bare.model_copy(update={"worst": Searched(looked_at=40, found=0, worst=())})
    assert "none loses significantly more" in page(HEADING, case.found, nothing)


def test_a_page_of_many_classes_stays_small():
    case = judged("multiclass")
    names = [f"class {n}" for n in range(150)]
    best = case.found.of("xgboost")
    many = best.model_copy(
        update={
            "classes": {name: ClassResult.of(3, 5, 10 + n) for n, name in enumerate(names)},
            "confusion": {name: dict.fromkeys(names, 1) for name in names},
        }
    )
    found = case.found.model_copy(update={"candidates": (many,)})
    written = page(HEADING, found, details(case))
    assert "the 20 largest of 150 classes" in written
    assert len(written.encode()) < 300_000


def test_a_page_of_many_groups_slices_and_weeks_stays_small():
    case = judged("multiclass")
    whole = details(case)
    one = whole.fairness[0]
    groups = tuple(
        one.groups[0].model_copy(update={"value": f"depot {n}", "rows": 1000 + n})
        for n in range(300)
    )
    week = whole.weeks[0]
    many = whole.model_copy(
        update={
            "fairness": (one.model_copy(update={"groups": groups}),) * 8,
            "weeks": (week.model_copy(update={"first": "1999-01-01"}), *[week] * 500),
        }
    )
    slices = tuple(
        case.found.slices[0].model_copy(update={"value": f"street {n}", "rows": 200 + n})
        for n in range(900)
    )
    found = case.found.model_copy(update={"slices": slices})
    written = page(HEADING, found, many)
    assert len(written.encode()) < 400_000
    assert "these are the 60 largest of 900; evaluation.json has them all" in written
    assert "These are the 5 largest of 300 groups" in written
    assert "these are the last 60 of 501" in written
    assert "street 899<" in written
    assert "street 0<" not in written
    assert "depot 299<" in written
    assert "depot 0<" not in written
    assert "1999-01-01" not in written


def test_a_metric_says_which_values_of_it_are_good_and_one_without_a_value_is_left_out(case):
    written = page(HEADING, case.found, details(case))
    assert "higher is better" in written
    assert "lower is better" in written
    assert ">coverage<" not in written


def test_a_gain_is_told_from_chance():
    for gain, said in (
        (Estimate(0.1, 0.05, 0.2), "+0.1000 (0.0500 to 0.2000), which is better beyond chance."),
        (
            Estimate(-0.1, -0.2, -0.05),
            "−0.1000 (−0.2000 to −0.0500), which is worse beyond chance.",
        ),
        (Estimate(0.1, -0.2, 0.2), "+0.1000 (−0.2000 to 0.2000), which may be chance."),
    ):
        case = judged("binary")
        found = case.found.model_copy(update={"gains": {**case.found.gains, "champion": gain}})
        assert f"version 3: {said}" in page(HEADING, found, details(case))


def test_a_page_says_why_there_is_no_value():
    case = judged("binary")
    part = case.found.slices[0].model_copy(update={"estimate": Estimate(None, reason="no <yes>")})
    found = case.found.model_copy(update={"slices": (part,)})
    assert "no &lt;yes&gt;" in page(HEADING, found, details(case))
    mute = details(case).model_copy(update={"importance": ()})
    assert "has no meaning on these rows" in page(HEADING, case.found, mute)


def test_a_page_says_on_how_many_rows_features_were_looked_at():
    case = judged("binary")
    found = details(case).model_copy(update={"sampled": 1260})
    written = page(HEADING, case.found, found)
    assert "parts of 1\u202f260 rows of the holdout" in written
    assert "fewer than 200 rows, or of fewer than 10 dates, are not looked at" in written
    assert "Of 1\u202f260 rows of the holdout, with the features" in written


def test_a_page_is_read_without_a_mouse_and_on_paper(case):
    written = page(HEADING, case.found, details(case))
    assert written.count('class="wide"') == written.count('class="wide" tabindex="0"')
    assert "@media screen and (prefers-color-scheme: dark)" in written
    assert "print-color-adjust: exact" in written


def test_classes_that_are_called_like_candidates_have_colours_of_their_own():
    case = judged("multiclass")
    curves = details(case).curves["roc"]
    named = dict(zip(("linear", "rule", "other"), curves.values(), strict=True))
    found = details(case).model_copy(update={"curves": {"roc": named}})
    written = page(HEADING, case.found, found)
    (roc,) = re.findall(r"<figcaption>ROC</figcaption>.*?</figure>", written, re.DOTALL)
    assert len(set(re.findall(r'polyline class="(c\d)"', roc))) == 3


def test_a_line_of_a_single_point_is_seen_and_tenths_of_few_rows_are_not():
    case = judged("binary")
    written = page(HEADING, case.found, details(case))
    (drawn,) = re.findall(r"<figcaption>Precision and recall.*?</figure>", written, re.DOTALL)
    assert drawn.count("<circle") == 1
    best = case.found.of("xgboost")
    few = tuple(tenth.model_copy(update={"rows": 3}) for tenth in best.calibration)
    found = case.found.model_copy(
        update={"candidates": (best.model_copy(update={"calibration": few}),)}
    )
    assert "<figcaption>Calibration" not in page(HEADING, found, details(case))


def test_the_tenths_of_a_constant_are_one():
    found = details(judged("regression")).curves["deciles"]
    assert len(found["constant"].x) == 1
    assert len(found["xgboost"].x) == 10


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
    [(None, "–"), (0.12346, "0.1235"), (-1e-17, "0.0000"), (-1.2e-5, "−1.2e−05"), (123.4, "123.4")],
)  # fmt: skip
def test_figures_are_not_all_noughts(value, said):
    assert figure(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (float("nan"), "–"), (12345, "12\u202f345"), (-0.5, "−0.5"), (0.123456, "0.1235"),
     (1234567.8, "1\u202f234\u202f568"), (1e-17, "0")],
)  # fmt: skip
def test_numbers_are_written_for_people(value, said):
    assert number(value) == said
