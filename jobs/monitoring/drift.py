"""Whether the rows that are scored still look like the rows that the model learned from.

What that looked like travels with the model (`jobs.learning.reference`): the bins of each feature,
and how far the weeks of the training lay from the rest of it.

Rows are not what is compared, but weeks. Most features of a day are the same, or alike, in all of
its rows (the weather of the evening before, last week's rates), so a week has seven draws of them
and not some thousand: its index is above any fixed threshold, and a test that counts rows is sure
of a difference every night. A week drifts if it is farther from the training than the training's
own weeks were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.learning.bins import Counts, bins_of, psi
from jobs.learning.weeks import FEWEST_ROWS, Usual
from jobs.usecase import Monitor


@dataclass(frozen=True)
class Drift:
    """How far one feature has moved.

    Attributes:
        psi: population stability index of the week's rows and the training's.
        bound: what it must be above to alarm: `monitor.psi`, or the largest index of a week of
            the training if that is more.
        statistic: t of the index among those of the training's weeks (`Usual.test`).
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
    from scipy.stats import false_discovery_control

    if not counted:
        return []
    bins = bins_of(reference)
    usual = {name: Usual(**found) for name, found in reference["usual"].items()}
    indices = {
        name: float(psi(np.array(bins[name].rows), days.sum(axis=0)))
        for name, days in counted.items()
    }
    tests = {
        name: usual[name].test(indices[name]) if _tells(usual.get(name), days) else (0.0, 1.0)
        for name, days in counted.items()
    }
    q_values = false_discovery_control([p for _, p in tests.values()], method="bh")
    found = []
    for (name, days), q_value in zip(counted.items(), q_values, strict=True):
        statistic, p_value = tests[name]
        bound = max(rules.psi, usual[name].most) if name in usual else rules.psi
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
