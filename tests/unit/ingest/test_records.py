"""Files as they really come: what is read, what is kept as malformed, what is refused whole."""

from __future__ import annotations

import gzip
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.ingest.records import batches
from jobs.ingest.text import Limits, Text, Unreadable
from jobs.usecase import Source

PACKED = gzip.compress(b"a,b,c\n" + b"1,2,3\n" * 1000)


def source(**written: Any) -> Source:
    columns = {name: {"type": "string"} for name in "abc"}
    return Source.model_validate(
        {
            "landing": "x/*.csv",
            "arrives": {"as": "snapshot"},
            "format": written,
            "key": ["a"],
            "columns": columns,
        }
    )


def rows(
    content: bytes, name: str = "x.csv", limits: Limits | None = None, **written: Any
) -> list[dict[str, Any]]:
    spec = source(**written)
    text = Text(
        io.BytesIO(content), name, len(content), spec.format.encoding, limits or Limits(record=64)
    )
    found = [row for batch in batches(text, spec) for row in batch.to_pylist()]
    return sorted(found, key=lambda row: row["_row"])


def values(content: bytes, **kwargs: Any) -> list[tuple[Any, ...]]:
    return [(row["a"], row["b"], row["c"]) for row in rows(content, **kwargs)]


@pytest.mark.parametrize(
    ("content", "written", "expected"),
    [
        (b"\xef\xbb\xbfa,b,c\n1,2,3\n", {}, ("1", "2", "3")),
        (b"a,b,c\r\n1,2,3\r\n", {}, ("1", "2", "3")),
        (b"c,a,b\n3,1,2\n", {}, ("1", "2", "3")),
        (b"a;b;c\n1;2,5;3\n", {"delimiter": ";"}, ("1", "2,5", "3")),
        (b'a,b,c\n1,"x\ny",3\n', {}, ("1", "x\ny", "3")),
        (b"a,b,c\n1,=cmd(),'; DROP TABLE x;--\n", {}, ("1", "=cmd()", "'; DROP TABLE x;--")),
        (b'a,b,c\n1,NA,""\n', {}, ("1", None, None)),
        ("a,b,c\n1,ü,3\n".encode("latin-1"), {"encoding": "latin-1"}, ("1", "ü", "3")),
        ("a,b,c\n1,ü,3\n".encode("utf-16"), {"encoding": "utf-16"}, ("1", "ü", "3")),
        (b"a,b,c\n1,2,3", {"final_newline": "optional"}, ("1", "2", "3")),
        (gzip.compress(b"a,b,c\n1,2,3\n"), {}, ("1", "2", "3")),
    ],
)
def test_reads_as_delivered(
    content: bytes, written: dict[str, str], expected: tuple[str, ...]
) -> None:
    assert values(content, **written) == [expected]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty (0 bytes)"),
        (b"\n\n", "has no header"),
        (b"a,b,c\n", "has a header but no rows"),
        (b"a,b,c\n1,2,3\n4,5", "was cut off after 15 bytes: its last line 3 has no end"),
        (b"a,bb,c\n1,2,3\n", "lacks 'b' (renamed to 'bb'?), has unexpected 'bb'"),
        (b"a,b\n1,2\n", "lacks 'c'"),
        (b"a,b,c,c\n1,2,3,4\n", "has 'c' twice"),
        (b"a;b;c\n1;2;3\n", "has one column only; is its delimiter ','?"),
        ("a,b,c\n1,2,3\n1,ü,3\n".encode("latin-1"), "is not utf-8: byte 0xfc in line 3"),
        (b"a,b,c\n1,\0,3\n", "holds a NUL character"),
        (b'a,b,c\n1,2,3\n4,5,"x\n7,8,9\n', "opens a quote in record 2 that never closes"),
        (b"a,b,c\n1,2," + b"z" * 500 + b"\n", "holds a record of more than 64 bytes"),
        (PACKED[:-20], "is a gzip file that was cut off"),
        (PACKED[:30] + b"\0\0\0" + PACKED[33:], "is a damaged gzip file"),
    ],
)
def test_refuses_a_whole_file(content: bytes, sentence: str) -> None:
    with pytest.raises(Unreadable) as refused:
        rows(content)
    assert sentence in str(refused.value)


def test_refuses_a_gzip_bomb_before_it_is_unpacked() -> None:
    bomb = gzip.compress(b"a,b,c\n" + b"1,2,3\n" * 1_000_000)
    text = Text(io.BytesIO(bomb), "x.csv.gz", len(bomb), "utf-8", Limits(unpacked=100_000, ratio=2))
    with pytest.raises(Unreadable, match="a gzip bomb"):
        list(batches(text, source()))
    assert text.unpacked < 32 << 20


def test_refuses_a_gz_name_that_is_not_gzip() -> None:
    with pytest.raises(Unreadable, match=r"named \.gz but is not gzip"):
        rows(b"a,b,c\n1,2,3\n", name="x.csv.gz")


def test_a_record_with_too_many_or_too_few_fields_is_kept_as_malformed() -> None:
    found = rows(b"a,b,c\n1,2,3\n\n4,5\n6,7,8,9\n1,2,3\n")
    assert [row["_row"] for row in found] == [1, 2, 3, 4]
    assert [row["_malformed"] for row in found] == [
        None,
        "2 fields instead of 3: 4,5",
        "4 fields instead of 3: 6,7,8,9",
        None,
    ]
    assert found[1]["a"] is None


def test_a_field_of_ten_megabytes_is_malformed_and_its_neighbours_are_not() -> None:
    content = b"a,b,c\n1,2,3\n4,5," + b"z" * 10_000_000 + b"\n7,8,9\n"
    found = rows(content, limits=Limits())
    assert [row["c"] for row in found] == ["3", None, "9"]
    assert found[1]["_malformed"].startswith("field c holds 10,000,000 bytes: zzz")
    assert len(found[1]["_malformed"]) < 2000


@given(
    bad=st.lists(st.booleans(), min_size=1, max_size=60),
    width=st.integers(0, 20),
    block=st.sampled_from([40, 64, 100, 1000]),
)
@settings(max_examples=60, deadline=None)
def test_records_keep_their_number_however_the_file_is_cut_into_blocks(
    bad: list[bool], width: int, block: int
) -> None:
    lines = [f"{n},x" if is_bad else f"{n},x,{'y' * width}" for n, is_bad in enumerate(bad, 1)]
    found = rows(("a,b,c\n" + "\n".join(lines) + "\n").encode(), limits=Limits(record=block))
    assert [row["_row"] for row in found] == list(range(1, len(bad) + 1))
    assert [row["_malformed"] is not None for row in found] == bad
    assert all(row["a"] == str(row["_row"]) for row in found if row["_malformed"] is None)
