"""A fitted recipe: from feature columns to the matrix that a model sees."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import TypeAdapter
from scipy.sparse import csr_array, csr_matrix, hstack

from jobs.learning.recipe.rows import Block, Rows, read
from jobs.learning.recipe.work import WORK, State
from jobs.transforms.recipe import Drop, Transform
from jobs.transforms.step import Kind

# Rows of a matrix are sparse if a step gives buckets, of which most are empty in each row.
Matrix: TypeAlias = NDArray[np.float32] | csr_matrix
STEP: TypeAdapter[Transform] = TypeAdapter(Transform)
TYPES: dict[Kind, pa.DataType] = {
    "number": pa.float64(),
    "category": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"),
    "text": pa.string(),
}


@dataclass(frozen=True)
class Fitted:
    """A step and what it has learned of each of its columns."""

    step: Transform
    state: State

    def apply(self, rows: Rows) -> Rows:
        """The rows as they stand after the step."""
        # What becomes too large is missing afterwards.
        with np.errstate(over="ignore"):
            made = WORK[type(self.step)].apply(self.step, self.state, rows)
        return rows.after(made, self.step.of if isinstance(self.step, Drop) else ())


@dataclass(frozen=True)
class Recipe:
    """Steps in order; the same function of a row in training, in Spark's tasks and in scoring.

    Attributes:
        inputs: the feature columns it reads and their kinds.
        timezone: in which calendars are read.
    """

    inputs: tuple[tuple[str, Kind], ...]
    timezone: str
    steps: tuple[Fitted, ...]

    def matrix(self, table: pa.Table | pa.RecordBatch, fold: Any = None) -> Matrix:
        """The rows as float32, shape (rows, `len(columns)`); a value that is not finite is NaN.

        A dense array or, if a step gives buckets, a sparse one, in which the numbers are stored
        also where they are 0, so that a 0 is not taken for a missing value.

        Args:
            fold: for rows that are learned from: see `jobs.learning.recipe.fit.FOLD`.

        Raises:
            Refused: a feature column is missing.
        """
        rows = self._after(read(table, dict(self.inputs), self.timezone, fold))
        numbers = np.zeros((rows.size, len(self.numbers)), dtype=np.float32)
        for place, name in enumerate(self.numbers):
            numbers[:, place] = rows.columns[name]
        blocks = [column for column in rows.columns.values() if isinstance(column, Block)]
        if any(block.hashed for block in blocks):
            return beside(numbers, *[block.matrix for block in blocks])
        return np.hstack([numbers, *[block.matrix.toarray() for block in blocks]])

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Names of the matrix's first columns, which are those that are not of a block."""
        columns = self._none.columns.items()
        return tuple(name for name, column in columns if isinstance(column, np.ndarray))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the matrix's columns, such as `distance`, `carrier=UA` and `tailnum:17`."""
        found = self._none.columns.items()
        blocks = [c.names(name) for name, c in found if isinstance(c, Block)]
        return (*self.numbers, *(name for names in blocks for name in names))

    @cached_property
    def _none(self) -> Rows:
        """No rows, with the columns as they stand at the end."""
        empty = pa.table({name: pa.array([], TYPES[kind]) for name, kind in self.inputs})
        return self._after(read(empty, dict(self.inputs), self.timezone))

    def _after(self, rows: Rows) -> Rows:
        for each in self.steps:
            rows = each.apply(rows)
        return rows

    def to_json(self) -> dict[str, Any]:
        """All of it but the arrays, which are in `files`."""
        steps = [
            {
                "step": each.step.model_dump(mode="json", by_alias=True),
                "state": {
                    name: {
                        key: {"file": _file(place, name, key)} if _is_array(value) else value
                        for key, value in known.items()
                    }
                    for name, known in each.state.items()
                },
            }
            for place, each in enumerate(self.steps)
        ]
        inputs = [list(one) for one in self.inputs]
        return {"inputs": inputs, "timezone": self.timezone, "steps": steps}

    def files(self) -> dict[str, bytes]:
        """File name and content of each array."""
        return {
            _file(place, name, key): _written(value)
            for place, each in enumerate(self.steps)
            for name, known in each.state.items()
            for key, value in known.items()
            if _is_array(value)
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any], files: Mapping[str, bytes]) -> Recipe:
        steps = [
            Fitted(
                STEP.validate_python(each["step"]),
                {
                    name: {key: _read(value, files) for key, value in known.items()}
                    for name, known in each["state"].items()
                },
            )
            for each in written["steps"]
        ]
        inputs = tuple((name, kind) for name, kind in written["inputs"])
        return cls(inputs, written["timezone"], tuple(steps))


def beside(numbers: NDArray[Any], *others: csr_array) -> csr_matrix:
    """Dense columns and sparse ones as one sparse array; every number of the dense is stored."""
    rows, width = numbers.shape
    places, starts = np.tile(np.arange(width), rows), np.arange(rows + 1) * width
    stored = csr_array((numbers.ravel(), places, starts), shape=numbers.shape)
    # Not a `csr_array`, which XGBoost's `inplace_predict` does not take.
    return csr_matrix(hstack([stored, *others], format="csr", dtype=numbers.dtype))


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _file(place: int, name: str, key: str) -> str:
    return f"recipe-{place}-{name}-{key}.npy"


def _written(value: NDArray[Any]) -> bytes:
    content = io.BytesIO()
    np.save(content, value, allow_pickle=False)
    return content.getvalue()


def _read(value: Any, files: Mapping[str, bytes]) -> Any:
    if not (isinstance(value, dict) and "file" in value):
        return value
    return np.load(io.BytesIO(files[value["file"]]), allow_pickle=False)
