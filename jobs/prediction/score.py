"""Scores of one or many nights, as rows of `gold.predictions`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from jobs.lake.tables import Tables
from jobs.learning.band import Band
from jobs.learning.registry import LoadedModel
from jobs.learning.scoring import with_scores
from jobs.learning.targets.kinds import require_declared
from jobs.usecase import ENDS, UseCase

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def score(frame: DataFrame, model: LoadedModel, tables: Tables) -> DataFrame:
    """Score rows of `gold.features`; the answer has the schema of `gold.predictions`.

    Raises:
        Refused: the model needs a feature that the frame has not, or learned labels of another
            type than those declared now.
    """
    usecase = tables.plan.usecase
    name = f"Version {model.version} of {usecase.name}"
    require_declared(model.model.target, usecase, name)
    keep = (*usecase.entity.key, "prediction_date", *usecase.predict.columns)
    scored = with_scores(frame, {"score": model.model}, keep)
    return tables.predictions().conforming(
        scored.withColumns(
            {
                **model.model.target.predicted(model.model.threshold),
                **_ends(model.model.band, usecase),
                "model_version": F.lit(model.version),
                "scored_at": F.current_timestamp(),
            }
        )
    )


def _ends(band: Band | None, usecase: UseCase) -> dict[str, Column]:
    """The ends of the intervals of scores; null of a model that was trained without them."""
    if not usecase.predict.ends:
        return {}
    score, margin = F.col("score"), F.lit(band.margin if band else None).cast("double")
    low = score - margin
    # Numbers that are declared to be 0 or more are never below.
    if usecase.model.objective == "poisson":
        low = F.when(low < 0, F.least(score, F.lit(0.0))).otherwise(low)
    return dict(zip(ENDS, (low, score + margin), strict=True))
