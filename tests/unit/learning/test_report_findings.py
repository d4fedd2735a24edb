"""What the page tells beside the evidence, each against a count by hand."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit

from jobs.learning.calibrate import Uncalibrated
from jobs.learning.holdout import Holdout, Scored
from jobs.learning.intervals import Resamples
from jobs.learning.model import Model
from jobs.learning.report.costly import LONGEST, costliest
from jobs.learning.report.fairness import ERROR, FALSE, ODDS, PARITY, SELECTED, TRUE, fairness
from jobs.learning.report.importance import importance
from jobs.learning.report.sample import Sample
from jobs.learning.report.stability import by_week, changed
from jobs.learning.report.worst import worst
from jobs.learning.targets.binary import Binary
from jobs.learning.targets.regression import Regression
from jobs.learning.targets.target import measured
from tests.unit.learning.judged import DAYS, EACH, HOSTILE, METRIC, Judged, N, judged

KINDS = tuple(METRIC)


@dataclass(frozen=True)
class ByWeight:
    """A candidate that looks at one feature."""

    kind: str = "linear"

    def raw(self, batch: pa.RecordBatch) -> np.ndarray:
        return expit(batch.column("weight").to_numpy())


MODEL = Model(
    use_case="late_parcel",
    cutoff="2024-02-01",
    numeric=("hour", "weight"),
    categorical=("depot",),
    timestamp=(),
    text=(),
    candidate=ByWeight(),
    target=Binary(),
    calibration=Uncalibrated(),
    threshold=0.5,
)


def sample(seed: int = 1, much: float = 0.0, rows: int = N) -> Sample:
    """Rows of which those from the south are labelled by chance in a share of `much`."""
    rng = np.random.default_rng(seed)
    weight, hour = rng.normal(scale=2, size=rows), rng.integers(6, 22, rows).astype(float)
    depot = rng.choice(["north", "south", None], rows, p=[0.6, 0.3, 0.1]).astype(object)
    chance = expit(weight)
    labels = (rng.random(rows) < chance).astype(float)
    astray = (depot == "south") & (rng.random(rows) < much)
    labels = np.where(astray, 1 - labels, labels)
    columns = {
        "parcel": np.arange(rows),
        "hour": hour,
        "weight": weight,
        "depot": pa.array(depot, pa.string()),
    }
    drawn = np.arange(rows) * DAYS // rows
    return Sample(pa.table(columns), labels, Scored(chance, 0.5), drawn)


def draws_of(case: Judged) -> Resamples:
    return Resamples.of(case.holdout.dates, 1)


def test_rates_of_groups_by_hand():
    case = judged("binary")
    found = fairness(case.target, case.holdout, case.challenger, draws_of(case), ("depot",), 0.95)
    (one,) = found
    assert (one.said, {each.value for each in one.groups}) == ("yes", {"north", "south", HOSTILE})
    said = case.challenger.scores >= case.challenger.threshold
    true, by_hand = case.holdout.labels == 1, {}
    for group in one.groups:
        mine = case.holdout.slices["depot"] == group.value
        by_hand[group.value] = (
            said[mine].mean(), said[mine & true].mean(), said[mine & ~true].mean()
        )  # fmt: skip
        rates = [group.rates[name] for name in (SELECTED, TRUE, FALSE)]
        assert [rate.value for rate in rates] == pytest.approx(by_hand[group.value])
        assert all(rate.low < rate.value < rate.high for rate in rates)
        assert group.rows == mine.sum()
    apart = np.ptp(np.array([*by_hand.values()]), axis=0)
    assert one.differences[PARITY].value == pytest.approx(apart[0])
    assert one.differences[ODDS].value == pytest.approx(max(apart[1:]))


def test_an_unfair_model_is_found_out():
    case = judged("binary")
    south = case.holdout.slices["depot"] == "south"
    unfair = Scored(np.where(south, case.challenger.scores, 0.1), 0.4)
    (one,) = fairness(case.target, case.holdout, unfair, draws_of(case), ("depot",), 0.95)
    assert one.differences[ODDS].low > 0.5


def test_groups_of_classes_and_of_numbers():
    case = judged("multiclass")
    found = fairness(case.target, case.holdout, case.challenger, draws_of(case), ("depot",), 0.95)
    assert [one.said for one in found] == list(case.target.names)
    case = judged("regression")
    (one,) = fairness(case.target, case.holdout, case.challenger, draws_of(case), ("depot",), 0.95)
    mine = case.holdout.slices["depot"] == "south"
    errors = (case.challenger.scores - case.holdout.labels)[mine]
    group = next(each for each in one.groups if each.value == "south")
    assert group.rates[ERROR].value == pytest.approx(errors.mean())


@pytest.mark.parametrize("kind", KINDS)
def test_groups_are_drawn_once_for_all_rates_and_classes(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, drawn = judged(kind), []
    draw = Resamples.weights
    monkeypatch.setattr(Resamples, "weights", lambda *of: drawn.append(of) or draw(*of))
    fairness(case.target, case.holdout, case.challenger, draws_of(case), ("depot",), 0.95)
    assert len(drawn) == 1


def test_groups_with_few_rows_or_without_a_value_are_left_out():
    case = judged("binary")
    column = np.where(np.arange(N) % 40 == 0, "rare", case.holdout.slices["depot"]).astype(object)
    column[column == "south"] = None
    holdout = replace(case.holdout, slices={"depot": column})
    (one,) = fairness(case.target, holdout, case.challenger, draws_of(case), ("depot",), 0.95)
    assert {each.value for each in one.groups} == {"north", HOSTILE}


def test_a_long_value_of_a_group_takes_its_own_memory_only():
    case = judged("binary")
    column = case.holdout.slices["depot"].copy()
    column[column == "south"] = "south " * 20_000
    holdout = replace(case.holdout, slices={"depot": column})
    tracemalloc.start()
    fairness(case.target, holdout, case.challenger, draws_of(case), ("depot",), 0.95)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 200e6


def test_a_single_group_is_compared_with_nothing():
    case = judged("binary")
    holdout = replace(case.holdout, slices={"depot": np.full(N, "north", dtype=object)})
    (one,) = fairness(case.target, holdout, case.challenger, draws_of(case), ("depot",), 0.95)
    assert (one.said, dict(one.differences)) == (None, {})
    assert [each.rates for each in one.groups] == [{}]


def test_the_part_that_is_spoilt_is_found_and_its_excess_is_covered():
    rows = sample(much=0.3)
    found = worst(Binary(), rows, MODEL.numeric, MODEL.categorical, 0.95)
    first = found.worst[0]
    assert (first.feature, first.value) == ("depot", "south")
    assert first.low < first.loss - first.elsewhere < first.high
    assert first.low > 0
    assert found.looked_at == 2 * 4 + 3
    mine = np.array(rows.table["depot"].to_pylist(), dtype=object) == "south"
    assert first.rows == mine.sum()
    assert first.label == pytest.approx(rows.labels[mine].mean())


def test_where_no_part_is_worse_hardly_any_is_found():
    # Of ten searches in which nothing is there to be found. The weight says how sure a row is, so
    # that its quarters differ truly.
    found = [worst(Binary(), sample(seed), ("hour",), ("depot",), 0.95) for seed in range(40)]
    assert sum(one.found > 0 for one in found) <= 6


def of_days(seed: int) -> Sample:
    """Rows whose losses differ by day, with a wind and a holiday that say no more than the day, and
    are in no way connected with how much is lost.
    """
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(DAYS), 210)
    labels = np.abs(rng.normal(size=DAYS)[day] + rng.normal(scale=0.3, size=len(day)))
    columns = {
        "wind": (rng.permutation(DAYS)[day] < 12).astype(float),
        "holiday": pa.array(np.where(day == rng.integers(DAYS), "yes", "no")),
    }
    return Sample(pa.table(columns), labels, Scored(np.zeros(len(day))), day)


def test_a_holiday_is_not_called_worse_for_having_been_one_day():
    found = [worst(Regression(), of_days(seed), (), ("holiday",), 0.95) for seed in range(20)]
    assert found == [None] * 20


def test_what_is_found_is_above_0_in_its_interval():
    edges = []
    for seed in range(20):
        for much in (0.02, 0.05):
            found = worst(Binary(), sample(seed, much), MODEL.numeric, MODEL.categorical, 0.95)
            edges += [one.low for one in found.worst]
    assert len(edges) > 20
    assert min(edges) > 0


def test_a_part_of_many_days_is_judged_by_its_days():
    found = [worst(Regression(), of_days(seed), ("wind",), (), 0.95) for seed in range(60)]
    assert {one.looked_at for one in found} == {2}
    # By rows they all are far apart.
    assert sum(one.found > 0 for one in found) <= 6


def test_a_flag_that_is_rarely_set_is_looked_at():
    rows = sample()
    flag = (np.arange(N) % 9 == 0).astype(float)
    spoilt = np.where(flag == 1, 1 - (rows.scored.scores > 0.5), rows.labels)
    found = worst(
        Binary(),
        replace(rows, table=pa.table({"express": flag}), labels=spoilt),
        ("express",),
        (),
        0.95,
    )
    assert found.looked_at == 2
    assert [(one.value, one.rows) for one in found.worst] == [("1 or more", int(flag.sum()))]


def test_quarters_that_lie_close_together_have_names_of_their_own():
    rows = sample()
    far = 2000 + np.random.default_rng(1).permutation(N) / N / 100
    spoilt = np.where(far > 2000.0075, 1 - (rows.scored.scores > 0.5), rows.labels)
    near = replace(rows, table=pa.table({"far": far}), labels=spoilt)
    (one,) = worst(Binary(), near, ("far",), (), 0.95).worst
    assert one.value == "2000.007 or more"


def test_parts_of_few_rows_are_not_looked_at():
    rows = sample()
    few = np.arange(100)
    small = Sample(
        rows.table.take(few),
        rows.labels[few],
        Scored(rows.scored.scores[few], 0.5),
        rows.drawn[few],
    )
    assert worst(Binary(), small, MODEL.numeric, MODEL.categorical, 0.95) is None


def test_only_what_a_model_looks_at_counts():
    found, rows = importance(sample(), MODEL, "roc_auc", 1)
    assert [one.feature for one in found] == ["weight"]
    assert rows == 2000
    # Without it the ranking is by chance.
    chosen = sample()
    whole = measured(Binary(), chosen.labels, chosen.scored)["roc_auc"]
    assert found[0].loss == pytest.approx(whole - 0.5, abs=0.03)
    assert found[0].least <= found[0].loss <= found[0].most


def test_where_yes_is_rare_more_rows_are_dealt_out():
    rows = sample(rows=12_000)
    rare = np.zeros(12_000)
    rare[rows.scored.scores > np.sort(rows.scored.scores)[-200]] = 1
    found, dealt = importance(replace(rows, labels=rare), MODEL, "roc_auc", 1)
    assert dealt == 6031
    assert [one.feature for one in found] == ["weight"]
    rare[np.flatnonzero(rare)[3:]] = 0
    assert importance(replace(rows, labels=rare), MODEL, "roc_auc", 1)[1] == 10_000


def test_importance_is_the_same_every_time():
    assert importance(sample(), MODEL, "log_loss", 1) == importance(sample(), MODEL, "log_loss", 1)


def test_the_costliest_errors_come_first_with_their_keys():
    rows = sample()
    found = costliest(Binary(), rows, ("parcel",), ("weight", "depot"), 5)
    assert [one.loss for one in found] == sorted((one.loss for one in found), reverse=True)
    losses = Binary().losses(rows.labels, rows.scored)
    assert found[0].loss == pytest.approx(losses.max())
    assert found[0].key == {"parcel": str(losses.argmax())}
    assert {one.label for one in found} <= {"yes", "no"}
    assert all(one.score.split(",")[0] != one.label for one in found)
    assert set(found[0].features) == {"weight", "depot"}
    assert costliest(Binary(), rows, ("parcel",), (), 0) == ()


def test_the_largest_errors_of_numbers_and_long_values():
    rows = sample()
    texts = pa.array(["long " * 100] * N)
    numbers = Sample(
        rows.table.append_column("note", texts), rows.labels * 10, Scored(np.zeros(N)), rows.drawn
    )
    (one, _) = costliest(Regression(), numbers, ("parcel",), ("note",), 2)
    assert (one.label, one.score, one.loss) == ("10", "0", 10)
    assert len(one.features["note"]) == LONGEST


@pytest.mark.parametrize("kind", KINDS)
def test_each_week_has_the_metric_of_its_rows(kind):
    case = judged(kind)
    metric = case.found.metric
    found = by_week(case.target, case.holdout, case.challenger, draws_of(case), metric, 0.95)
    assert [one.rows for one in found] == [7 * EACH] * 4
    assert (found[1].first, found[1].last) == ("2024-02-08", "2024-02-14")
    rows = slice(7 * EACH, 14 * EACH)
    by_hand = measured(case.target, case.holdout.labels[rows], case.challenger.at(rows))[metric]
    assert found[1].estimate.value == pytest.approx(by_hand)
    assert found[1].estimate.low < by_hand < found[1].estimate.high


def test_a_single_week_is_not_told_by_week():
    case = judged("binary")
    one = Holdout(case.holdout.labels, np.repeat(case.holdout.dates[:1], N), {})
    assert by_week(case.target, one, case.challenger, draws_of(case), "roc_auc", 0.95) == ()


def test_what_changed_by_hand():
    labels = np.array([1.0, 1, 0, 0, 1])
    new, old = Scored(np.array([0.9, 0.2, 0.1, 0.8, 0.6]), 0.5), Scored(np.full(5, 0.6), 0.5)
    found = changed(Binary(), labels, {"linear": new, "champion": old}, "linear")
    assert (found.said_otherwise, found.righted, found.wronged) == (2, 1, 1)
    # Closer in the first and third, farther in two, alike in the last.
    assert found.closer == pytest.approx(0.5)
    assert found.shift == pytest.approx(-0.08)
    assert changed(Binary(), labels, {"linear": new}, "linear") is None
    numbers = changed(Regression(), labels, {"linear": new, "champion": old}, "linear")
    assert (numbers.said_otherwise, numbers.closer) == (None, pytest.approx(0.5))
