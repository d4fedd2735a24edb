"""The JSON schema of a use case's file, by which editors complete it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from jobs.usecase import UseCase

Part = Mapping[str, Any]


class _Generator(GenerateJsonSchema):
    """Pydantic's own, without titles made of field names, and strict about names of its maps."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def dict_schema(self, schema: Any) -> dict[str, Any]:
        made = super().dict_schema(schema)
        if "patternProperties" in made:
            made["additionalProperties"] = False
        return made


@cache
def schema() -> Part:
    """The schema of `usecase.yaml`, made of its types and their descriptions."""
    made = UseCase.model_json_schema(schema_generator=_Generator)
    return {"$schema": GenerateJsonSchema.schema_dialect, **made}


def text() -> str:
    """The schema as the file beside `usecase.py` has it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def fields(path: Iterable[str | int]) -> list[str]:
    """The fields that the part at a path of the file may have."""
    parts: list[Part] = [schema()]
    for step in path:
        parts = [below for part in parts for below in _below(part, step)]
    return [name for part in parts for one in kinds(part) for name in one.get("properties", ())]


def kinds(part: Part) -> Iterator[Part]:
    """What a part may be, each kind by itself."""
    if name := part.get("$ref"):
        yield from kinds(schema()["$defs"][name.rpartition("/")[2]])
    elif several := part.get("anyOf") or part.get("oneOf"):
        for one in several:
            yield from kinds(one)
    else:
        yield part


def _below(part: Part, step: str | int) -> Iterator[Part]:
    for one in kinds(part):
        if isinstance(step, int):
            yield from [one["items"]] if "items" in one else []
        elif step in one.get("properties", {}):
            yield one["properties"][step]
        else:
            yield from one.get("patternProperties", {}).values()
