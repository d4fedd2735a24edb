"""A small use case as a file, and the same with something else in it."""

from __future__ import annotations

from pathlib import Path

from jobs.errors import Refused
from jobs.spec.read import checked

# A line's number is what the tests speak of: add new lines at the end.
LENDING = """\
# Which books come back late?
name: lending
about:
  question: Which books come back late?
  owner: library
entity: {key: [day, book], date: day, source: loans}
timezone: Europe/Vienna
schedule:
  cron: "0 3 * * *"
  start: 2020-01-01
cutoff: "03:00"
sources:
  loans:
    landing: "lending/loans/date={date}/*.csv"
    key: [day, book]
    date: day
    columns:
      day: {type: date}
      book: {type: integer, min: 1}
      shelf: {type: string, references: shelves.shelf}
      days_late: {type: number}
    rules:
      - name: not_early
        expression: days_late >= 0
  shelves:
    landing: "lending/shelves/*.csv"
    arrives: {as: snapshot}
    key: [shelf]
    columns:
      shelf: {type: string}
label:
  source: loans
  expression: days_late > 1
  maturity: 28 days
features:
  history: 7 days
  module: features
  numeric:
    - month
  categorical: [shelf, book]
model:
  rule: {by: [shelf]}
  parameters: {max_depth: 4}
slices:
  - {name: shelf, expression: upper(shelf)}
gates:
  silver:
    loans:
      - expect: expect_column_mean_to_be_between
        arguments: {column: days_late, max_value: 9}
predict: {columns: [month]}
"""


def written(folder: Path, text: str = LENDING) -> Path:
    """The folder of a use case `lending` with this text."""
    inside = folder / "lending"
    inside.mkdir()
    (inside / "usecase.yaml").write_text(text, encoding="utf-8")
    return inside


def changed(old: str, new: str) -> str:
    """The text with something else in it, once."""
    assert old in LENDING
    return LENDING.replace(old, new, 1)


def refusal(folder: Path, text: str) -> str:
    """What is said of a text, without the path of its folder."""
    try:
        checked(written(folder, text))
    except Refused as refused:
        return refused.sentence.replace(f"{folder}/lending/", "")
    raise AssertionError("nothing was found wrong")
