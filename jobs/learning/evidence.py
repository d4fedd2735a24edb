"""The evidence of a decision, as it is kept with the run of its training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jobs.errors import Refused
from jobs.learning.evaluation import Evaluation

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# What a decision rests on, and what else the page of an evaluation tells.
FOLDER, EVIDENCE, DETAILS = "evaluation", "evaluation.json", "details.json"


def evidence_of(client: MlflowClient, run_id: str) -> Evaluation | None:
    """What the evaluation of a training found; None if it was not evaluated."""
    path = f"{FOLDER}/{EVIDENCE}"
    if path not in {found.path for found in client.list_artifacts(run_id, FOLDER)}:
        return None
    written = Path(client.download_artifacts(run_id, path)).read_text(encoding="utf-8")
    return Evaluation.model_validate_json(written)


def require_evidence(client: MlflowClient, run: Run, use_case: str) -> Evaluation:
    """As `evidence_of`.

    Raises:
        Refused: the training was not evaluated.
    """
    found = evidence_of(client, run.info.run_id)
    if found is None:
        cutoff = run.data.tags["daybreak.cutoff"]
        raise Refused(
            f"The training of {use_case} with cutoff {cutoff} was not evaluated.",
            f"Run `daybreak run evaluate {use_case} --date {cutoff}` first.",
        )
    return found
