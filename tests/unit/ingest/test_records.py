"""Files as they really come: what is read, what is kept as malformed, what is refused whole."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from jobs.ingest.records import batches
from jobs.ingest.text import Limits, Text, Unreadable
from jobs.usecase import Source

PACKED = gzip.compress(b"a,b,c\n" + b"1,2,3\n" * 1000, mtime=0)


DAY = dt.date(2024, 1, 2)


def source(
    drift: str = "refuse", columns: dict[str, dict[str, Any]] | None = None, **written: Any
) -> Source:
    return Source.model_validate(
        {
            "landing": "x/*",
            "arrives": {"as": "snapshot"},
            "format": written,
            "key": ["a"],
            "columns": {name: {"type": "string"} for name in "abc"} | (columns or {}),
            "drift": drift,
        }
    )


def rows(
    content: bytes, name: str = "x.csv", limits: Limits | None = None, **written: Any
) -> list[dict[str, Any]]:
    raw, bound = io.BytesIO(content), limits or Limits(record=64)
    read = batches(raw, name, len(content), source(**written), DAY, bound)
    found = [row for batch in read for row in batch.to_pylist()]
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
        (gzip.compress(b"a,b,c\n1,2,3\n", mtime=0), {}, ("1", "2", "3")),
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
    limits = Limits(unpacked=100_000, ratio=2)
    with pytest.raises(Unreadable, match="a gzip bomb"):
        list(batches(io.BytesIO(bomb), "x.csv.gz", len(bomb), source(), DAY, limits))
    text = Text(io.BytesIO(bomb), "x.csv.gz", len(bomb), "utf-8", limits)
    with pytest.raises(Unreadable, match="a gzip bomb"):
        list(iter(text.read, b""))
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


def written(**columns: Any) -> bytes:
    """A Parquet file of these columns."""
    content = io.BytesIO()
    parquet.write_table(pa.table(columns), content)
    return content.getvalue()


def test_json_lines_keep_the_digits_they_are_written_with() -> None:
    lines = [
        b'\xef\xbb\xbf{"a": 1.50, "b": true, "c": "x\\ny"}',
        b"",
        b'{"c": 12345678901234567890, "a": null, "b": {"d": [1]}}',
        b'{"b": "NA", "a": 1e3, "c": ""}',
    ]
    found = rows(b"\n".join(lines) + b"\n", type="jsonl", limits=Limits())
    assert [(row["a"], row["b"], row["c"], row["_row"]) for row in found] == [
        ("1.50", "true", "x\ny", 1),
        (None, '{"d": ["1"]}', "12345678901234567890", 2),
        ("1e3", "NA", "", 3),
    ]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_texts_that_mean_missing_do_so_in_every_format(kind: str) -> None:
    content = {
        "csv": b'a,b,c\nx,-9,?\n"?",2,\n',
        "jsonl": b'{"a": "x", "b": -9, "c": "?"}\n{"a": "?", "b": 2, "c": ""}\n',
        "parquet": written(a=["x", "?"], b=[-9, 2], c=["?", ""]),
    }[kind]
    found = values(content, type=kind, null=["?", "-9"], limits=Limits())
    assert found == [("x", None, None), (None, "2", "")]


def test_a_line_that_is_no_json_object_is_malformed() -> None:
    content = (
        b'{"a": "1", "b": "2", "c": "3"}\n{"a": "1"\n[1]\n{"b": NaN, "a": "4"}\n'
        b'{"a": "\\ud800"}\n{"a": "\\u0000"}\n{"a": "\\ud83d\\ude00"}\n'
    )
    found = rows(content, type="jsonl", limits=Limits())
    assert [(row["_malformed"] or "")[:15] for row in found] == [
        "",
        "no JSON (Expect",
        "no JSON object:",
        "",
        "holds a charact",
        "holds a charact",
        "",
    ]
    assert found[6]["a"] == "😀"
    assert (found[3]["a"], found[3]["b"], found[3]["c"]) == ("4", "NaN", None)


def test_parquet_as_the_text_that_csv_would_have() -> None:
    at = dt.datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=dt.UTC)
    content = written(
        a=pa.array([1.0, None, 2.5]),
        b=pa.array([at, None, at], pa.timestamp("ns", "America/New_York")),
        c=pa.array([dt.date(2024, 1, 2), None, dt.date(2024, 2, 29)]),
    )
    found = rows(content, type="parquet", columns={"a": {"type": "integer"}}, limits=Limits())
    assert [(row["a"], row["b"], row["c"], row["_row"]) for row in found] == [
        ("1", "2024-01-02T03:04:05.000678Z", "2024-01-02", 1),
        (None, None, None, 2),
        ("2.5", "2024-01-02T03:04:05.000678Z", "2024-02-29", 3),
    ]


WHOLE = written(a=["1"], b=["2"], c=["3"])


@pytest.mark.parametrize(
    ("content", "kind", "sentence"),
    [
        (b"", "jsonl", "is empty (0 bytes)"),
        (b"\n\n", "jsonl", "holds no records"),
        (b'{"a": 1, "b": 2, "c": 3}', "jsonl", "was cut off after 24 bytes"),
        (b'{"a": 1, "bb": 2, "c": 3}\n', "jsonl", "lacks 'b' (renamed to 'bb'?)"),
        (b"", "parquet", "is empty (0 bytes)"),
        (WHOLE[: len(WHOLE) // 2], "parquet", "is cut off after"),
        (b"a,b,c\n1,2,3\n", "parquet", "or no Parquet file"),
        (written(a=["1"], b=["2"]), "parquet", "lacks 'c'"),
        (written(a=[["1"]], b=["2"], c=["3"]), "parquet", "has 'a' as list<"),
        (written(a=pa.array([], pa.string()), b=pa.nulls(0), c=pa.nulls(0)), "parquet", "no rows"),
    ],
)
def test_other_formats_are_refused_whole_too(content: bytes, kind: str, sentence: str) -> None:
    with pytest.raises(Unreadable) as refused:
        rows(content, type=kind)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_huge_value_of_another_format_is_malformed(kind: str) -> None:
    huge = "z" * 10_000_000
    table = {"a": ["1", "2"], "b": ["1", huge], "c": ["1", "2"]}
    lines = "".join(
        json.dumps(dict(zip("abc", row, strict=True))) + "\n"
        for row in zip(*table.values(), strict=True)
    )
    content = written(**table) if kind == "parquet" else lines.encode()
    first, second = rows(content, type=kind, limits=Limits())
    assert (first["b"], first["_malformed"]) == ("1", None)
    assert second["_malformed"].startswith("field b holds 10,000,000 bytes: zzz")
    assert (second["a"], second["b"]) == (None, None)


EXTRA = {
    "csv": b"a,x,b,c\n1,07,2,3\n",
    "jsonl": b'{"a": "1", "x": "07", "b": "2", "c": "3"}\n',
    "parquet": written(a=["1"], x=["07"], b=["2"], c=["3"]),
}


@pytest.mark.parametrize("kind", EXTRA)
def test_a_column_that_nobody_declared_is_refused_or_kept(kind: str) -> None:
    with pytest.raises(Unreadable, match="has unexpected 'x'"):
        rows(EXTRA[kind], type=kind)
    (found,) = rows(EXTRA[kind], type=kind, drift="keep_extra", limits=Limits())
    assert json.loads(found["_extra"]) == {"x": "07"}
    assert (found["a"], found["b"], found["c"]) == ("1", "2", "3")


def test_a_column_comes_and_goes_and_changes_its_name_as_declared() -> None:
    evolving = {
        "b": {"type": "string", "since": "2024-01-03"},
        "c": {"type": "string", "formerly": ["sea"]},
    }
    (found,) = rows(b"a,sea\n1,3\n", drift="declared", columns=evolving)
    assert (found["a"], found["b"], found["c"]) == ("1", None, "3")
    (early,) = rows(b"a,b,c\n1,2,3\n", drift="declared", columns=evolving)
    assert early["b"] == "2"
    gone = {"b": {"type": "string", "until": "2024-01-02"}}
    with pytest.raises(Unreadable, match="lacks 'b'"):
        rows(b"a,c\n1,3\n", drift="declared", columns=gone)
