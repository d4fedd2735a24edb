"""Silver to gold: the features of a range of prediction dates, as declared and by a module."""

from __future__ import annotations

import datetime as dt
import importlib.util
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as f

from jobs.declared import DATE
from jobs.errors import Refused
from jobs.features.declared import declared
from jobs.features.inputs import FeatureInputs
from jobs.features.known import cutoff_of
from jobs.lake.tables import FEATURE_TYPES
from jobs.plan import Dates, Plan
from jobs.transforms.step import Kind

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def build(
    plan: Plan,
    silver: Mapping[str, DataFrame],
    dates: Dates,
    late: Mapping[dt.date, dt.datetime] | None = None,
) -> DataFrame:
    """One row per entity scheduled for each date, from what was known at the date's cutoff.

    Args:
        silver: every source's silver table, all versions.
        late: the cutoffs of the dates whose night waited for its files.

    Returns:
        The columns of `gold.features`: key, `prediction_date`, numeric features as double,
        categorical ones and text as string, timestamps (a date is its local midnight),
        `_cutoff_at`.

    Raises:
        Refused: there is no such feature module, or it does not give a declared column.
    """
    pruned = {name: _history(plan, name, rows, dates) for name, rows in silver.items()}
    inputs = FeatureInputs(plan.usecase, dates, pruned, late or {})
    made = declared(inputs)
    if (module := plan.usecase.features.module) is not None:
        made = _module(plan, module)(inputs, made)
        _require(plan, made.columns)
    key, kinds = plan.usecase.entity.key, plan.usecase.features.kinds
    types = dict(made.dtypes)
    # A feature that is also part of the key is there once.
    return made.select(
        *key,
        DATE,
        *[
            _as(kind, name, types[name], plan).alias(name)
            for name, kind in kinds.items()
            if name not in key
        ],
        cutoff_of(f.col(DATE), plan.usecase, late or {}).alias("_cutoff_at"),
    )


def _as(kind: Kind, name: str, type_: str, plan: Plan) -> Column:
    if kind == "timestamp" and type_ == "date":
        return f.to_utc_timestamp(f.col(name), plan.usecase.timezone)
    return f.col(name).cast(FEATURE_TYPES[kind])


def _history(plan: Plan, source: str, rows: DataFrame, dates: Dates) -> DataFrame:
    """Only the days that the features may look at, so that no other files are read."""
    if not plan.usecase.sources[source].is_daily:
        return rows
    span = dates.shifted(first=-plan.usecase.features.history)
    return rows.where(f.col("_batch_date").between(f.lit(span.first), f.lit(span.last)))


def _module(plan: Plan, name: str) -> Callable[[FeatureInputs, DataFrame], DataFrame]:
    # By its place and not by import, because use cases may live outside this project.
    path = plan.settings.usecases / plan.name / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"daybreak_{plan.name}_{name}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise Refused(
            f"The use case {plan.name} has no feature module: {path} does not exist.",
            "Write it, or name another in features.module.",
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look up their module
    spec.loader.exec_module(module)
    if not hasattr(module, "build"):
        raise Refused(f"{path} has no function build.", "Add `def build(inputs, rows)`.")
    found: Callable[[FeatureInputs, DataFrame], DataFrame] = module.build
    return found


def _require(plan: Plan, columns: list[str]) -> None:
    usecase = plan.usecase
    wanted = (*usecase.entity.key, DATE, *usecase.features.names)
    missing = [name for name in dict.fromkeys(wanted) if name not in columns]
    if missing:
        raise Refused(
            f"The feature module of {plan.name} lacks {len(missing)} declared columns: "
            f"{', '.join(missing)}.",
            "Add them to the module's build, or take them out of features in usecase.yaml.",
        )
