"""Write the sample files of a use case that brings some (`sample.py` beside its declaration)."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable

from jobs.errors import Refused
from jobs.plan import Dates, Plan


def write_sample(plan: Plan, dates: Dates, say: Callable[[str], None] = print) -> None:
    """Put into the landing root what had landed by the night of `dates.last`.

    Raises:
        Refused: the use case brings no sample, or has none for these dates.
    """
    path = plan.settings.usecases / plan.name / "sample.py"
    spec = importlib.util.spec_from_file_location(f"{plan.name}_sample", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise Refused(
            f"The use case {plan.name} brings no sample: {path} does not exist.",
            "Put files of your own into the landing folder, or try `daybreak sample flight_delay`.",
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    module.write(plan.settings.landing, dates, say, endpoint=plan.settings.s3_endpoint)
