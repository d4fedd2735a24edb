"""Nested values as the YAML of a use-case file, with comments above what a person must decide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

WIDTH = 100
STEP = "  "


@dataclass(frozen=True)
class Noted:
    """A value with what is to be said above it; an empty note is no comment."""

    value: Any
    note: str


def text(fields: Mapping[str, Any], head: str) -> str:
    """A file: a comment at its head, and a blank line between its larger parts."""
    parts = [[head], *(list(_field(name, value, "")) for name, value in fields.items())]
    lines: list[str] = []
    for before, part in zip([[], *parts], parts, strict=False):
        if lines and before is not parts[0] and (len(part) > 1 or len(before) > 1):
            lines.append("")
        lines += part
    return "\n".join(lines) + "\n"


def _field(name: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Noted):
        yield from _comment(value.note, indent)
        value = value.value
    begin = f"{indent}{_flow(name)}:"
    if not value or (_is_plain(value) and len(f"{begin} {_flow(value)}") <= WIDTH):
        yield f"{begin} {_flow(value)}"
    elif isinstance(value, Mapping):
        yield begin
        for inner, each in value.items():
            yield from _field(inner, each, indent + STEP)
    elif isinstance(value, list):
        yield begin
        for each in value:
            yield from _item(each, indent + STEP)
    else:
        yield f"{begin} {_flow(value)}"


def _item(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Noted):
        yield from _comment(value.note, indent)
        value = value.value
    if len(line := f"{indent}- {_flow(value)}") <= WIDTH or not isinstance(value, Mapping):
        yield line
        return
    marks = ["- ", *[STEP] * len(value)]
    for mark, (name, each) in zip(marks, value.items(), strict=False):
        yield f"{indent}{mark}{_flow(name)}: {_flow(each)}"


def _comment(note: str, indent: str) -> Iterator[str]:
    for line in note.splitlines():
        yield from textwrap.wrap(
            line, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
        )


def _is_plain(value: Any) -> bool:
    """Whether it fits a line, if that is long enough: nothing in it has a note."""
    if isinstance(value, Mapping):
        return all(_is_plain(each) for each in value.values()) and all(
            not isinstance(each, Mapping) for each in value.values()
        )
    if isinstance(value, list):
        return all(_is_plain(each) for each in value)
    return not isinstance(value, Noted)


def _flow(value: Any) -> str:
    """A value in one line."""
    written: str = yaml.safe_dump(
        [value], default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9
    )
    return written.strip()[1:-1]
