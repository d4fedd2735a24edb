from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from jobs.learning.leak import leaks_of
from jobs.learning.targets.binary import Binary
from jobs.usecase import Features

N = 1000
RNG = np.random.default_rng(1)
LABELS = (RNG.random(N) < 0.3).astype(float)
SPEC = Features(history=0, numeric=("number",), categorical=("text",))


def rows(**columns: object) -> pa.Table:
    honest = {"number": RNG.normal(size=N), "text": RNG.choice(["a", "b"], N)}
    return pa.table({**honest, **columns})


LEAKS = {
    "number": [LABELS * 60 + RNG.normal(size=N), -LABELS, np.where(LABELS == 1, np.nan, 5.0)],
    "text": [np.where(LABELS == 1, "late", "on time")],
}


@pytest.mark.parametrize(
    ("name", "values"), [(name, values) for name, many in LEAKS.items() for values in many]
)
def test_a_feature_that_gives_the_label_away_is_named(name, values):
    (said,) = leaks_of(rows(**{name: values}), LABELS, SPEC, Binary())
    assert said.startswith(f"The feature {name} alone")


MORE = Features.model_validate(
    {
        **SPEC.model_dump(),
        "timestamp": ["at"],
        "text": ["note"],
        "transforms": [
            {"do": "calendar", "of": "at", "parts": ["hour"]},
            {"do": "length", "of": "note"},
        ],
    }
)
MOMENTS = pa.array(range(N), pa.timestamp("us", "UTC"))
NOTES = pa.array([f"note {n}" for n in range(N)])


def test_what_moments_and_texts_say_is_not_looked_at():
    assert not leaks_of(rows(at=MOMENTS, note=NOTES), LABELS, MORE, Binary())
    some = pa.array(RNG.random(N) < 0.5 + 0.3 * LABELS)
    there = {"at": pc.if_else(some, MOMENTS, None), "note": pc.if_else(some, NOTES, None)}
    assert not leaks_of(rows(**there), LABELS, MORE, Binary())


@pytest.mark.parametrize("name", ["at", "note"])
@pytest.mark.parametrize("there_for", [0, 1])
def test_a_moment_or_a_text_that_only_one_label_has_is_named(name, there_for):
    honest = {"at": MOMENTS, "note": NOTES}
    leak = pc.if_else(pa.array(there_for == LABELS), honest[name], None)
    (said,) = leaks_of(rows(**{**honest, name: leak}), LABELS, MORE, Binary())
    assert said.startswith(f"Whether the feature {name} has a value alone tells yes")


def test_good_features_pass():
    assert not leaks_of(rows(number=LABELS + RNG.normal(size=N)), LABELS, SPEC, Binary())


def test_a_name_of_its_own_for_every_row_is_no_leak():
    assert not leaks_of(rows(text=[f"row {place}" for place in range(N)]), LABELS, SPEC, Binary())
