"""What was erased is known again by any way of writing it, and is not written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.lake.tombstones import Tombstones
from jobs.usecase import Column

COLUMNS = {
    "customer": Column(type="integer"),
    "name": Column(type="string"),
    "share": Column(type="number"),
}


def test_an_erased_entity_is_known_again_after_a_restart(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert not Tombstones.read(root).has({"customer": "42"}, COLUMNS)
    first = Tombstones.read(root).with_another({"customer": "4711"}, COLUMNS)
    both = first.with_another({"name": "ann", "share": "0.5"}, COLUMNS)
    both.write(root)
    kept = Tombstones.read(root)
    assert kept == both
    assert "4711" not in (tmp_path / "_erased.json").read_text()
    for row in ({"customer": "04711", "name": "x"}, {"name": "ann", "share": ".50", "x": "1"}):
        assert kept.has({**dict.fromkeys(COLUMNS), **row}, COLUMNS), row
    for row in ({"customer": "471"}, {"name": "ann", "share": "0.6"}, {"name": "Ann"}):
        assert not kept.has({**dict.fromkeys(COLUMNS), **row}, COLUMNS), row


def test_the_same_twice_is_one() -> None:
    once = Tombstones.read("/nowhere").with_another({"customer": "1"}, COLUMNS)
    assert once.with_another({"customer": "01"}, COLUMNS) == once


@pytest.mark.parametrize(("columns", "left"), [(["customer"], 1), (["name"], 0), ([], 0)])
def test_only_those_count_whose_columns_are_there(columns: list[str], left: int) -> None:
    stones = Tombstones.read("/nowhere").with_another({"customer": "1"}, COLUMNS)
    assert len(stones.of({name: COLUMNS[name] for name in columns}).erased) == left
