"""All types of labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.learning.targets.binary import Binary
from jobs.learning.targets.target import Target
from jobs.usecase import UseCase

KINDS: Mapping[str, type[Target]] = {kind.type: kind for kind in (Binary,)}


def target_of(usecase: UseCase) -> Target:
    """What a use case predicts."""
    return restored({"type": usecase.label.type})


def restored(written: Mapping[str, Any]) -> Target:
    """A target from what `Target.to_json` gave."""
    return KINDS[written["type"]](**{n: v for n, v in written.items() if n != "type"})
