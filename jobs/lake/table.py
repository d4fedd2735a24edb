"""A table is a type: schema, key, partition and path; anything else is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql.types import StructType

from jobs.errors import Refused
from jobs.lake import files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Table:
    """A Delta table.

    Attributes:
        name: layer and table, such as `silver.actuals`.
        path: where its files are.
        schema: exactly the columns it has, in order; nullability is not compared.
        key: columns that name one row (of one version, where the table keeps versions).
        partition: columns that its files are laid out by; the first is the date.
    """

    name: str
    path: str
    schema: StructType
    key: tuple[str, ...]
    partition: tuple[str, ...] = ()

    def exists(self) -> bool:
        return files.exists(f"{self.path}/_delta_log")

    def read(self, spark: SparkSession, *, version: int | None = None) -> DataFrame:
        """The table's rows, now or as of a Delta version; no rows if it was never written.

        Raises:
            Refused: the files have other columns than the declared ones.
        """
        if not self.exists():
            return spark.createDataFrame([], self.schema)
        reader = spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        return self.conforming(reader.load(self.path))

    def conforming(self, df: DataFrame) -> DataFrame:
        """`df` with exactly the declared columns in order.

        Raises:
            Refused: a column is missing, unexpected, or of another type.
        """
        found = {field.name: field.dataType for field in df.schema.fields}
        wanted = {field.name: field.dataType for field in self.schema.fields}
        problems = [f"lacks {name}" for name in wanted if name not in found]
        problems += [f"has unexpected {name}" for name in found if name not in wanted]
        problems += [
            f"has {name} as {found[name].simpleString()} instead of {kind.simpleString()}"
            for name, kind in wanted.items()
            if name in found and found[name] != kind
        ]
        if problems:
            raise Refused(
                f"Data for {self.name} does not have its schema: it {', '.join(problems)}.",
                "Mend the transformation, or declare the change in the use-case file and rebuild.",
            )
        return df.select(*wanted)

    def append(self, df: DataFrame) -> None:
        """Add rows in one atomic commit."""
        self._writer(df).mode("append").save(self.path)

    def replace(self, df: DataFrame, where: str | None) -> None:
        """Put `df` in the place of all rows for which `where` is true, in one atomic commit.

        Delta refuses rows of `df` that are not within `where`. None replaces the whole table.
        """
        writer = self._writer(df).mode("overwrite")
        if where is not None and self.exists():
            writer = writer.option("replaceWhere", where)
        writer.save(self.path)

    def of_dates(self, dates: Iterable[dt.date]) -> str:
        """The predicate that names exactly the partitions of some dates."""
        return f"{self.partition[0]} in ({', '.join(repr(str(date)) for date in dates)})"

    def version(self, spark: SparkSession) -> int | None:
        """The newest Delta version, or None if the table was never written."""
        if not self.exists():
            return None
        history = spark.sql(f"DESCRIBE HISTORY delta.`{self.path}` LIMIT 1")
        return int(history.collect()[0]["version"])

    def _writer(self, df: DataFrame):  # type: ignore[no-untyped-def]  # two writer classes
        writer = self.conforming(df).write.format("delta")
        return writer.partitionBy(*self.partition) if self.partition else writer
