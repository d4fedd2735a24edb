"""The schema and the page of the fields say what the types say, and editors may rely on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import jsonschema
import pytest
import yaml

from jobs.fields import Spec
from jobs.settings import PROJECT
from jobs.spec.page import page
from jobs.spec.schema import schema, text
from tests.unit.spec.lending import LENDING, changed

FLIGHTS = PROJECT / "jobs/usecases/flight_delay/usecase.yaml"


class AsEditors(yaml.SafeLoader):
    """YAML 1.2, which knows no dates and no NO, as editors read it."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for name, pattern in {
    "null": "null|~|",
    "bool": "true|false",
    "int": "[-+]?[0-9]+",
    "float": r"[-+]?[0-9]*\.[0-9]+",
}.items():
    AsEditors.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(f"({pattern})$"), None)


def wrong(written: str) -> list[str]:
    """Where a text does not keep to the schema."""
    read = yaml.load(written, AsEditors)
    return [one.json_path for one in jsonschema.Draft202012Validator(schema()).iter_errors(read)]


def parts(kind: type[Spec]) -> Iterator[type[Spec]]:
    for below in kind.__subclasses__():
        yield below
        yield from parts(below)


@pytest.mark.parametrize(
    ("name", "made", "command"),
    [
        ("usecase.schema.json", text(), "daybreak schema > jobs/usecase.schema.json"),
        ("usecase.md", page(), "daybreak schema --page > jobs/usecase.md"),
    ],
)
def test_the_files_are_what_the_types_give(name: str, made: str, command: str) -> None:
    kept = (PROJECT / "jobs" / name).read_text(encoding="utf-8")
    assert kept == made, f"The types have changed: run `{command}`."


@pytest.mark.parametrize("part", sorted(parts(Spec), key=lambda one: one.__name__))
def test_every_field_says_what_it_means(part: type[Spec]) -> None:
    assert [name for name, field in part.model_fields.items() if not field.description] == []


def test_the_schema_itself_is_sound() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_flights_keep_to_it_and_name_it() -> None:
    written = FLIGHTS.read_text(encoding="utf-8")
    assert wrong(written) == []
    first = written.splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert (FLIGHTS.parent / named).resolve() == PROJECT / "jobs/usecase.schema.json"


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("", "", None),
        ("maturity: 28 days", "maturity: 1 day", None),
        ("maturity: 28 days", "maturity: 28", None),
        ("maturity: 28 days", "maturity: a month", "$.label.maturity"),
        ("maturity: 28 days", "maturity: -1", "$.label.maturity"),
        ('cutoff: "03:00"', 'cutoff: "25:00"', "$.cutoff"),
        ("timezone:", "colour: red\ntimezone:", "$"),
        ("  shelves:\n", "  Shelves of Books:\n", "$.sources"),
        ("{max_depth: 4}", "{max_deep: 4}", "$.model.parameters"),
        ("as: snapshot", "as: snapshots", "$.sources.shelves.arrives.as"),
        ("    - month", "    - month(day)", "$.features.numeric[0]"),
    ],
)
def test_an_editor_sees_what_is_wrong(old: str, new: str, where: str | None) -> None:
    assert wrong(changed(old, new) if old else LENDING) == ([where] if where else [])
