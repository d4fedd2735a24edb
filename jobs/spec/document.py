"""A YAML file with the line of everything in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from jobs.errors import Refused


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a line of the file."""

    line: int
    said: str


@dataclass(frozen=True)
class Place:
    """A part of the file.

    Attributes:
        path: the keys and numbers that lead to it.
        line: where it begins, with its key if it has one; the first line is 1.
        node: what is there; None in an empty file.
    """

    path: tuple[str | int, ...]
    line: int
    node: yaml.Node | None

    def __str__(self) -> str:
        text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return text.removeprefix(".")


@dataclass(frozen=True)
class Document:
    """A file as it was written, and what YAML makes of it."""

    path: Path
    text: str
    root: yaml.Node | None
    data: Any

    def place(self, steps: Iterable[str | int]) -> Place:
        """The part that some steps lead to; what is not in the file is stepped over."""
        node, line = self.root, _line(self.root) if self.root else 1
        path: list[str | int] = []
        for step in steps:
            if found := _inside(node, step):
                path.append(step if isinstance(node, yaml.SequenceNode) else str(step))
                line, node = _line(found[0]), found[1]
        return Place(tuple(path), line, node)

    def field(self, name: str) -> Place:
        """The part that a field is, as a place is written: `slices[0].name`."""
        steps = re.findall(r"[^.\[\]]+", name)
        return self.place(int(step) if step.isdigit() else step for step in steps)

    def line_of(self, place: Place, offset: int) -> int:
        """The line that a character of a text at a place stands in, however the text is folded."""
        node = place.node
        if not isinstance(node, yaml.ScalarNode):
            return place.line
        found, line = 0, _line(node)
        for number, part in self._lines(node):
            at = node.value.find(part, found) if part else -1
            if at > offset:
                break
            if at >= 0:
                found, line = at + len(part), number
        return line

    def _lines(self, node: yaml.ScalarNode) -> Iterator[tuple[int, str]]:
        """The lines of a text, without the quotes and the space around them."""
        start, end = node.start_mark, node.end_mark
        for index, written in enumerate(self.text.splitlines()[start.line : end.line + 1]):
            # The first line of a folded text is but a sign.
            if index or node.style not in ("|", ">"):
                last = end.column if start.line + index == end.line else None
                part = written[start.column if not index else 0 : last]
                yield start.line + index + 1, part.strip(" \t\"'")

    def refusal(self, problems: Iterable[Problem]) -> Refused:
        """The error that says what is wrong, each with its line."""
        some = sorted(dict.fromkeys(problems), key=lambda one: one.line)
        said = "; ".join(f"{self.path}:{one.line}: {one.said}" for one in some)
        return Refused(
            f"{len(some)} problems: {said}." if len(some) > 1 else f"{said}.",
            "Mend the file: jobs/usecase.md says what each field takes.",
        )


def parse(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        Refused: it is no YAML, or a key is given twice in one mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is not UTF-8 text: {error}.", "Save it as UTF-8.") from error
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        empty = Document(path, text, root, None)
        if twice := list(_twice(root, (), set())):
            raise empty.refusal(twice)
        return Document(path, text, root, root and loader.construct_document(root))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise Refused(f"{path}:{line}: not valid YAML: {said}.", "Mend the line.") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        said = f"it has the character {chr(error.character)!r}"
        raise Refused(f"{path}:{line}: not valid YAML: {said}.", "Mend the line.") from error


class _Loader(yaml.SafeLoader):
    """PyYAML's own, but that a date such as 2013-02-30 has its line, too."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            raise yaml.constructor.ConstructorError(
                None, None, f"{node.value}: {error}", node.start_mark
            ) from error


def _inside(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """What a step leads to: the node that it begins with, and the value."""
    if isinstance(node, yaml.MappingNode):
        # Of a key that is merged in and given again, the last counts.
        for key, value in reversed(node.value):
            if isinstance(key, yaml.ScalarNode) and key.value == str(step):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def _twice(
    node: yaml.Node | None, path: tuple[str | int, ...], seen: set[int]
) -> Iterator[Problem]:
    """The keys that PyYAML would take the last of, without a word."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _twice(value, (*path, index), seen)
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            place = Place((*path, key.value), _line(key), value)
            if key.value in first and key.value != "<<":
                said = f"{str(place)!r} is given twice, first in line {first[key.value]}"
                yield Problem(place.line, said)
            first.setdefault(key.value, place.line)
            yield from _twice(value, place.path, seen)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
