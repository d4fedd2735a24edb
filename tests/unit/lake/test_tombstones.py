"""What was erased is known again by any way of writing it, and is not written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.lake.tombstones import Tombstones, canonical
from jobs.usecase import Column

COLUMNS = {
    "customer": Column(type="integer"),
    "name": Column(type="string"),
    "share": Column(type="number"),
}


def test_an_erased_entity_is_known_again_after_a_restart(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert not Tombstones.read(root).has({"customer": "42"}, COLUMNS)
    first = Tombstones.read(root).with_another({"customer": "4711"}, [COLUMNS])
    both = first.with_another({"name": "ann", "share": "0.5"}, [COLUMNS])
    both.write(root)
    kept = Tombstones.read(root)
    assert kept == both
    assert "4711" not in (tmp_path / "_erased.json").read_text()
    for row in ({"customer": "04711", "name": "x"}, {"name": "ann", "share": ".50", "x": "1"}):
        assert kept.has({**dict.fromkeys(COLUMNS), **row}, COLUMNS), row
    for row in ({"customer": "471"}, {"name": "ann", "share": "0.6"}, {"name": "Ann"}):
        assert not kept.has({**dict.fromkeys(COLUMNS), **row}, COLUMNS), row


def test_the_same_twice_is_one() -> None:
    once = Tombstones.read("/nowhere").with_another({"customer": "1"}, [COLUMNS])
    assert once.with_another({"customer": "01"}, [COLUMNS]) == once


@pytest.mark.parametrize(("columns", "left"), [(["customer"], 1), (["name"], 0), ([], 0)])
def test_only_those_count_whose_columns_are_there(columns: list[str], left: int) -> None:
    stones = Tombstones.read("/nowhere").with_another({"customer": "1"}, [COLUMNS])
    assert len(stones.of({name: COLUMNS[name] for name in columns}).erased) == left


def test_an_entity_is_known_again_by_each_sources_own_types() -> None:
    whole, text = {"customer": Column(type="integer")}, {"customer": Column(type="string")}
    stones = Tombstones.read("/nowhere").with_another({"customer": "0042"}, [whole, text])
    assert stones.has({"customer": "42"}, whole)
    assert stones.has({"customer": "0042"}, text)
    assert not stones.has({"customer": "42x"}, text)


@pytest.mark.parametrize(
    ("kind", "ways", "other"),
    [
        ("integer", ["42", "042", "+42", " 42 ", "42.0", "4.2e1"], "42.5"),
        ("integer", ["9007199254740993"], "9007199254740992"),
        ("number", ["0.5", ".50", "5e-1", "+0.5 "], "0.51"),
        ("number", ["0", "-0", "0.0"], "1"),
        ("date", ["2024-01-02", "2024-1-2", " 2024-01-02T00:00:00"], "2024-01-20"),
        (
            "timestamp",
            ["2024-01-02T05:00:00Z", "2024-01-02 00:00:00-05:00", "2024-01-02T05:00"],
            "2024-01-02T05:00:00-05:00",
        ),
        ("boolean", ["true", "TRUE", "1", "yes"], "false"),
        ("string", ["42"], "042"),
    ],
)
def test_a_value_is_the_same_however_it_is_written(kind: str, ways: list[str], other: str) -> None:
    column = Column.model_validate({"type": kind})
    assert len({canonical(column, text) for text in ways}) == 1
    assert canonical(column, other) != canonical(column, ways[0])


DAY = Column(type="date", format="d/M/yyyy")
AT = Column(type="timestamp", format="yyyy-MM-dd H:mm", zone="Europe/Vienna")


@pytest.mark.parametrize(
    ("column", "said", "ways", "others"),
    [
        (DAY, "2024-02-01", ["1/2/2024", "01/02/2024", " 1/2/2024"], ["2/1/2024", "2024-01-02"]),
        (
            AT,
            "2024-07-01T05:00Z",
            ["2024-07-01 7:00", "2024-07-01 07:00"],
            ["2024-07-01 5:00", "2024-07-01T05:00Z"],
        ),
    ],
)
def test_files_write_it_in_the_columns_format_and_people_do_not(
    column: Column, said: str, ways: list[str], others: list[str]
) -> None:
    stones = Tombstones.read("/nowhere").with_another({"who": said}, [{"who": column}])
    assert all(stones.has({"who": way}, {"who": column}) for way in ways)
    assert not any(stones.has({"who": other}, {"who": column}) for other in others)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("integer", "9" * 5000),
        ("integer", "1_000"),
        ("number", "nan"),
        ("number", "1e999"),
        ("date", "2024-02-30"),
        ("timestamp", "0001-01-01T00:00:00+05:00"),
    ],
)
def test_what_is_no_value_of_its_type_stands_for_itself(kind: str, text: str) -> None:
    assert canonical(Column.model_validate({"type": kind}), text) == text
