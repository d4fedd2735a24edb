"""Write, audit, publish: rows wait in a staging folder until a gate lets them through.

A staged write is complete once its manifest exists. The gate commits it by one atomic Delta
overwrite of exactly the rows that the manifest names, then marks the manifest; a retry after
that finds the mark and adds nothing. What a gate refused stays for inspection.

Each write has a folder of its own: a Spark server goes on with the job of a client that was
killed, and must not write into what the retry has made.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.errors import Refused
from jobs.lake import files
from jobs.lake.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROWS = "rows-"


@dataclass(frozen=True)
class Staged:
    """The staged rows of one table for one batch of dates.

    Attributes:
        table: where the rows will go.
        root: staging root of the use case.
        batch: names the run: a date, or `first_last`.
    """

    table: Table
    root: str
    batch: str

    @property
    def path(self) -> str:
        return f"{self.root}/{self.table.name}/{self.batch}"

    @property
    def rows(self) -> str:
        """The folder of the staged Parquet files; raises `Refused` if nothing was staged."""
        return f"{self.path}/{self._staged()['rows']}"

    @property
    def _manifest(self) -> str:
        return f"{self.path}/manifest.json"

    def write(self, df: DataFrame, where: str | None) -> None:
        """Stage `df`, which will replace the rows for which `where` is true (None: all rows)."""
        files.remove_file(self._manifest)
        self._remove_rows()
        rows = f"{ROWS}{uuid.uuid4().hex}"
        self.table.conforming(df).write.parquet(f"{self.path}/{rows}")
        files.write_json(self._manifest, {"where": where, "committed": False, "rows": rows})

    def is_there(self) -> bool:
        return files.read_json(self._manifest) is not None

    def is_committed(self) -> bool:
        manifest = files.read_json(self._manifest)
        return manifest is not None and bool(manifest["committed"])

    def read(self, spark: SparkSession) -> DataFrame:
        """The staged rows.

        Raises:
            Refused: nothing was staged for this batch.
        """
        return spark.read.schema(self.table.schema).parquet(self.rows)

    def commit(self, spark: SparkSession) -> None:
        """Make the staged rows visible; does nothing if that was done before."""
        if self.is_committed():
            return
        manifest = self._staged()
        self.table.replace(self.read(spark), manifest["where"])
        files.write_json(self._manifest, {**manifest, "committed": True})
        self._remove_rows()

    def _staged(self) -> dict[str, Any]:
        manifest = files.read_json(self._manifest)
        if manifest is None:
            raise Refused(
                f"Nothing is staged for {self.table.name} and {self.batch}.",
                "Run the step that makes it first.",
            )
        return manifest

    def _remove_rows(self) -> None:
        for found in files.list_folder(self.path):
            name = found.rsplit("/", 1)[1]
            if name.startswith(ROWS):
                files.remove_folder(f"{self.path}/{name}")

    def discard(self) -> None:
        """Forget what was staged."""
        files.remove_folder(self.path)
