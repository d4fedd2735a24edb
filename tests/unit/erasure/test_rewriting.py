"""A landing file without one entity's records, and otherwise as it was, byte for byte."""

from __future__ import annotations

import datetime as dt
import gzip
import io
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from jobs.erasure.rewriting import without
from jobs.usecase import Column, Source

DAY = dt.date(2024, 1, 2)


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


def is_ann(row: Mapping[str, str | None], raw: str) -> bool:
    return row["who"] == "ann" if row else "ann" in raw


def test_only_the_records_of_the_entity_go() -> None:
    content = (
        b'\xef\xbb\xbfWho,words\r\nann,1\r\n"bob","says ""ann""\r\nand more"\r\n\r\nann,"x\ny"\r\n'
        b"annette,2\r\nbob,3\n"
    )
    less, gone = without(content, source(), DAY, is_ann)
    assert gone == 2
    assert less == (
        b'\xef\xbb\xbfWho,words\r\n"bob","says ""ann""\r\nand more"\r\n\r\nannette,2\r\nbob,3\n'
    )
    assert without(less, source(), DAY, is_ann) == (less, 0)


def test_a_record_that_cannot_be_split_goes_if_it_names_the_entity() -> None:
    content = b"text,Who\nbad ann\nbad bob\nx,ann\n"
    assert without(content, source(), DAY, is_ann) == (b"text,Who\nbad bob\n", 2)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_packing_and_encoding_stay(encoding: str) -> None:
    text = "Who,text\nann,ü\nbob,ö\n"
    less, gone = without(
        gzip.compress(text.encode(encoding)), source(encoding=encoding), DAY, is_ann
    )
    assert gone == 1
    assert gzip.decompress(less).decode(encoding) == "Who,text\nbob,ö\n"


def test_json_lines() -> None:
    content = b'{"Who": "ann"}\n{"Who": "bob", "text": "ann"}\nann\n\n'
    less, gone = without(content, source(type="jsonl"), DAY, is_ann)
    assert (less, gone) == (b'{"Who": "bob", "text": "ann"}\n\n', 2)


def test_parquet() -> None:
    out = io.BytesIO()
    parquet.write_table(pa.table({"Who": ["ann", "bob", None], "text": ["1", "2", "3"]}), out)
    less, gone = without(out.getvalue(), source(type="parquet"), DAY, is_ann)
    assert gone == 1
    assert parquet.read_table(io.BytesIO(less)).to_pydict() == {
        "Who": ["bob", None],
        "text": ["2", "3"],
    }


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", gzip.compress(b"Who\nann\n")[:-9]])
def test_what_cannot_be_read_is_left_alone(content: bytes) -> None:
    assert without(content, source(), DAY, is_ann) == (content, 0)


def test_a_record_that_lacks_the_column_is_nobodys() -> None:
    content = b'{"text": "ann"}\n{"Who": null, "text": "ann"}\n'
    assert without(content, source(type="jsonl"), DAY, is_ann) == (content, 0)
    assert without(b"words\nann\n", source(), DAY, is_ann) == (b"words\nann\n", 0)


def test_a_huge_field_does_not_cut_the_file() -> None:
    huge = b"Who,text\nann,1\nbob," + b"z" * 200_000 + b"\nann,2\ncid,3\n"
    less, gone = without(huge, source(), DAY, is_ann)
    assert gone == 2
    assert less == b"Who,text\nbob," + b"z" * 200_000 + b"\ncid,3\n"


def test_numbers_of_a_parquet_file_are_read_as_ingest_reads_them() -> None:
    out = io.BytesIO()
    parquet.write_table(pa.table({"Who": ["x", "y"], "text": pa.array([5.0, None])}), out)
    spec = source(type="parquet")
    columns = {**spec.columns, "text": Column(type="integer")}
    five = without(
        out.getvalue(),
        spec.model_copy(update={"columns": columns}),
        DAY,
        lambda row, _: row["text"] == "5",
    )
    assert five[1] == 1
