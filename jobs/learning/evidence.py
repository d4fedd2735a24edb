"""The evidence of a decision, as it is kept with the run of its training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jobs.learning.evaluation import Evaluation

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER, EVIDENCE = "evaluation", "evaluation.json"


def evidence_of(client: MlflowClient, run_id: str) -> Evaluation | None:
    """What the evaluation of a training found; None if it was not evaluated."""
    path = f"{FOLDER}/{EVIDENCE}"
    if path not in {found.path for found in client.list_artifacts(run_id, FOLDER)}:
        return None
    written = Path(client.download_artifacts(run_id, path)).read_text(encoding="utf-8")
    return Evaluation.model_validate_json(written)
