"""A table is a type: schema, key, partition and path; anything else is refused."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as f
from pyspark.sql.types import DataType, StructType
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from jobs.errors import Refused
from jobs.lake import files
from jobs.lake.local_rows import local_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# A commit or checkpoint in a Delta log: `00000000000000000010.json`, `….checkpoint.parquet`.
LOGGED = re.compile(r"(\d{20})\.(json|checkpoint\..*parquet)$")
# How often a commit is tried when another writer was faster.
ATTEMPTS = 4


@dataclass(frozen=True)
class Table:
    """A Delta table.

    Attributes:
        name: layer and table, such as `silver.actuals`.
        path: where its files are.
        schema: exactly the columns it has, in order; nullability is not compared.
        key: columns that name one row (of one version, where the table keeps versions).
        partition: columns that its files are laid out by; the first is the date.
        keeps_versions: its older versions can be read for as long as their files are kept, and
            not only for the 30 days of Delta's own log.
    """

    name: str
    path: str
    schema: StructType
    key: tuple[str, ...]
    partition: tuple[str, ...] = ()
    keeps_versions: bool = False

    def exists(self) -> bool:
        """Whether anything was ever committed; a log without a commit is a killed first write."""
        return self.version() is not None

    def is_bare(self, parts: Iterable[str]) -> bool:
        """Whether none of some parts has a file: those of a date are in a folder of its own.

        Args:
            parts: dates in ISO form; a table that is not laid out by dates is one part.
        """
        if not self.partition or not self.exists():
            return not self.exists()
        column = self.partition[0]
        return not any(files.exists(f"{self.path}/{column}={part}") for part in parts)

    def read(self, spark: SparkSession, *, version: int | None = None) -> DataFrame:
        """The table's rows, now or as of a Delta version; no rows if it was never written.

        A column that was declared after the files were written is null in their rows, and one
        that is declared no more is left out.

        Raises:
            Refused: a column of the files has another type than the declared one.
        """
        if not self.exists():
            return local_rows(spark, [], self.schema)
        found = self.as_of(spark, version)
        # Over Connect each look at a schema is a request, and a plan analysed.
        there = {field.name: field.dataType for field in found.schema.fields}
        self._require({each.name: there.get(each.name, each.dataType) for each in self.schema})
        return found.select(
            *[
                f.col(each.name)
                if each.name in there
                else f.lit(None).cast(each.dataType).alias(each.name)
                for each in self.schema
            ]
        )

    def as_of(self, spark: SparkSession, version: int | None) -> DataFrame:
        """The rows of a Delta version with the columns that the files had then; None: now."""
        reader = spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        return reader.load(self.path)

    def conforming(self, df: DataFrame) -> DataFrame:
        """`df` with exactly the declared columns in order.

        Raises:
            Refused: a column is missing, unexpected, or of another type.
        """
        self._require({field.name: field.dataType for field in df.schema.fields})
        return df.select(*self.schema.names)

    def _require(self, found: Mapping[str, DataType]) -> None:
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
                f"Mend the transformation. If the use-case file changed a column's type, remove "
                f"{self.path} and run the table's step for all dates: bronze has the rows.",
            )

    def append(self, df: DataFrame) -> None:
        """Add rows in one atomic commit."""
        self._writer(df).mode("append").save(self.path)

    def replace(self, df: DataFrame, where: str | None) -> None:
        """Put `df` in the place of all rows for which `where` is true, in one atomic commit.

        Delta refuses rows of `df` that are not within `where`. None replaces the whole table.
        Done twice it leaves the same rows, so that a commit that lost against another writer's is
        simply tried again.
        """
        attempts = Retrying(
            retry=retry_if_exception(_is_conflict),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.5, max=5),
            reraise=True,
        )
        attempts(self._replace, df, where)

    def _replace(self, df: DataFrame, where: str | None) -> None:
        writer = self._writer(df).mode("overwrite")
        if where is not None and self.exists():
            writer = writer.option("replaceWhere", where)
        writer.save(self.path)

    def of_dates(self, dates: Iterable[dt.date | str]) -> str:
        """The predicate that names exactly the partitions of some dates; false for no dates.

        Args:
            dates: as dates or, as parts are named, in ISO form.
        """
        # As text, each row's date would be written out to be compared.
        listed = ", ".join(f"date'{date}'" for date in dates)
        return f"{self.partition[0]} in ({listed})" if listed else "false"

    def version(self) -> int | None:
        """The newest Delta version, or None if the table was never written.

        By the names of the log's commits and checkpoints, as Delta's protocol has them: Spark
        takes seconds to say the same.
        """
        log = files.list_folder(f"{self.path}/_delta_log")
        names = (path.rsplit("/", 1)[1] for path in log)
        return max((int(found[1]) for name in names if (found := LOGGED.match(name))), default=None)

    def _writer(self, df: DataFrame):  # type: ignore[no-untyped-def]  # two writer classes
        # A declared column that older files lack is added to the table's schema.
        writer = self.conforming(df).write.format("delta").option("mergeSchema", "true")
        if self.keeps_versions:
            writer = writer.option("delta.logRetentionDuration", "interval 3650 days")
        return writer.partitionBy(*self.partition) if self.partition else writer


# As Delta names the error, or Spark Connect its class. Two first writes of a table change its
# protocol and its metadata.
CONFLICTS = (
    "DELTA_CONCURRENT",
    "DELTA_PROTOCOL_CHANGED",
    "DELTA_METADATA_CHANGED",
    "delta.exceptions.Concurrent",
    "delta.exceptions.ProtocolChanged",
    "delta.exceptions.MetadataChanged",
)


def _is_conflict(error: BaseException) -> bool:
    """Whether a commit lost against another writer's; over Connect there is only the text."""
    return any(name in str(error) for name in CONFLICTS)
