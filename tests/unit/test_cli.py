"""What the command line says of words and files that it does not understand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jobs.cli import main
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
    assert capsys.readouterr().out == "lending: the use-case file is sound.\n"
