"""Whether the rows that are scored still look like the rows that the model learned from.

The reference travels with the model (`jobs.learning.reference`); its bins are counted in the
present rows with the same cut, in one pass on Spark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from jobs.usecase import Monitor

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Counts = NDArray[np.float64]

# Below this, a stability index is mostly noise: its mean without drift is about bins / rows.
FEWEST_ROWS = 200
# Added to each bin, so that an empty one does not make the index infinite (Jeffreys' prior).
PRIOR = 0.5
COUNTED = "feature string, bin long, rows long"


@dataclass(frozen=True)
class Bins:
    """One feature's reference: how to cut it, and how many rows fell into each bin.

    Attributes:
        edges: between the bins of a numeric feature; None for a categorical one.
        values: the values that have a bin of their own in a categorical one.
        rows: reference rows in each bin; the last two of a categorical feature are other values
            and missing, the last of a numeric one is missing (NaN and infinity among it).
    """

    edges: tuple[float, ...] | None
    values: tuple[str, ...]
    rows: tuple[float, ...]

    def place(self, column: pa.Array) -> NDArray[np.int64]:
        """The bin of each value."""
        missing = len(self.rows) - 1
        if self.edges is None:
            found = pc.index_in(column, value_set=pa.array(self.values, pa.string()))
            known = pc.fill_null(found, len(self.values)).to_numpy(zero_copy_only=False)
            absent = column.is_null().to_numpy(zero_copy_only=False)
            return np.where(absent, missing, known).astype(np.int64)
        numbers = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        cut = np.searchsorted(np.array(self.edges), numbers, side="right")
        return np.where(np.isfinite(numbers), cut, missing).astype(np.int64)


@dataclass(frozen=True)
class Drift:
    """How far one feature has moved.

    Attributes:
        psi: population stability index.
        statistic: chi-square of the two samples' binned counts.
        cramers_v: its effect size, 0 to 1, which does not grow with the number of rows.
        p_value: of the chi-square.
        q_value: the p-value corrected for the number of features.
        drifted: psi and q_value both alarm, and there were enough rows.
        rows: present rows.
    """

    feature: str
    psi: float
    statistic: float
    cramers_v: float
    p_value: float
    q_value: float
    drifted: bool
    rows: int


def bins_of(reference: Mapping[str, Any]) -> dict[str, Bins]:
    """The features of a model's reference as bins; its scores are there as `score`."""
    numeric = dict(reference["numeric"])
    if "score" in reference:
        numeric["score"] = reference["score"]
    found = {name: _numeric(seen) for name, seen in numeric.items()}
    return found | {name: _categorical(seen) for name, seen in reference["categorical"].items()}


def count(frame: DataFrame, bins: Mapping[str, Bins]) -> dict[str, Counts]:
    """The rows of `frame` in each bin of those features that it has, in one Spark job."""
    here = {name: one for name, one in bins.items() if name in frame.columns}
    counted = {name: np.zeros(len(one.rows)) for name, one in here.items()}

    def tally(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        totals = {name: np.zeros(len(one.rows), np.int64) for name, one in here.items()}
        for batch in batches:
            for name, one in here.items():
                place = one.place(batch.column(name))
                totals[name] += np.bincount(place, minlength=len(one.rows))
        yield from (_counted(name, rows) for name, rows in totals.items())

    for feature, place, rows in frame.select(*here).mapInArrow(tally, COUNTED).collect():
        counted[feature][place] += rows
    return counted


def compare(bins: Mapping[str, Bins], counted: Mapping[str, Counts], rules: Monitor) -> list[Drift]:
    """Each counted feature against its reference, in the order of the counts.

    The test is the chi-square of homogeneity of the two samples' bins. Its p-values are corrected
    over the features by Benjamini and Hochberg (JRSS B 57(1), 1995), which bounds the share of
    false alarms among the alarms. With many rows everything is significant, with few rows the
    index is noise: an alarm takes both.
    """
    from scipy.stats import false_discovery_control

    if not counted:
        return []
    tested = {name: chi_square(np.array(bins[name].rows), now) for name, now in counted.items()}
    q_values = false_discovery_control([p for _, _, p in tested.values()], method="bh")
    found = []
    for (name, now), q_value in zip(counted.items(), q_values, strict=True):
        index = psi(np.array(bins[name].rows), now)
        statistic, effect, p_value = tested[name]
        enough = now.sum() >= FEWEST_ROWS
        alarm = enough and index >= rules.psi and q_value < rules.false_discovery
        rows = int(now.sum())
        found.append(
            Drift(name, index, statistic, effect, p_value, float(q_value), bool(alarm), rows)
        )
    return found


def psi(reference: Counts, now: Counts) -> float:
    """Population stability index of two samples' counts in the same bins.

    The sum over the bins of (a - e) * ln(a / e), with a and e the shares now and in the reference
    (Siddiqi, Credit Risk Scorecards, 2006): the symmetric Kullback-Leibler divergence. Half a row
    is added to each bin.
    """
    expected = (reference + PRIOR) / (reference.sum() + PRIOR * len(reference))
    actual = (now + PRIOR) / (now.sum() + PRIOR * len(now))
    return float(((actual - expected) * np.log(actual / expected)).sum())


def chi_square(reference: Counts, now: Counts) -> tuple[float, float, float]:
    """Pearson's chi-square of homogeneity, Cramér's V and the p-value, of counts in bins.

    Bins that are empty in both samples say nothing and are left out; with one bin left, or no
    rows, there is nothing to test: 0, 0 and 1.
    """
    from scipy.stats import chi2_contingency

    table = np.vstack([reference, now])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 0.0, 0.0, 1.0
    found = chi2_contingency(table, correction=False)
    statistic = float(found.statistic)
    return statistic, float(np.sqrt(statistic / table.sum())), float(found.pvalue)


def _counted(name: str, rows: NDArray[np.int64]) -> pa.RecordBatch:
    columns = [pa.array([name] * len(rows)), pa.array(np.arange(len(rows))), pa.array(rows)]
    return pa.RecordBatch.from_arrays(columns, names=["feature", "bin", "rows"])


def _numeric(seen: Mapping[str, Any]) -> Bins:
    there = seen["rows"] * (1 - seen["missing"])
    rows = [*(share * there for share in seen["shares"]), seen["rows"] * seen["missing"]]
    return Bins(tuple(seen["edges"]), (), tuple(rows))


def _categorical(seen: Mapping[str, Any]) -> Bins:
    there = seen["rows"] * (1 - seen["missing"])
    shares = [*seen["values"].values(), seen["other"]]
    rows = [*(share * there for share in shares), seen["rows"] * seen["missing"]]
    return Bins(None, tuple(seen["values"]), tuple(rows))
