"""A landing file without one entity's records, and otherwise as it was, byte for byte."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import zlib
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from jobs.erasure import rewriting
from jobs.erasure.entity import Entity
from jobs.erasure.rewriting import without
from jobs.ingest.text import Limits, Unreadable
from jobs.usecase import Column, Source


def packed(content: bytes) -> bytes:
    """Gzipped, without the moment: the names of tests are the same in each process."""
    return gzip.compress(content, mtime=0)


DAY = dt.date(2024, 1, 2)
ANN = Entity({"who": "ann"})


def source(**written: Any) -> Source:
    return Source.model_validate(
        {
            "landing": "x/*",
            "arrives": {"as": "snapshot"},
            "format": written,
            "drift": "declared",
            "key": ["who"],
            "columns": {
                "who": {"type": "string", "header": "Who"},
                "text": {"type": "string", "formerly": ["words"]},
            },
        }
    )


def as_parquet(**columns: list[object]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.table(columns), out)
    return out.getvalue()


def test_only_the_records_of_the_entity_go() -> None:
    content = (
        b'\xef\xbb\xbfWho,words\r\nann,1\r\n"bob","says ""ann""\r\nand more"\r\n\r\nann,"x\ny"\r\n'
        b"annette,2\r\nbob,3\n"
    )
    less, gone = without(content, source(), DAY, ANN)
    assert gone == 2
    assert less == (
        b'\xef\xbb\xbfWho,words\r\n"bob","says ""ann""\r\nand more"\r\n\r\nannette,2\r\nbob,3\n'
    )
    assert without(less, source(), DAY, ANN) == (less, 0)


def test_a_record_that_cannot_be_split_goes_if_it_names_the_entity() -> None:
    content = b"text,Who\nbad ann\nbad bob\nx,ann\n"
    assert without(content, source(), DAY, ANN) == (b"text,Who\nbad bob\n", 2)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_packing_and_encoding_stay(encoding: str) -> None:
    text = "Who,text\nann,ü\nbob,ö\n"
    less, gone = without(packed(text.encode(encoding)), source(encoding=encoding), DAY, ANN)
    assert gone == 1
    assert gzip.decompress(less).decode(encoding) == "Who,text\nbob,ö\n"


def test_json_lines() -> None:
    content = b'{"Who": "ann"}\n{"Who": "bob", "text": "ann"}\nann\n\n'
    less, gone = without(content, source(type="jsonl"), DAY, ANN)
    assert (less, gone) == (b'{"Who": "bob", "text": "ann"}\n\n', 2)


def test_parquet() -> None:
    out = io.BytesIO()
    parquet.write_table(pa.table({"Who": ["ann", "bob", None], "text": ["1", "2", "3"]}), out)
    less, gone = without(out.getvalue(), source(type="parquet"), DAY, ANN)
    assert gone == 1
    assert parquet.read_table(io.BytesIO(less)).to_pydict() == {
        "Who": ["bob", None],
        "text": ["2", "3"],
    }


def damaged(packed: bytes) -> bytes:
    """Another byte in the middle of what was deflated."""
    middle = len(packed) // 2
    return packed[:middle] + bytes([packed[middle] ^ 0xFF]) + packed[middle + 1 :]


BOB = b"Who,text\nbob,1\n" * 300


def test_a_damaged_file_is_one_that_zlib_itself_refuses() -> None:
    with pytest.raises(zlib.error):
        gzip.decompress(damaged(packed(BOB)))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (damaged(packed(BOB)), "cannot be unpacked"),
        (packed(b"Who,text\nbob,1\n")[:-9], "cannot be unpacked"),
        (b"Who,text\n\xff,1\nann,2\n", "is not utf-8 text"),
        (packed(b"Who,text\n\xff,1\nann,2\n"), "is not utf-8 text"),
        ("Who,text\nann,1\n".encode("utf-16"), "is not utf-8 text"),
        ("Who,text\nbob,1\n".encode("utf-16-le"), "holds a NUL character"),
        (zlib.compress(BOB), "is not utf-8 text"),
        (b"Name,text\nann,1\n", "lacks 'Who'"),
        (b"Who,Who,text\nann,bob,1\n", "has 'who' twice"),
        (b'Who,text\nbob,"1\nann,2\n', "opens a quote that never closes"),
    ],
)
def test_what_cannot_be_searched_and_may_name_the_entity_is_told(content: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        without(content, source(), DAY, ANN)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Who,text\n\xff,1\nannette,2\n",
        packed(b"Who,text\n\xff,1\nbob,2\n"),
        "Who,text\nbob,1\n".encode("utf-16"),
        b"Name,text\nbob,1\n",
        b'Who,text\nann-marie,"1\nbob,2\n',
    ],
)
def test_what_cannot_be_searched_but_does_not_name_the_entity_is_left_alone(content: bytes) -> None:
    assert without(content, source(), DAY, ANN) == (content, 0)


def test_names_are_found_in_other_encodings_than_the_declared_one() -> None:
    written, who = "Who\nJürgen\n", Entity({"who": "Jürgen"})
    for encoding in ("cp1252", "utf-16"):
        with pytest.raises(Unreadable):
            without(written.encode(encoding), source(), DAY, who)
    with pytest.raises(Unreadable):
        without(written.encode(), source(encoding="ascii"), DAY, who)


def test_a_bomb_is_not_unpacked_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "ANY", Limits(unpacked=1 << 16, ratio=10))
    with pytest.raises(Unreadable, match="a gzip bomb"):
        without(packed(b"Who\n" + b"bob\n" * (1 << 20)), source(), DAY, ANN)


def test_json_lines_without_the_column_are_searched_as_text() -> None:
    spec = source(type="jsonl")
    with pytest.raises(Unreadable, match="lacks 'Who'"):
        without(b'{"Name": "ann"}\n', spec, DAY, ANN)
    deep = b'{"Name": "bob"}\n' + b"[" * 100_000 + b"\n"
    assert without(deep, spec, DAY, ANN) == (deep, 0)


def test_parquet_without_the_column_or_cut_off() -> None:
    spec, bob = source(type="parquet"), as_parquet(Name=["bob"], text=["1"])
    with pytest.raises(Unreadable, match="lacks 'Who'"):
        without(as_parquet(Name=["bob", "ann"]), spec, DAY, ANN)
    assert without(bob, spec, DAY, ANN) == (bob, 0)
    with pytest.raises(Unreadable, match="no Parquet file"):
        without(bob[:-9], spec, DAY, ANN)
    with pytest.raises(Unreadable, match="no Parquet file"):
        without(b"Who\nann\n", spec, DAY, ANN)
    assert without(b"Who\nbob\n", spec, DAY, ANN) == (b"Who\nbob\n", 0)


def test_a_file_with_other_columns_is_searched_by_those_that_name_the_entity() -> None:
    less, gone = without(b"Who,more\nann,1\nbob,2\n", source(), DAY, ANN)
    assert (less, gone) == (b"Who,more\nbob,2\n", 1)
    less, gone = without(
        as_parquet(Who=["ann", "bob"], more=[[1], [2]]), source(type="parquet"), DAY, ANN
    )
    assert gone == 1
    assert parquet.read_table(io.BytesIO(less)).to_pydict() == {"Who": ["bob"], "more": [[2]]}


def test_days_are_known_in_the_format_of_their_column() -> None:
    spec = source()
    columns = {**spec.columns, "text": Column(type="date", format="M/d/yyyy")}
    spec = spec.model_copy(update={"columns": columns})
    entity = Entity({"who": "ann", "text": "2024-02-01"})
    # The last two cannot be split.
    content = (
        b"Who,text\nann,2/1/2024\nann,1/2/2024\nann,02/01/2024\nann,2/1/2024,x\nann,1/2/2024,x\n"
    )
    less, gone = without(content, spec, DAY, entity)
    assert (less, gone) == (b"Who,text\nann,1/2/2024\nann,1/2/2024,x\n", 3)


def test_a_record_that_lacks_the_column_is_nobodys() -> None:
    content = b'{"text": "ann"}\n{"Who": null, "text": "ann"}\n'
    assert without(content, source(type="jsonl"), DAY, ANN) == (content, 0)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_file_of_a_day_without_the_column_is_nobodys(kind: str) -> None:
    content = {
        "csv": b"words\nann\n",
        "jsonl": b'{"words": "ann"}\n',
        "parquet": as_parquet(words=["ann"]),
    }[kind]
    spec = source(type=kind)
    later = spec.columns["who"].model_copy(update={"since": DAY + dt.timedelta(days=1)})
    spec = spec.model_copy(update={"columns": {**spec.columns, "who": later}})
    assert without(content, spec, DAY, ANN) == (content, 0)


def test_a_huge_field_does_not_cut_the_file() -> None:
    huge = b"Who,text\nann,1\nbob," + b"z" * 200_000 + b"\nann,2\ncid,3\n"
    less, gone = without(huge, source(), DAY, ANN)
    assert gone == 2
    assert less == b"Who,text\nbob," + b"z" * 200_000 + b"\ncid,3\n"


def test_a_huge_value_does_not_hide_a_row_of_parquet() -> None:
    content = as_parquet(Who=["ann", "bob"], text=["z" * 2_000_000, "1"])
    assert without(content, source(type="parquet"), DAY, ANN)[1] == 1


def test_numbers_of_a_parquet_file_are_read_as_ingest_reads_them() -> None:
    spec = source(type="parquet")
    columns = {**spec.columns, "text": Column(type="integer")}
    content = as_parquet(Who=["x", "y"], text=[5.0, None])
    spec = spec.model_copy(update={"columns": columns})
    assert without(content, spec, DAY, Entity({"text": "5"}))[1] == 1
