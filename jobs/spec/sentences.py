"""What pydantic finds wrong in a use case, in words for the person who wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from jobs.fields import NAME
from jobs.guess import guess
from jobs.misfit import Misfit
from jobs.spec.document import Document, Place, Problem
from jobs.spec.schema import fields
from jobs.transforms.step import MADE
from jobs.usecase import EXPECTATION, REFERENCE

# What each pattern of the types asks for.
PATTERNS = {
    NAME: "up to 48 small letters, digits and underscores, beginning with a letter",
    MADE: "small letters, digits and underscores, beginning with a letter",
    REFERENCE: "a column of a snapshot, written SOURCE.COLUMN",
    EXPECTATION: "the name of an expectation, such as expect_column_mean_to_be_between",
}
# What pydantic's kinds of errors ask for, by how they begin; others keep pydantic's own words.
WANTED = {
    "int_": "a whole number",
    "float_": "a number",
    "bool_": "true or false",
    "date_": "a date such as 2013-01-31",
    "tuple_": "a list",
    "dict_": "a mapping",
    "model_": "a mapping of fields",
    "literal_": "{expected}",
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "more than {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "less than {lt:g}",
    "string_too_long": "no longer than {max_length}",
}
LONGEST_VALUE = 60


def problems(document: Document, error: ValidationError) -> Iterator[Problem]:
    """Every error as a sentence with the line of its field."""
    wanted: dict[tuple[Place, str], list[str]] = {}
    for one in error.errors():
        place = _place(document, one)
        if said := _said(place, one):
            yield Problem(place.line, said)
        elif kind := _wanted(one):
            wanted.setdefault((place, _shown(place, one)), []).append(kind)
        else:
            yield Problem(place.line, f"{place}: {one['msg']}")
    # A value that may be of several types has an error for each of them.
    for (place, shown), kinds in wanted.items():
        either = " or ".join(dict.fromkeys(kinds))
        yield Problem(place.line, f"{str(place) or 'the file'} should be {either}, not {shown}")


def _place(document: Document, one: ErrorDetails) -> Place:
    place = document.place(one["loc"])
    if isinstance(misfit := _given(one).get("error"), Misfit):
        return document.field(f"{place}.{misfit.at}")
    return place


def _said(place: Place, one: ErrorDetails) -> str | None:
    """The sentence for an error that is not about the type or the size of a value."""
    name = str(one["loc"][-1]) if one["loc"] else ""
    match one["type"]:
        case "extra_forbidden":
            known = fields(place.path[:-1])
            if name in known:
                return f"{place} is a field of another kind: take it out"
            return f"unknown field {str(place)!r}{guess(name, known)}"
        case "missing":
            return f"field {'.'.join(filter(None, (str(place), name)))!r} is missing"
        case "value_error":
            return f"{place}: {_given(one)['error']}"
        case "too_short" | "string_too_short":
            return f"{place} is empty"
        case "union_tag_not_found":
            by = _given(one)["discriminator"].strip("'")
            return f"field '{place}.{by}' is missing"
        case "union_tag_invalid":
            tag, known = _given(one)["tag"], re.findall("'([^']+)'", _given(one)["expected_tags"])
            what = "step" if "do" in _given(one)["discriminator"] else "kind"
            return f"{place}: there is no {what} {tag!r}{guess(tag, known)}"
    return None


def _wanted(one: ErrorDetails) -> str | None:
    """What a value should be, if that is all that there is to say."""
    kind, given = one["type"], _given(one)
    if kind == "string_type":
        # Such as NO, which YAML takes for false.
        return "text in quotes" if isinstance(one["input"], (bool, int, float)) else "text"
    if kind == "string_pattern_mismatch":
        return PATTERNS[given["pattern"]]
    text = next((said for begin, said in WANTED.items() if kind.startswith(begin)), None)
    if text:
        return text.format(**given)
    _, begins, rest = one["msg"].partition("Input should be ")
    return rest if begins else None


def _given(one: ErrorDetails) -> Mapping[str, Any]:
    return one.get("ctx", {})


def _shown(place: Place, one: ErrorDetails) -> str:
    """What was written: a text, or the name of a field, in quotes."""
    if isinstance(written := one["input"], str):
        return repr(written[:LONGEST_VALUE])
    if isinstance(place.node, yaml.CollectionNode):
        return "a mapping" if isinstance(place.node, yaml.MappingNode) else "a list"
    return (place.node.value if place.node else "") or "nothing"
