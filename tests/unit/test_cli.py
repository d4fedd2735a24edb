"""What the command line says of words that it does not understand."""

from __future__ import annotations

import sys

import pytest

from jobs.cli import main


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
