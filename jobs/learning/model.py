"""A fitted model as a folder of plain files: `model.json`, `MLmodel`, and what its candidate keeps.

`model.json` names the SHA-256 of every other file, and the registry names that of `model.json`,
so nothing is parsed that was not checked. There is no pickle in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.errors import Refused
from jobs.learning import band, calibrate
from jobs.learning.band import Band
from jobs.learning.calibrate import Calibration
from jobs.learning.candidates.boosted import FILE
from jobs.learning.candidates.candidate import Candidate
from jobs.learning.candidates.kinds import restored
from jobs.learning.holdout import Scored
from jobs.learning.targets.kinds import restored as target_from
from jobs.learning.targets.target import Target

INDEX = "model.json"
DESCRIPTION = "MLmodel"
FORMAT = 5


@dataclass(frozen=True)
class Model:
    """A candidate with what validation added to it: from feature columns to scores.

    Attributes:
        use_case: whose model it is.
        cutoff: date of the training cutoff, ISO.
        numeric, categorical, timestamp, text: the feature columns it was trained with, by kind.
        target: the type of label that it predicts.
        calibration, threshold, band, remark: what validation added, as in `Finish`.
        reference: what the training data looked like (`reference.seen`), and under `score` the
            validation scores (`reference.with_scores`).
    """

    use_case: str
    cutoff: str
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    timestamp: tuple[str, ...]
    text: tuple[str, ...]
    candidate: Candidate
    target: Target
    calibration: Calibration
    threshold: float | None
    band: Band | None = None
    remark: str | None = None
    reference: Mapping[str, Any] = field(default_factory=dict)

    @property
    def features(self) -> tuple[str, ...]:
        return (*self.numeric, *self.categorical, *self.timestamp, *self.text)

    def score(self, batch: pa.RecordBatch) -> NDArray[np.float64]:
        """Finished scores, shape (rows, *`Target.shape`)."""
        return self.calibration.apply(self.candidate.raw(batch))

    def scored(self, scores: NDArray[np.float64]) -> Scored:
        """Finished scores of some rows, with what else the model says of them."""
        return Scored(scores, self.threshold, self.band)

    def files(self) -> dict[str, bytes]:
        """File name and content; the same model always gives the same bytes."""
        beside = {**self.candidate.files(), DESCRIPTION: self._description()}
        index = {
            "format": FORMAT,
            "use_case": self.use_case,
            "cutoff": self.cutoff,
            "numeric": self.numeric,
            "categorical": self.categorical,
            "timestamp": self.timestamp,
            "text": self.text,
            "kind": self.candidate.kind,
            "candidate": self.candidate.parameters(),
            "target": self.target.to_json(),
            "calibration": self.calibration.to_json(),
            "threshold": self.threshold,
            "band": self.band.to_json() if self.band else None,
            "remark": self.remark,
            "reference": self.reference,
            "files": {name: sha256(content) for name, content in beside.items()},
        }
        return {INDEX: json.dumps(index, indent=1, sort_keys=True).encode(), **beside}

    def _description(self) -> bytes:
        """MLflow's own description, with the signature that its pages show."""
        from mlflow.models import Model as Description
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, DataType, Schema
        from mlflow.types.schema import TensorSpec

        kinds = (
            (DataType.double, self.numeric),
            (DataType.string, self.categorical),
            (DataType.datetime, self.timestamp),
            (DataType.string, self.text),
        )
        columns: list[ColSpec | TensorSpec] = [
            ColSpec(kind, name, required=False) for kind, names in kinds for name in names
        ]
        scores: list[ColSpec | TensorSpec] = [
            ColSpec(DataType.double, name) for name in self.target.outputs
        ]
        flavors: dict[str, Any] = {"daybreak": {"data": INDEX, "kind": self.candidate.kind}}
        if FILE in self.candidate.files():
            flavors["xgboost"] = {
                "data": FILE,
                "model_class": "xgboost.core.Booster",
                "model_format": "ubj",
            }
        described = Description(
            utc_time_created=self.cutoff,
            model_uuid=None,
            flavors=flavors,
            signature=ModelSignature(Schema(columns), Schema(scores)),
        )
        text: str = described.to_yaml()
        return text.encode()


def sha256(content: bytes) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def opened(files: Mapping[str, bytes], digest: str, name: str) -> Model:
    """The model in `files`, once every one of them was found unchanged.

    Args:
        files: file name and content.
        digest: the SHA-256 of `model.json` as it was registered.
        name: what to call the model in a refusal.

    Raises:
        Refused: a file is missing or was changed; nothing of it was loaded.
    """
    index = json.loads(_checked(files, INDEX, digest, name))
    if index["format"] != FORMAT:
        raise Refused(
            f"{name} was written in format {index['format']}, and this version reads {FORMAT}.",
            f"Train anew: `daybreak trigger {index['use_case']} train`.",
        )
    beside = {file: _checked(files, file, wanted, name) for file, wanted in index["files"].items()}
    return Model(
        use_case=index["use_case"],
        cutoff=index["cutoff"],
        numeric=tuple(index["numeric"]),
        categorical=tuple(index["categorical"]),
        timestamp=tuple(index["timestamp"]),
        text=tuple(index["text"]),
        candidate=restored(index["kind"], index["candidate"], beside),
        target=target_from(index["target"]),
        calibration=calibrate.restored(index["calibration"]),
        threshold=index["threshold"],
        band=band.restored(index["band"]),
        remark=index["remark"],
        reference=index["reference"],
    )


def _checked(files: Mapping[str, bytes], file: str, wanted: str, name: str) -> bytes:
    remedy = "Promote another version: `daybreak promote USE_CASE --version N --reason WHY`."
    if file not in files:
        raise Refused(f"{name} lacks its file {file}; nothing was loaded.", remedy)
    if sha256(files[file]) != wanted:
        raise Refused(
            f"{name}: the file {file} was changed after it was registered; nothing was loaded.",
            remedy,
        )
    return files[file]
