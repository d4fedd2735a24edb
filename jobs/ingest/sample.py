"""Land the data of a use case that brings some (`sample.py` beside its declaration).

A sample of deliveries has a function `write(landing, dates, say, *, endpoint)`; one that is a
single file in public has it as `FILE`.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from jobs.errors import Refused, WrongUsage
from jobs.ingest.landing import landing_store
from jobs.plan import Dates, Plan


def write_sample(
    plan: Plan,
    dates: Dates | None,
    say: Callable[[str], None] = print,
    copy: Path | None = None,
) -> None:
    """Put into the landing root what had landed by the night of `dates.last`, or the one file.

    Args:
        copy: a copy of the one file, so that it is not fetched.

    Raises:
        Refused: the use case brings no sample, or has none for these dates; or the file is not the
            one that is meant.
        WrongUsage: there are no dates where there must be some, or what this sample does not take.
        Unavailable: the file cannot be fetched.
    """
    module = _module(plan)
    if one := getattr(module, "FILE", None):
        if dates is not None:
            raise WrongUsage(
                f"The sample of {plan.name} is one file, whatever the date.",
                "Leave --from and --to out.",
            )
        one.land(landing_store(plan), copy, say)
        return
    if copy is not None:
        raise WrongUsage(f"The sample of {plan.name} is made of no file.", "Leave --file out.")
    if dates is None:
        raise WrongUsage("Which dates?", "Give --from D and --to D.")
    module.write(plan.settings.landing, dates, say, endpoint=plan.settings.s3_endpoint)


def _module(plan: Plan) -> ModuleType:
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
    return module
