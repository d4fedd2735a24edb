"""Whether the rows that are scored still look like the rows that the model learned from.

What that looked like travels with the model (`jobs.learning.reference`): the bins of each feature,
and how far the weeks of the training lay from the rest of it.

Rows are not what is compared, but weeks. Most features of a day are the same, or alike, in all of
its rows (the weather of the evening before, last week's rates), so a week has seven draws of them
and not some thousand: its index is above any fixed threshold, and a test that counts rows is sure
of a difference every night. A week drifts if it is farther from the training than the training's
own weeks were.

Entities without a date are another matter. A training has all of them as one night saw them, so
there are no weeks, and no day that its rows have in common: each entity is a draw of its own. What
is compared are the entities of which the model has learned no label. Those that it has learned look
the same every night, and its scores of them are better than of others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import functions as F

from jobs.learning.bins import Counts, bins_of, psi
from jobs.learning.weeks import FEWEST_ROWS, Usual
from jobs.usecase import Monitor

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Statistic and p-value where there is too little to tell.
SILENT = (0.0, 1.0)


@dataclass(frozen=True)
class Drift:
    """How far one feature has moved.

    Attributes:
        psi: population stability index of the rows now and the training's.
        bound: what it must be above to alarm: `monitor.psi`, or the largest index of a week of
            the training if that is more.
        statistic: t of the index among those of the training's weeks (`Usual.test`), or of
            entities without a date chi-square.
        p_value: of the statistic.
        q_value: the p-value corrected for the number of features.
        drifted: psi and q_value both alarm, and there were enough rows and days to tell.
        rows: present rows.
    """

    feature: str
    psi: float
    bound: float
    statistic: float
    p_value: float
    q_value: float
    drifted: bool
    rows: int


def compare(
    reference: Mapping[str, Any], counted: Mapping[str, Counts], rules: Monitor
) -> list[Drift]:
    """Each counted feature's week against a model's reference, in the order of the counts.

    The p-values are corrected over the features by Benjamini and Hochberg (JRSS B 57(1), 1995),
    which bounds the share of false alarms among the alarms. An alarm also takes an index that is
    above what is declared, and above that of every week of the training: a shift that matters,
    whatever the tail of the distribution. A training of less than three weeks, or a week with
    fewer rows or days than those of the training, does not tell.

    Args:
        reference: of the model.
        counted: the rows of the week's days in each bin.
    """
    indices = _indices(reference, counted)
    usual = {name: Usual(**found) for name, found in reference["usual"].items()}
    tests = {
        name: usual[name].test(indices[name]) if _tells(usual.get(name), days) else SILENT
        for name, days in counted.items()
    }
    bounds = {name: max(rules.psi, one.most) for name, one in usual.items()}
    return _judged(counted, indices, tests, bounds, rules)


def compare_entities(
    reference: Mapping[str, Any], counted: Mapping[str, Counts], rules: Monitor
) -> list[Drift]:
    """Entities without a date as they are tonight against a model's reference; else as `compare`.

    The test is Pearson's of homogeneity: whether both are draws from the same bins. An index above
    what is declared is asked for as well, because of many entities it finds any difference.

    Args:
        reference: of the model.
        counted: the rows in each bin of entities that it has learned no label of.
    """
    bins = bins_of(reference)
    tests = {
        name: _homogeneous(np.array(bins[name].rows), rows.sum(axis=0))
        for name, rows in counted.items()
    }
    return _judged(counted, _indices(reference, counted), tests, {}, rules)


def unlearned(
    rows: DataFrame, labels: DataFrame, key: Sequence[str], known_at: dt.datetime
) -> DataFrame:
    """Those of some rows whose entity had no label yet when a model learned all that was known."""
    known = labels.where(F.col("_arrived_at") < F.lit(known_at)).select(*key)
    return rows.join(known, on=list(key), how="left_anti")


def _indices(reference: Mapping[str, Any], counted: Mapping[str, Counts]) -> dict[str, float]:
    bins = bins_of(reference)
    return {
        name: float(psi(np.array(bins[name].rows), rows.sum(axis=0)))
        for name, rows in counted.items()
    }


def _homogeneous(then: Counts, now: Counts) -> tuple[float, float]:
    """Pearson's chi-square of rows in the same bins, and its p-value."""
    from scipy.stats import chi2_contingency

    there = then + now > 0
    if min(then.sum(), now.sum()) < FEWEST_ROWS or there.sum() < 2:
        return SILENT
    found = chi2_contingency(np.array([then[there], now[there]]), correction=False)
    return float(found.statistic), float(found.pvalue)


def _judged(
    counted: Mapping[str, Counts],
    indices: Mapping[str, float],
    tests: Mapping[str, tuple[float, float]],
    bounds: Mapping[str, float],
    rules: Monitor,
) -> list[Drift]:
    from scipy.stats import false_discovery_control

    if not counted:
        return []
    q_values = false_discovery_control([p for _, p in tests.values()], method="bh")
    found = []
    for (name, days), q_value in zip(counted.items(), q_values, strict=True):
        statistic, p_value = tests[name]
        bound = bounds.get(name, rules.psi)
        found.append(
            Drift(
                feature=name,
                psi=indices[name],
                bound=bound,
                statistic=statistic,
                p_value=p_value,
                q_value=float(q_value),
                drifted=bool(indices[name] > bound and q_value < rules.false_discovery),
                rows=int(days.sum()),
            )
        )
    return found


def _tells(usual: Usual | None, days: Counts) -> bool:
    if usual is None or days.sum() < FEWEST_ROWS:
        return False
    return int(days.any(axis=1).sum()) >= usual.days
