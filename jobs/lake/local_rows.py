"""DataFrames of a few rows that this process holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from pyspark.sql.conversion import LocalDataToArrowConversion
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def local_rows(spark: SparkSession, rows: Sequence[Any], schema: StructType | str) -> DataFrame:
    """Rows as a relation that travels in the plan, by way of Arrow.

    From a list, a classic session would make an RDD, and read it by Python workers each time.

    Args:
        rows: tuples in the schema's order, or dictionaries by its names.
        schema: a type or Spark's DDL, such as `day date, rows long`.
    """
    parsed = StructType.fromDDL(schema) if isinstance(schema, str) else schema
    wanted = cast("StructType", parsed)
    table = (
        LocalDataToArrowConversion.convert(list(rows), wanted, use_large_var_types=False)
        if rows
        else to_arrow_schema(wanted, timezone="UTC").empty_table()
    )
    return spark.createDataFrame(table, wanted)
