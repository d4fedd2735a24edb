"""Small files and folders of the lake, through one file system interface."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pyarrow import fs


def _resolve(path: str) -> tuple[fs.FileSystem, str]:
    if "://" in path:
        found: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(path)
        return found
    return fs.LocalFileSystem(), path


def exists(path: str) -> bool:
    """Whether there is a file or folder at `path`."""
    system, inner = _resolve(path)
    return bool(system.get_file_info(inner).type != fs.FileType.NotFound)


def remove_folder(path: str) -> None:
    """Remove a folder and all in it; nothing happens if it is not there."""
    system, inner = _resolve(path)
    if system.get_file_info(inner).type == fs.FileType.Directory:
        system.delete_dir(inner)


def read_text(path: str) -> str | None:
    """A file's text, or None if there is no such file."""
    system, inner = _resolve(path)
    if system.get_file_info(inner).type != fs.FileType.File:
        return None
    with system.open_input_stream(inner) as stream:
        return bytes(stream.read()).decode()


def read_json(path: str) -> dict[str, Any] | None:
    """The JSON object in a file, or None if there is no such file."""
    text = read_text(path)
    found: dict[str, Any] | None = None if text is None else json.loads(text)
    return found


def write_json(path: str, value: dict[str, Any]) -> None:
    """Write a JSON object so that a reader sees the old file or the whole new one."""
    write_text(path, json.dumps(value, sort_keys=True, default=str))


def write_text(path: str, text: str) -> None:
    """Write a file so that a reader sees the old one or the whole new one."""
    system, inner = _resolve(path)
    system.create_dir(inner.rsplit("/", 1)[0], recursive=True)
    with system.open_output_stream(inner + ".new") as stream:
        stream.write(text.encode())
    system.move(inner + ".new", inner)


def remove_file(path: str) -> None:
    """Remove a file; nothing happens if it is not there."""
    system, inner = _resolve(path)
    if system.get_file_info(inner).type == fs.FileType.File:
        system.delete_file(inner)


def list_folder(path: str) -> list[str]:
    """The paths directly in a folder, sorted; none if it is not there."""
    system, inner = _resolve(path)
    found = system.get_file_info(fs.FileSelector(inner, allow_not_found=True))
    return sorted(str(info.path) for info in found)


def size(path: str) -> int:
    """The bytes of all files below a folder; 0 if it is not there."""
    system, inner = _resolve(path)
    found = system.get_file_info(fs.FileSelector(inner, recursive=True, allow_not_found=True))
    return sum(info.size or 0 for info in found)


def parquet_rows(folder: str) -> int:
    """The rows of all Parquet files in a folder, as their footers say."""
    from pyarrow import dataset

    system, inner = _resolve(folder)
    return int(dataset.dataset(inner, filesystem=system, format="parquet").count_rows())


def digest(folder: Path, pattern: str) -> str:
    """A digest of the project's own files in a folder, which says what code made something."""
    found = hashlib.sha256()
    for path in sorted(folder.glob(pattern)):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]
