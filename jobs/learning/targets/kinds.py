"""All types of labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.errors import Refused
from jobs.learning.targets.binary import Binary
from jobs.learning.targets.multiclass import Multiclass
from jobs.learning.targets.regression import Regression
from jobs.learning.targets.target import Target
from jobs.usecase import UseCase

KINDS: Mapping[str, type[Target]] = {kind.type: kind for kind in (Binary, Multiclass, Regression)}


def target_of(usecase: UseCase) -> Target:
    """What a use case predicts."""
    return KINDS[usecase.label.type].of(usecase)


def restored(written: Mapping[str, Any]) -> Target:
    """A target from what `Target.to_json` gave."""
    return KINDS[written["type"]].from_json(written)


def require_declared(found: Target, usecase: UseCase, model: str) -> None:
    """Whether a model predicts what a use case declares now.

    Args:
        model: what to call it.

    Raises:
        Refused: its labels were of another type, or of other classes.
    """
    if found != (wanted := target_of(usecase)):
        raise Refused(
            f"{model} learned {found.described}, and the use-case file declares "
            f"{wanted.described}.",
            f"Train anew: `daybreak trigger {usecase.name} train`.",
        )
