"""What every kind of candidate can do once it is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class Candidate(Protocol):
    """A fitted candidate: a pure function of feature columns, and plain data."""

    @property
    def kind(self) -> str:
        """Its name among the candidates, such as `linear`."""

    def raw(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        """Uncalibrated scores, shape (rows, *`Target.shape`).

        Raises:
            Refused: a feature column is missing.
        """

    def parameters(self) -> dict[str, Any]:
        """All that `from_parameters` needs beside `files`, as JSON."""

    def files(self) -> dict[str, bytes]:
        """File name and content of what is too large for JSON."""

    def importance(self) -> Mapping[str, float]:
        """How much each column counts, in the kind's own unit; empty if that means nothing."""
