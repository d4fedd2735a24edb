"""What is wrong with declared features is said before Spark is there, by line and field."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import yaml

from jobs.declared import columns
from jobs.settings import PROJECT
from jobs.spec.read import checked, load
from jobs.usecase import Features
from tests.unit.spec.lending import changed, refusal, written

README = (PROJECT / "README.md").read_text(encoding="utf-8")
DECLARED = changed(
    "  module: features\n  numeric:\n    - month\n  categorical: [shelf, book]\n",
    """\
  joins:
    - {source: shelves, by: shelf, columns: {room: shelf}}
  expressions:
    month: month(day)
    weight: book * 2
  windows:
    - {name: late, source: loans, do: mean, measure: days_late > 1, by: [shelf], days: [7]}
    - {name: some, source: loans, do: mean, measure: days_late, by: month, days: [3], SHRINK}
  numeric: [month, weight, late_7, some_3]
  categorical: [shelf, room]
""",
).replace("SHRINK", "shrink: {rows: 5, to: late_7}")
AS_OF = "by: shelf, columns: {room: shelf}, as_of: "
WRONG = [
    (
        "source: shelves, by",
        "source: shelfs, by",
        "38: features.joins[0].source: 'shelfs' is not one of sources (did you mean 'shelves'?)",
    ),
    (
        "by: shelf, col",
        "by: shelv, col",
        "38: features.joins[0].by: there is no column 'shelv' at this point (did you mean "
        "'shelf'?)",
    ),
    (
        "by: shelf, col",
        "by: {shelf: shelv}, col",
        "38: features.joins[0].by: 'shelv' is not a column of shelves (did you mean 'shelf'?)",
    ),
    (
        "by: shelf, col",
        "by: {book: shelf}, col",
        "38: features.joins[0].by: 'book' is of type integer, and 'shelf' of shelves of type "
        "string",
    ),
    (
        "source: shelves, by: shelf",
        "source: loans, by: book",
        "38: features.joins[0].by: a row of loans is named by day, book: match all of its key and "
        "nothing else, or say by `as_of` which of several rows is taken",
    ),
    # What a join brings cannot be what brings it.
    (
        "by: shelf, col",
        "by: {room: shelf}, col",
        "38: features.joins[0].by: there is no column 'room' at this point",
    ),
    (
        "columns: {room: shelf}",
        "columns: {room: floor}",
        "38: features.joins[0].columns: 'floor' is not a column of shelves",
    ),
    (
        "columns: {room: shelf}",
        "columns: {book: shelf}",
        "38: features.joins[0].columns: it makes 'book', and there is a column of that name "
        "already",
    ),
    (
        "source: shelves, by: shelf, columns: {room: shelf}",
        f"source: loans, {AS_OF}{{newest: shelf, within: 1 day}}",
        "38: features.joins[0].as_of.newest: 'shelf' is of type string, which has no newest",
    ),
    (
        "source: shelves, by: shelf, columns: {room: shelf}",
        f"source: loans, {AS_OF}{{newest: day, not_after: book, within: 1 day}}",
        "38: features.joins[0].as_of.not_after: 'book' is of type integer, which is no moment",
    ),
    (
        "source: shelves, by: shelf, columns: {room: shelf}",
        f"source: loans, {AS_OF}{{newest: day, within: 8 days}}",
        "38: features.joins[0].as_of.within: it looks 8 days back, and features.history is 7 days: "
        "make that longer",
    ),
    (
        "weight: book * 2",
        "weight: month(dai)",
        "41: features.expressions.weight: 'dai' is not a column of the rows at this point (did you "
        "mean 'day'?)",
    ),
    (
        "month: month(day)",
        "month: length(room)",
        "44: features.windows[1].by: 'room' is not a column of loans, whose facts 'month' groups",
    ),
    # One expression is over those before it, so none is over itself.
    (
        "weight: book * 2",
        "weight: weight + 1",
        "41: features.expressions.weight: 'weight' is not a column of the rows at this point",
    ),
    (
        "weight: book * 2",
        "weight: max(book)",
        "41: features.expressions.weight: max is of many rows, and an expression sees one row at a "
        "time",
    ),
    (
        "weight: book * 2",
        "weight: (select 1)",
        "41: features.expressions.weight: there is a query in it, and an expression sees one row "
        "at a time",
    ),
    (
        "weight: book * 2",
        "weight: unix_timestamp(_superseded_at)",
        "41: features.expressions.weight: '_superseded_at' is not a column of the rows at this "
        "point",
    ),
    (
        "weight: book * 2",
        "shelf: book * 2",
        "41: features.expressions.shelf: it makes 'shelf', and there is a column of that name "
        "already",
    ),
    (
        "name: late, source: loans",
        "name: late, source: loan",
        "43: features.windows[0].source: 'loan' is not one of sources (did you mean 'loans'?)",
    ),
    (
        "name: late, source: loans",
        "name: late, source: shelves",
        "43: features.windows[0].source: shelves has no `date`, and a window is over the days of "
        "facts",
    ),
    (
        "measure: days_late > 1, ",
        "",
        "43: features.windows[0].do: `mean` needs a `measure`",
    ),
    (
        "measure: days_late > 1",
        "measure: days_lat",
        "43: features.windows[0].measure: 'days_lat' is not a column of loans (did you mean "
        "'days_late'?)",
    ),
    (
        "measure: days_late > 1",
        "measure: shelf",
        "43: features.windows[0].measure: 'shelf' is a string, and a measure is a number or a "
        "condition",
    ),
    (
        "measure: days_late > 1",
        "measure: sum(days_late)",
        "43: features.windows[0].measure: sum is of many rows, and an expression sees one row at a "
        "time",
    ),
    (
        "measure: days_late > 1",
        "measure: days_late, where: shelf",
        "43: features.windows[0].where: 'shelf' is a string, which is neither true nor false: "
        "compare it with one",
    ),
    (
        "by: [shelf]",
        "by: [shelv]",
        "43: features.windows[0].by: there is no column 'shelv' at this point (did you mean "
        "'shelf'?)",
    ),
    (
        "by: [shelf]",
        "by: {room: rom}",
        "43: features.windows[0].by: 'rom' is not a column of loans",
    ),
    (
        "by: [shelf]",
        "by: {shelf: book}",
        "43: features.windows[0].by: 'shelf' is of type string, and 'book' of loans of type "
        "integer",
    ),
    ("by: [shelf]", "by: 7", "43: features.windows[0].by should be a mapping, not 7"),
    (
        "by: [shelf], days: [7]",
        "days: [7, 8]",
        "43: features.windows[0].days: it looks 8 days back, and features.history is 7 days: make "
        "that longer",
    ),
    (
        "some, source: loans, do: mean, measure: days_late, by: month, days: [3]",
        "late, source: loans, do: mean, measure: days_late, by: month, days: [3, 7]",
        "44: features.windows[1].name: it makes 'late_7', and there is a column of that name "
        "already",
    ),
    (
        "to: late_7",
        "to: late_3",
        "44: features.windows[1].shrink.to: 'late_3' is no mean of a window before (did you mean "
        "'late_7'?)",
    ),
    (
        "do: mean, measure: days_late, by",
        "do: sum, measure: days_late, by",
        "44: features.windows[1].shrink: it is of a mean, and this is a sum",
    ),
    (
        "numeric: [month",
        "numeric: [mon",
        "45: features.numeric: 'mon' is not a column of loans (did you mean 'month'?), no join, "
        "expression or window makes it, and there is no features.module",
    ),
    (
        "numeric: [month",
        "numeric: [month, shelf",
        "35: features: 'shelf' is declared twice: a feature is of one kind",
    ),
    (
        "shelf, room]",
        "shelf]\n  text: [book]\n  transforms: [{do: length, of: book}]",
        "47: features.text: 'book' is of type integer, and a text is made of string",
    ),
]


def test_declared_features_need_no_module(tmp_path: Path) -> None:
    assert checked(written(tmp_path, DECLARED)).features.module is None


def test_what_the_readme_shows_is_all_declared() -> None:
    (shown,) = re.findall(r"   ```yaml\n( +features:.+?)```", README, re.S)
    features = Features.model_validate(yaml.safe_load(textwrap.dedent(shown))["features"])
    usecase = load(PROJECT / "jobs/usecases/flight_delay")
    made = columns(features, usecase.sources, usecase.entity.source)
    assert set(features.names) <= set(made)


@pytest.mark.parametrize(("old", "new", "said"), WRONG)
def test_what_is_wrong_is_one_sentence_with_its_line(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in DECLARED
    assert refusal(tmp_path, DECLARED.replace(old, new, 1)) == f"usecase.yaml:{said}."


def test_a_join_to_days_whose_key_lacks_the_date_says_which(tmp_path: Path) -> None:
    text = DECLARED.replace("    key: [day, book]\n", "    key: [book]\n", 1)
    several = "source: loans, by: book, columns: {before: days_late}"
    one = f"{several}, as_of: {{newest: day, within: 7 days}}"
    join = "source: shelves, by: shelf, columns: {room: shelf}"
    text = text.replace(join, one).replace("shelf, room]", "shelf]")
    (tmp_path / "one").mkdir()
    assert checked(written(tmp_path / "one", text)).features.joins[0].as_of is not None
    assert refusal(tmp_path, text.replace(one, several)) == (
        "usecase.yaml:38: features.joins[0].by: loans has rows of the same key on several days, "
        "because its key lacks day: say by `as_of` which of them is taken."
    )
