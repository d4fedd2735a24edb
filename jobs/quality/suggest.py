"""A first draft of a use case's gates, from the days that are in silver."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobs.errors import Refused
from jobs.lake.tables import Tables
from jobs.quality.suite import NON_NULL_SHARE
from jobs.quality.usual import Profile, Profiles
from jobs.usecase import Source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MEAN = "expect_column_mean_to_be_between"
OF_SET = "expect_column_distinct_values_to_be_in_set"
CONTAINS_SET = "expect_column_distinct_values_to_contain_set"

# A text column with more values than this is no category.
CATEGORIES = 20
# A column that is this often there is expected to stay so.
MOSTLY = 0.1


def suggest(spark: SparkSession, tables: Tables) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Expectations that every day in silver would have met, as `gates.silver` is written.

    By source: the share of values that are there, means with half of what they varied by to spare,
    and the categories of text columns with few of them.

    Raises:
        Refused: no source has days in silver yet.
    """
    found = {}
    for source, spec in tables.plan.usecase.sources.items():
        table = tables.silver(source)
        if spec.is_daily and (days := list(Profiles(table, spec).of(spark).values())):
            rows = table.read(spark).where("_superseded_at is null")
            found[source] = [*_of_days(spec, days), *_of_categories(spec, days, rows)]
    if not found:
        raise Refused(
            f"{tables.plan.name} has no days in silver to learn from.",
            "Run some nights first, or `daybreak run ingest`, `conform` and `gate` for a range.",
        )
    return {"silver": found}


def _of_days(spec: Source, days: Sequence[Profile]) -> list[dict[str, Any]]:
    drafted = []
    for name in spec.columns:
        missing = [day[f"missing {name}"] for day in days if f"missing {name}" in day]
        if missing and max(missing) < 1 - MOSTLY:
            least = _rounded(max(0.0, 1 - max(missing) - MOSTLY))
            drafted.append(_expect(NON_NULL_SHARE, column=name, min_value=least))
        means = [day[f"mean {name}"] for day in days if f"mean {name}" in day]
        if means and name not in spec.key:
            spare = (max(means) - min(means)) / 2
            ends = {"min_value": min(means) - spare, "max_value": max(means) + spare}
            drafted.append(
                _expect(MEAN, column=name, **{end: _rounded(value) for end, value in ends.items()})
            )
    return drafted


def _of_categories(spec: Source, days: Sequence[Profile], rows: DataFrame) -> list[dict[str, Any]]:
    few = [
        name
        for name, column in spec.columns.items()
        if column.type == "string"
        and 0 < max((day.get(f"distinct {name}", 0.0) for day in days), default=0.0) <= CATEGORIES
    ]
    drafted = []
    for name in few:
        values = sorted(
            row[0] for row in rows.select(name).distinct().collect() if row[0] is not None
        )
        kind = CONTAINS_SET if spec.columns[name].values else OF_SET
        drafted.append(_expect(kind, column=name, value_set=values))
    return drafted


def _expect(name: str, **arguments: Any) -> dict[str, Any]:
    return {"expect": name, "arguments": arguments}


def _rounded(value: float) -> float:
    """To three significant digits."""
    if value == 0:
        return 0.0
    return round(value, 2 - math.floor(math.log10(abs(value))))


def as_yaml(drafted: Mapping[str, Any]) -> str:
    """The draft as it is pasted into the use-case file."""
    import yaml

    return yaml.safe_dump({"gates": drafted}, sort_keys=False, allow_unicode=True, width=100)
