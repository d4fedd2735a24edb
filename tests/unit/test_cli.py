"""What the command line says of words and files that it does not understand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jobs import display
from jobs.cli import main
from jobs.learning.folds import CrossValidation, FoldRows, Spread
from tests.unit.spec.lending import changed, written


def run(words: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run `daybreak` in this process; gives its exit code."""
    monkeypatch.setattr(sys, "argv", ["daybreak", *words.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.mark.parametrize(
    ("words", "sentence", "help_of"),
    [
        ("frobnicate", "No such command 'frobnicate'.", "daybreak"),
        ("trigger flight_delay", "Missing argument 'DAG'.", "daybreak trigger"),
        ("trigger flight_delay nope", "Invalid value for 'DAG': ", "daybreak trigger"),
        ("trigger a nightly --nope", "No such option: --nope", "daybreak trigger"),
        ("warehouse-url --role nobody", "Invalid value for '--role': ", "daybreak warehouse-url"),
        ("quarantine list", "Missing argument 'USE_CASE'.", "daybreak quarantine list"),
        ("run features a --date soon", "Invalid value for '--date': ", "daybreak run"),
    ],
)
def test_wrong_usage_is_a_sentence_and_where_the_help_is(
    words: str,
    sentence: str,
    help_of: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(words, monkeypatch) == 2
    said, remedy = capsys.readouterr().err.splitlines()
    assert said.startswith(sentence)
    assert remedy == f"See `{help_of} --help`."


@pytest.mark.parametrize("words", ["promote a --version 1", "demote a", "rollback-model a"])
def test_who_decides_on_a_champion_says_why(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words, monkeypatch) == 2
    said, remedy = capsys.readouterr().err.splitlines()
    assert said.endswith("a reason.")
    assert "--reason 'why'." in remedy


@pytest.mark.parametrize("words", ["", "quarantine"])
def test_nothing_asked_for_shows_the_help(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words, monkeypatch) == 2
    out, err = capsys.readouterr()
    assert "Usage: daybreak" in out
    assert not err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("days_late > 1", "days_lat > 1", "33: label.expression: 'days_lat' is not a column of"),
        ("expect_column_mean", "expect_colum_mean", "49: gates.silver.loans[0]: there is no"),
    ],
)
def test_check_says_what_is_wrong_in_which_line(
    old: str,
    new: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = written(tmp_path, changed(old, new))
    monkeypatch.setenv("DAYBREAK_USECASES", str(tmp_path))
    assert run("check lending", monkeypatch) == 1
    sentence, remedy = capsys.readouterr().err.splitlines()
    assert sentence.startswith(f"{folder}/usecase.yaml:{said}")
    assert remedy == "Mend the file: jobs/usecase.md says what each field takes."


def test_check_takes_what_is_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path)
    monkeypatch.setenv("DAYBREAK_USECASES", str(tmp_path))
    assert run("check lending", monkeypatch) in (0, None)
    first, *others = capsys.readouterr().out.splitlines()
    assert first == "lending: the use-case file is sound."
    # Nothing has landed, which is no mistake.
    assert [line[:2] for line in others] == ["! ", "! "]


def test_a_table_shows_what_a_person_wrote_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    display.table("Decisions", ["reason"], [("[red] alert [/b]",)])
    assert "[red] alert [/b]" in capsys.readouterr().out


def test_folds_are_of_all_rows_and_not_of_a_cutoff(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate flight_delay --folds --trials 3", monkeypatch) == 2
    said, remedy = capsys.readouterr().err.splitlines()
    assert said == "--folds goes with no other option of training."
    assert remedy == "Leave out --cutoff, --holdout-until and --trials."


def test_a_cross_validation_is_a_table_of_means_and_one_of_folds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def spread(*values: float) -> Spread:
        return Spread.of(list(values))

    rows = FoldRows(train=9, validation=1, test=5, first="2020-01-01", last="2020-01-05")
    found = CrossValidation(
        use_case="lending",
        target="regression",
        metric="mae",
        by="time",
        rows=20,
        folds=(rows, rows),
        candidates={
            "constant": {"mae": spread(2.0, 4.0), "rmse": spread(3.0, 5.0)},
            "linear": {"mae": spread(1.0, float("nan")), "rmse": spread(float("nan"))},
        },
    )
    display.show(found, False, display.cross_validation)
    out = capsys.readouterr().out
    assert "2 folds of lending, by time, 20 rows; mean ± standard deviation" in " ".join(
        out.split()
    )
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "constant 4.0000 ± 1.0000 3.0000 ± 1.0000" in lines
    assert "linear - 1.0000 ± 0.0000" in lines
    assert "2 9 1 5 2020-01-01 2020-01-05 4 -" in lines
