"""Write, audit, publish: rows wait in a staging folder until a gate lets them through.

A staged write is complete once its manifest exists. The gate commits it by one atomic Delta
overwrite of exactly the rows that the manifest names, then marks the manifest; a retry after
that finds the mark and adds nothing. What a gate refused stays for inspection.

Each write has a folder of its own: a Spark server goes on with the job of a client that was
killed, and must not write into what the retry has made.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.errors import Refused
from jobs.lake import files
from jobs.lake.local_rows import local_rows
from jobs.lake.made import Inputs, Made
from jobs.lake.moments import now
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
    def rows(self) -> str | None:
        """The folder of the staged Parquet files, or None if no rows are what was staged.

        Raises:
            Refused: nothing was staged for this batch.
        """
        rows = self._staged()["rows"]
        return f"{self.path}/{rows}" if rows else None

    @property
    def _manifest(self) -> str:
        return f"{self.path}/manifest.json"

    def write(
        self, df: DataFrame | None, where: str | None, parts: Mapping[str, Inputs] | None = None
    ) -> None:
        """Stage `df`, which will replace the rows for which `where` is true (None: all rows).

        `df` may be made of what was staged before.

        Args:
            df: None for no rows, which costs no Spark job.
            parts: the table's parts that `where` names, and what they are made of.
        """
        staged_at = now()
        rows = None
        if df is not None:
            rows = f"{ROWS}{uuid.uuid4().hex}"
            self.table.conforming(df).write.parquet(f"{self.path}/{rows}")
        manifest = {"where": where, "committed": False, "rows": rows, "staged_at": staged_at}
        files.write_json(self._manifest, {**manifest, "parts": dict(parts or {}), "only": None})
        self._remove_rows(but=rows)

    def narrow(self, where: str, parts: Mapping[str, Inputs]) -> None:
        """Leave out what is staged but not within `where`, which names only `parts`."""
        narrowed = {"where": where, "only": where, "parts": dict(parts)}
        files.write_json(self._manifest, {**self._staged(), **narrowed})

    def note(self, name: str, by_part: Mapping[str, Any]) -> None:
        """Add to the inputs of some parts."""
        manifest = self._staged()
        parts = {
            part: {**each, name: by_part[part]} if part in by_part else each
            for part, each in manifest["parts"].items()
        }
        files.write_json(self._manifest, {**manifest, "parts": parts})

    def is_there(self) -> bool:
        return files.read_json(self._manifest) is not None

    def is_committed(self) -> bool:
        manifest = files.read_json(self._manifest)
        return manifest is not None and bool(manifest["committed"])

    def parts(self) -> dict[str, Inputs]:
        """The table's parts that were staged, and what they are made of."""
        parts: dict[str, Inputs] = self._staged()["parts"]
        return parts

    def staged_at(self) -> int:
        """When it was staged, in microseconds since 1970; 0 if a kill left no manifest."""
        manifest = files.read_json(self._manifest)
        return int(manifest["staged_at"]) if manifest else 0

    def read(self, spark: SparkSession) -> DataFrame:
        """The staged rows.

        Raises:
            Refused: nothing was staged for this batch.
        """
        only, folder = self._staged()["only"], self.rows
        if folder is None:
            return local_rows(spark, [], self.table.schema)
        rows = spark.read.schema(self.table.schema).parquet(folder)
        return rows.where(only) if only else rows

    def count(self, spark: SparkSession) -> int:
        """How many rows are staged: most often the files know, and Spark need not be asked.

        Raises:
            Refused: nothing was staged for this batch.
        """
        folder = self.rows
        if folder is None:
            return 0
        return self.read(spark).count() if self._staged()["only"] else files.parquet_rows(folder)

    def commit(self, spark: SparkSession) -> None:
        """Make the staged rows visible; does nothing if that was done before.

        Parts for which another run has committed what it staged later stay as that run left them.
        """
        manifest = self._staged()
        if manifest["committed"]:
            return
        made, parts, staged_at = Made(self.table), manifest["parts"], manifest["staged_at"]
        overtaken = made.overtaken(parts, staged_at)
        current = {part: each for part, each in parts.items() if part not in overtaken}
        if current or not parts:
            if overtaken:
                # Only a table that is laid out by dates has more than one part.
                self.narrow(self.table.of_dates(sorted(current)), current)
            if manifest["rows"] or not self.table.is_bare(current):
                self.table.replace(self.read(spark), self._staged()["where"])
        if current:
            made.record(current, staged_at)
        files.write_json(self._manifest, {**self._staged(), "committed": True})
        self._remove_rows()

    def _staged(self) -> dict[str, Any]:
        manifest = files.read_json(self._manifest)
        if manifest is None:
            raise Refused(
                f"Nothing is staged for {self.table.name} and {self.batch}.",
                "Run the step that makes it first.",
            )
        return manifest

    def _remove_rows(self, but: str | None = None) -> None:
        for found in files.list_folder(self.path):
            name = found.rsplit("/", 1)[1]
            if name.startswith(ROWS) and name != but:
                files.remove_folder(f"{self.path}/{name}")

    def discard(self) -> None:
        """Forget what was staged."""
        files.remove_folder(self.path)
