"""What landed files say against a use case."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from jobs.draft.examine import Finding, examine
from jobs.plan import Plan
from jobs.settings import Settings
from jobs.spec.document import parse
from tests import shared_data
from tests.unit.spec.lending import changed, written
from tests.unit.test_cli import run

# Each book is lent once a day, which makes it no category here.
LENDING = changed("[shelf, book]", "[shelf]")
HEADER = "day,book,shelf,days_late\n"
SHELVES = "shelf\na\nb\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", usecases=tmp_path)


def landed(settings: Settings, name: str, text: str) -> None:
    path = Path(settings.landing) / "lending" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def lent(day: str, rows: int = 60, late: int = 3) -> str:
    return HEADER + "".join(f"{day},{n},{'ab'[n % 2]},{n * late % 7}\n" for n in range(1, rows + 1))


def found(settings: Settings, text: str = LENDING) -> list[Finding]:
    written(settings.usecases, text)
    return looked_at(settings)


def looked_at(settings: Settings) -> list[Finding]:
    plan = Plan.of("lending", settings)
    return list(examine(plan, parse(settings.usecases / "lending" / "usecase.yaml")).problems)


def test_files_that_fit_say_nothing(settings: Settings) -> None:
    for day in ("2020-01-01", "2020-01-02"):
        landed(settings, f"loans/date={day}/loans.csv", lent(day))
    landed(settings, "shelves/shelves.csv", SHELVES)
    assert found(settings) == []


def test_where_nothing_has_landed_it_says_where_it_belongs(settings: Settings) -> None:
    loans, shelves = found(settings)
    assert str(loans) == (
        "usecase.yaml:14: no file of loans is there yet. Put one at "
        f"{settings.landing}/lending/loans/date={{date}}/*.csv."
    )
    assert not loans.fails
    assert "no file of shelves" in str(shelves)


@pytest.mark.parametrize(
    ("text", "fails", "said"),
    [
        (
            "day,book,shelf\n2020-01-01,1,a\n",
            True,
            "the file has other columns than declared: it lacks 'days_late'",
        ),
        (
            lent("2020-01-01") + "2020-01-01,x,a,1\n",
            False,
            "have a book that is no integer, such as x",
        ),
        (lent("2020-01-01") + "2020-01-01,0,a,1\n", False, "have a book below 1, such as 0"),
        (lent("2020-01-01") + ",99,a,1\n", False, "have no day, which is required"),
        (
            lent("2020-01-01") + lent("2020-01-01").removeprefix(HEADER),
            True,
            "have a key (day, book) that came before, such as 2020-01-01, 1",
        ),
        (lent("2020-01-01") + "2020-01-01,99,a\n", False, "1 records cannot be split (3 fields"),
        (lent("2020-01-01", late=0), True, "every label is False"),
        (lent("2019-12-31"), True, "60 of 60 rows of loans are of days outside of 2020-01-01"),
    ],
)
def test_what_does_not_fit_is_said_with_an_example(
    settings: Settings, text: str, fails: bool, said: str
) -> None:
    landed(settings, "loans/date=2020-01-01/loans.csv", text)
    landed(settings, "shelves/shelves.csv", SHELVES)
    (problem,) = found(settings)
    assert said in str(problem)
    assert problem.fails is fails


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("13/1/2020", None),
        ("1/13/2020", "have a day that is no date written as d/M/yyyy, such as 1/13/2020"),
        ("13/1/2019", "60 of 60 rows of loans are of days outside of 2020-01-01"),
    ],
)
def test_days_are_read_in_the_format_of_their_column(
    settings: Settings, day: str, said: str | None
) -> None:
    text = LENDING.replace("day: {type: date}", "day: {type: date, format: d/M/yyyy}").replace(
        "days_late > 1", "days_late > 1 and day > date '2020-01-01'"
    )
    landed(settings, "shelves/shelves.csv", SHELVES)
    landed(settings, "loans/date=2020-01-13/loans.csv", lent(day))
    problems = found(settings, text)
    assert [said in str(each) for each in problems[:1]] == ([True] if said else [])


def test_of_a_snapshot_one_file_that_can_be_read_is_enough(settings: Settings) -> None:
    landed(settings, "loans/date=2020-01-01/loans.csv", lent("2020-01-01"))
    landed(settings, "shelves/old.csv", "shelf\n")
    landed(settings, "shelves/shelves.csv", SHELVES)
    (problem,) = found(settings)
    assert "old.csv: the file has a header but no rows" in str(problem)
    assert not problem.fails
    landed(settings, "shelves/shelves.csv", "shelf\n")
    assert [each.fails for each in looked_at(settings)] == [True, True]


SEVERAL = LENDING.replace(
    "expression: days_late > 1",
    "expression: case when days_late > 4 then 'very' when days_late > 1 then 'bit' end\n"
    "  type: multiclass\n  classes: [very, little, none]",
)


def test_labels_that_are_none_of_the_classes(settings: Settings) -> None:
    landed(settings, "loans/date=2020-01-01/loans.csv", lent("2020-01-01"))
    landed(settings, "shelves/shelves.csv", SHELVES)
    (problem,) = found(settings, SEVERAL)
    assert "some labels are none of label.classes, such as bit" in str(problem)
    assert problem.fails


def test_a_class_that_is_gathered_is_the_one_that_it_becomes(settings: Settings) -> None:
    landed(settings, "loans/date=2020-01-01/loans.csv", lent("2020-01-01"))
    landed(settings, "shelves/shelves.csv", SHELVES)
    gathered = SEVERAL.replace(
        "[very, little, none]", "[very, little, none]\n  group: {none: [bit]}"
    )
    assert found(settings, gathered) == []


def test_a_label_that_needs_spark_is_said_not_to_be_looked_at(settings: Settings) -> None:
    landed(settings, "loans/date=2020-01-01/loans.csv", lent("2020-01-01"))
    landed(settings, "shelves/shelves.csv", SHELVES)
    (problem,) = found(settings, LENDING.replace("days_late > 1", "crc32(shelf) > 1"))
    assert "could not be worked out without Spark" in str(problem)
    assert not problem.fails


BIKES = """\
name: lending
about: {question: "How many bikes?", owner: bikes}
entity: {key: [dteday, hr], date: dteday, source: hours}
timezone: America/New_York
schedule: {cron: "0 3 * * *", start: 2011-01-01}
cutoff: "03:00"
sources:
  hours:
    landing: "lending/hours/date={date}/*.csv"
    key: [dteday, hr]
    date: dteday
    drift: keep_extra
    columns:
      dteday: {type: date}
      instant: {type: integer}
      hr: {type: integer}
      temp: {type: number}
      casual: {type: integer}
      registered: {type: integer}
      cnt: {type: integer}
label: {source: hours, expression: cnt / 977, type: regression, maturity: 1 day}
features:
  history: 0 days
  numeric:
    - hr
    - temp
    - registered
    - instant
model: {rule: {by: [hr]}}
"""


def test_of_the_bikes_it_finds_what_gives_the_answer_away(settings: Settings) -> None:
    hours = pd.read_csv(shared_data.shared(shared_data.BIKES)).head(2000)
    hours["dteday"] = pd.to_datetime(hours["dteday"]).dt.strftime("%Y-%m-%d")
    for day, rows in hours.groupby("dteday"):
        landed(settings, f"hours/date={day}/hours.csv", rows.to_csv(index=False))
    names, leak = found(settings, BIKES)
    assert "instant names the row" in str(names)
    assert leak.fails
    assert str(leak).startswith(
        "usecase.yaml:27: casual + registered is 977 times cnt / 977 in every row, and registered "
        "would give the answer away."
    )


def test_a_part_without_labels_is_told_before_a_training(settings: Settings) -> None:
    landed(settings, "loans/date=2020-01-01/loans.csv", lent("2020-01-01"))
    landed(settings, "shelves/shelves.csv", SHELVES)
    split = "split: {by: random, validation: 0.02, holdout: 0.2}\n"
    (problem,) = found(settings, LENDING + split)
    assert problem.fails
    assert str(problem) == (
        "usecase.yaml:52: the validation part is 0.02 of 16 rows with the label false, which is "
        "expected to be 0.32. Make split.validation larger, bring in more rows, or gather classes "
        "by label.group."
    )


def test_where_no_row_has_a_label_that_is_what_is_told(settings: Settings) -> None:
    landed(settings, "loans/date=2020-01-01/loans.csv", lent("2020-01-01"))
    landed(settings, "shelves/shelves.csv", SHELVES)
    none = LENDING.replace("days_late > 1", "case when days_late > 99 then true end")
    (problem,) = found(settings, none + "split: {by: random}\n")
    assert problem.fails
    assert "no row of loans has a label" in str(problem)


def test_days_of_one_file_that_are_too_few_for_the_parts_are_told(settings: Settings) -> None:
    hours = pd.read_csv(shared_data.shared(shared_data.BIKES)).head(24 * 40)
    hours["dteday"] = pd.to_datetime(hours["dteday"]).dt.strftime("%Y-%m-%d")
    landed(settings, "hours/hours.csv", hours.to_csv(index=False))
    whole = BIKES.replace("date={date}/", "").replace(
        "    date: dteday", "    arrives: {as: snapshot}\n    date: dteday\n    known: dteday"
    )
    whole = whole.replace("    - registered\n    - instant\n", "")
    (problem,) = found(settings, whole)
    assert problem.fails
    assert "of 43 days (2011-01-01 to 2011-02-12), and split.validation" in str(problem)
    (settings.usecases / "lending" / "usecase.yaml").write_text(
        whole + "split: {validation: 7 days, holdout: 7 days}\n"
    )
    assert looked_at(settings) == []


def test_the_command_has_an_exit_code_and_json(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAYBREAK_HOME", str(settings.home))
    monkeypatch.setenv("DAYBREAK_USECASES", str(settings.usecases))
    written(settings.usecases, LENDING)
    landed(settings, "loans/date=2020-01-01/loans.csv", lent("2020-01-01"))
    assert run("check lending --json", monkeypatch) in (0, None)
    said = json.loads(capsys.readouterr().out)
    assert said["sources"] == {"loans": "60 rows of 1 file"}
    assert [each["fails"] for each in said["problems"]] == [False]
    landed(settings, "loans/date=2020-01-01/loans.csv", HEADER)
    assert run("check lending", monkeypatch) == 1
    out = capsys.readouterr().out
    assert "✗ lending/loans/date=2020-01-01/loans.csv: the file has a header but no rows." in out
