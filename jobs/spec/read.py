"""Reading a use case's file, and refusing what is wrong with it by line."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from jobs.errors import Refused
from jobs.guess import guess
from jobs.spec.document import Document, Problem, parse
from jobs.usecase import UseCase


def checked(folder: Path) -> UseCase:
    """Read `<folder>/usecase.yaml`, and look at every SQL expression in it.

    Raises:
        Refused: as `load`, or an expression is not SQL, or not one over the columns that there are.
    """
    # The parser takes longer to import than a DAG file may take to parse.
    from jobs.spec.sql import problems

    document, usecase = _read(folder)
    if found := list(problems(document, usecase)):
        raise document.refusal(found)
    return usecase


def load(folder: Path) -> UseCase:
    """Read `<folder>/usecase.yaml` without looking at the SQL in it, which is quick.

    Raises:
        Refused: the file is missing, is not YAML, or a field is unknown or wrong; the sentence
            names file, line, field and what was expected.
    """
    return _read(folder)[1]


def names(folder: Path) -> list[str]:
    """The names of all use cases in a folder, sorted."""
    return sorted(path.parent.name for path in folder.glob("*/usecase.yaml"))


def _read(folder: Path) -> tuple[Document, UseCase]:
    path = folder / "usecase.yaml"
    if not path.is_file():
        known = names(folder.parent)
        raise Refused(
            f"There is no use case {folder.name!r}{guess(folder.name, known)}: {path} does not "
            "exist.",
            f"Known use cases: {', '.join(known) or 'none'}.",
        )
    document = parse(path)
    try:
        found = UseCase.model_validate(document.data)
    except ValidationError as error:
        # Only what is wrong needs words, and the schema for guesses.
        from jobs.spec.sentences import problems

        raise document.refusal(problems(document, error)) from error
    if found.name != folder.name:
        said = f"name is {found.name!r} but the folder is {folder.name!r}: give both the same name"
        raise document.refusal([Problem(document.place(["name"]).line, said)])
    return document, found
