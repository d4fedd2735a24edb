"""How files are written, and why some cannot be read."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from jobs.draft.rows import MOST_ROWS, landed_file, look
from jobs.draft.sniff import sheet
from jobs.errors import DaybreakError
from jobs.ingest.store import Folder
from jobs.lake.moments import moment
from jobs.usecase import Column
from tests.unit.draft.files import looked, written

ROWS = "Order Id,amount,when\n1,2.5,2020-01-01\n2,,2020-01-02\n"


def test_columns_get_names_and_types_and_keep_their_headers(tmp_path: Path) -> None:
    found = looked(tmp_path, ROWS)
    assert [(c.name, c.header, c.type) for c in found.columns.values()] == [
        ("order_id", "Order Id", "integer"),
        ("amount", "amount", "number"),
        ("when", "when", "date"),
    ]
    amount = found.columns["amount"]
    assert (amount.rows, amount.missing, amount.least, amount.most) == (2, 1, 2.5, 2.5)


def test_a_column_that_the_platform_has_itself_gets_another_name(tmp_path: Path) -> None:
    found = looked(tmp_path, "Score,label,a\n1,2,3\n4,5,6\n")
    assert [(c.name, c.header) for c in found.columns.values()] == [
        ("score_in_file", "Score"),
        ("label_in_file", "label"),
        ("a", "a"),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    text = 'a,b,c\n1,"x? y? z",2\n3,w,4\n'.replace(",", delimiter).replace("?", ",;")
    found = looked(tmp_path, text)
    assert found.spec.format.delimiter == delimiter
    assert found.frame["b"].tolist() == ["x,; y,; z", "w"]


def test_text_in_latin_1_a_mark_of_byte_order_quotes_and_an_open_end(tmp_path: Path) -> None:
    assert looked(tmp_path, "a,b\n1,caf\xe9\n".encode("latin-1")).spec.format.encoding == "cp1252"
    marked = looked(tmp_path, b"\xef\xbb\xbfa,b\n1,2\n")
    assert list(marked.columns) == ["a", "b"]
    assert marked.frame["a"].tolist() == ["1"]
    quoted = looked(tmp_path, 'a,b\n1,"two\nlines, ""said"" he"\n')
    assert quoted.frame["b"].tolist() == ['two\nlines, "said" he']
    assert looked(tmp_path, "a,b\n1,2").spec.format.final_newline == "optional"
    assert looked(tmp_path, "a,b\n1,2\n").spec.format.final_newline == "required"


def test_a_column_without_a_name_is_not_declared(tmp_path: Path) -> None:
    found = looked(tmp_path, ",a\n0,x\n1,y\n")
    assert list(found.columns) == ["a"]
    assert found.spec.drift == "keep_extra"


def test_other_formats_and_packed_files(tmp_path: Path) -> None:
    records = [{"id": 1, "ok": True, "at": "2020-01-01T00:00:00Z"}, {"id": 2, "ok": False}]
    lines = "".join(json.dumps(each) + "\n" for each in records)
    for name, content in (
        ("r.jsonl", lines.encode()),
        ("r.jsonl.gz", gzip.compress(lines.encode())),
    ):
        found = sheet(written(tmp_path, content, name), "rows")
        assert {c.name: c.type for c in found.columns.values()} == {
            "id": "integer",
            "ok": "boolean",
            "at": "timestamp",
        }
    path = tmp_path / "r.parquet"
    pd.DataFrame(records).to_parquet(path)
    assert sheet(path, "rows").frame["id"].tolist() == ["1", "2"]


def test_moments_of_parquet_without_a_zone_have_a_format(tmp_path: Path) -> None:
    path = tmp_path / "r.parquet"
    moments = [dt.datetime(2020, 1, 1, 5), dt.datetime(2020, 1, 2, 6, 0, 0, 500_000)]
    pd.DataFrame({"at": moments}).to_parquet(path)
    at = sheet(path, "rows").columns["at"]
    assert (at.type, at.format) == ("timestamp", "yyyy-MM-dd'T'HH:mm:ss[.SSSSSSSSS]")
    column = Column(type="timestamp", format="yyyy-MM-dd'T'HH:mm:ss.SSSSSS", zone="UTC")
    assert [column.read(text) for text in at.examples] == [
        each.replace(tzinfo=dt.UTC) for each in moments
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty (0 bytes)."),
        (b"a,b\n", "has a header but no rows."),
        (b"a,a\n1,2\n", "has the column 'a' twice."),
        (b'a,b\n1,"2\n', "opens a quote in record 1 that never closes."),
        (b"a,b\n1,\0\n", "holds a NUL character"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(DaybreakError) as refused:
        looked(tmp_path, content)
    assert said in refused.value.sentence


def test_a_missing_file_and_one_of_no_format(tmp_path: Path) -> None:
    with pytest.raises(DaybreakError, match="There is no file"):
        sheet(tmp_path / "nope.csv", "rows")
    with pytest.raises(DaybreakError, match="says no format that is known"):
        looked(tmp_path, "a\n1\n", "file.xlsx")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["00501", "10001"], "string"),
        (["1", "2", "?"], "integer"),
        (["1.5", "nan"], "number"),
        (["yes", "no"], "boolean"),
        (["0", "1"], "integer"),
        (["1"] * 200 + ["x"], "integer"),
        (["1"] * 20 + ["x"], "string"),
        (["1"] * 200 + ["2.5"], "number"),
        (["1"] * 400 + ["2.5", "x"], "number"),
        (["none", "some"], "string"),
    ],
)
def test_types_bear_with_codes_and_a_few_mistakes(
    tmp_path: Path, values: list[str], kind: str
) -> None:
    text = "a,b\n" + "".join(f"{value},0\n" for value in values)
    assert looked(tmp_path, text).columns["a"].type == kind


def test_what_means_nothing_in_one_column_is_missing_in_all(tmp_path: Path) -> None:
    text = "area,garage\n" + "70,none\n80,double\n?,single\nnone,double\n" * 5
    found = looked(tmp_path, text)
    assert found.spec.format.nothing == ("", "NA", "?", "none")
    area, garage = found.columns.values()
    assert (area.type, area.missing, garage.missing, garage.distinct) == ("integer", 10, 5, 2)
    assert found.frame["garage"].isna().sum() == 5


def test_what_means_nothing_in_json_lines_is_missing_too(tmp_path: Path) -> None:
    lines = ['{"area": "70", "garage": ""}', '{"area": "NA", "garage": "single"}'] * 5
    found = looked(tmp_path, "\n".join(lines) + "\n", "houses.jsonl")
    assert found.spec.format.null == ("", "NA")
    area, garage = found.columns.values()
    assert (area.type, area.missing, garage.missing) == ("integer", 5, 5)


def test_of_a_large_file_a_sample_is_kept_and_said(tmp_path: Path) -> None:
    found = looked(tmp_path, "a\n" + "".join(f"{n}\n" for n in range(5000)))
    assert found.rows.said == "5,000 rows"
    file = written(tmp_path, "a\n" + "".join(f"{n}\n" for n in range(5000)))
    listed = landed_file(file.name, "rows", file.stat().st_size, moment(0))
    first, second = (look(Folder(str(tmp_path)), found.spec, [listed], 100) for _ in range(2))
    assert first.said == "100 of 5,000 rows, chosen by chance"
    assert first.frame.equals(second.frame)
    assert first.frame["a"].astype(int).max() > 4000
    assert MOST_ROWS == 200_000
