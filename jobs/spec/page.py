"""The reference of a use case's fields as a page, made of the same schema as editors read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from jobs.spec.schema import Part, kinds, schema

HEAD = """# The fields of a use case

What `jobs/usecases/NAME/usecase.yaml` may say. This page and `usecase.schema.json` beside it are
made of the types in `usecase.py` by `daybreak schema --page` and `daybreak schema`. An editor with
a YAML language server completes and checks a file that begins with
`# yaml-language-server: $schema=../../usecase.schema.json`.

A *name* is up to 48 small letters, digits and underscores, beginning with a letter. *Days* are
`28 days`, `1 day` or a plain number; a *time* is in quotes, such as `"02:00"`.
"""
BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
}
WORDS = {"string": "text", "integer": "whole number", "boolean": "true or false", "null": "null"}


def page() -> str:
    """The reference in Markdown: a table for each part of a use case, in the order of the file."""
    where: dict[str, list[str]] = {}
    for name, path in _parts("UseCase", ""):
        where.setdefault(name, []).append(path)
    return HEAD + "".join(_section(name, paths) for name, paths in where.items())


def _parts(name: str, path: str) -> Iterator[tuple[str, str]]:
    """Every part below one, with its place in the file."""
    yield name, path
    for field, part in _definition(name)["properties"].items():
        for below, step in _references(part):
            yield from _parts(below, f"{path}.{field}{step}".removeprefix("."))


def _references(part: Part) -> Iterator[tuple[str, str]]:
    """The parts that a field is made of, with the steps from the field to them."""
    if name := part.get("$ref"):
        yield name.rpartition("/")[2], ""
    for one in (*part.get("anyOf", ()), *part.get("oneOf", ())):
        yield from _references(one)
    for below, step in ((part.get("items"), "[]"), (_values(part), ".NAME")):
        if below:
            yield from ((name, step + more) for name, more in _references(below))


def _section(name: str, paths: list[str]) -> str:
    part = _definition(name)
    places = ", ".join(f"`{path}`" for path in paths if path)
    rows = "".join(
        f"| `{field}` | {_type(each)} | {_default(field, each, part)} | {_meaning(each)} |\n"
        for field, each in part["properties"].items()
    )
    return (
        f"\n## {_title(name)}\n\n{f'{places}. ' if places else ''}{part['description']}\n\n"
        f"| field | type | default | meaning |\n|---|---|---|---|\n{rows}"
    )


def _type(part: Part) -> str:
    if name := part.get("$ref"):
        title = _title(name.rpartition("/")[2])
        return f"[{title}](#{title.lower().replace(' ', '-')})"
    if "const" in part:
        return f"`{part['const']}`"
    if values := part.get("enum"):
        return ", ".join(f"`{value}`" for value in values)
    if "title" in part:
        return str(part["title"])
    if several := part.get("anyOf") or part.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_type, several)))
    match part.get("type"):
        case "array":
            if "items" in part:
                return f"list of {_type(part['items'])}"
            return f"list of {', '.join(map(_type, part['prefixItems']))}"
        case "object":
            below = _values(part)
            return f"{_type(below)} by name" if below else "values by name"
        case kind:
            word = part.get("format") or WORDS.get(str(kind), str(kind))
            bounds = (
                said.format(f"{part[each]:g}") for each, said in BOUNDS.items() if each in part
            )
            said = ", ".join(bounds)
            return f"{word} ({said})" if said else word


def _default(field: str, part: Part, whole: Part) -> str:
    if field in whole.get("required", ()):
        return "required"
    value = part.get("default")
    if isinstance(value, dict) and value:
        return "as there"
    if value in (None, [], {}):
        return "none"
    return f"`{json.dumps(value, ensure_ascii=False)}`".replace('`"', "`").replace('"`', "`")


def _meaning(part: Part) -> str:
    # Pydantic leaves out what the part that is referred to says of itself already.
    said = part.get("description") or next(map(_meaning, kinds(part)))
    return str(said).replace("|", r"\|")


def _values(part: Part) -> Part | None:
    """What the values of a mapping with names of its own are."""
    patterns = part.get("patternProperties")
    found = next(iter(patterns.values())) if patterns else part.get("additionalProperties")
    return found if isinstance(found, dict) else None


def _definition(name: str) -> Part:
    whole = schema()
    found: Part = whole if name == whole["title"] else whole["$defs"][name]
    return found


def _title(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()
