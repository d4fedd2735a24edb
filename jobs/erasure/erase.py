"""Erase one entity from landing files, lake and warehouse, and say what was done."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as f

from jobs.context import Context
from jobs.drill.sandbox import DRILLS
from jobs.erasure.entity import Entity
from jobs.erasure.landing import erase_landing
from jobs.erasure.models import models_of
from jobs.erasure.receipt import Progress, Receipt
from jobs.erasure.sources import sources_of
from jobs.erasure.warehouse import erase_batches, erase_feedback, feedback_of
from jobs.lake import files
from jobs.lake.maintain import everything
from jobs.lake.parallel import side_by_side
from jobs.lake.table import Table
from jobs.lake.tombstones import Tombstones
from jobs.prediction.turn import lake_turn
from jobs.quality.usual import Profiles
from jobs.usecase import Source

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression

RETENTION_CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"


def erase(
    context: Context, entity: Mapping[str, str], reason: str, say: Callable[[str], None]
) -> Receipt:
    """Erase an entity; done again, or after a kill in the middle, it ends in the same state.

    Every source that has all of the columns is looked at. Out of gold and of the batches go the
    rows that have the columns, and those with the key of a row that goes out of silver: what is
    predicted of a flight is also its aircraft's, even if another one flew it in the end.

    Args:
        entity: the columns that name it, and their values as text.
        reason: why; it is kept with the receipt.
        say: is told each place that held something.

    Raises:
        WrongUsage: no source has all of these columns, or a value is not of its column's type.
        Refused: another source keeps them of the same files without declaring them.
        Unavailable: the warehouse or MLflow does not answer.
    """
    named, settings, name = Entity(dict(entity)), context.plan.settings, context.plan.name
    sources = sources_of(context, named)
    with lake_turn(settings, name, f"erase {name}"):
        tables, typed = context.tables, [source.columns for source in sources.values()]
        tombstones = Tombstones.read(tables.root).with_another(named.values, typed)
        # First of all, so that nothing that is delivered from now on brings it back.
        tombstones.write(tables.root)
        tombstone = min(tombstones.hashes_of(named.values, typed))
        progress = Progress(f"{tables.root}/_receipts", tombstone, say)
        progress.begin(models_of(context, named, sources))
        _Erasure(context, named, sources, progress).run()
        return progress.end(name, named.values.keys(), reason)


@dataclass(frozen=True)
class _Erasure:
    """One erasure at work."""

    context: Context
    entity: Entity
    sources: Mapping[str, Source]
    progress: Progress

    def run(self) -> None:
        plan, tables = self.context.plan, self.context.tables
        # What is keyed by silver's rows goes before them: a run that is killed finds them again.
        entity, label = plan.usecase.entity, plan.usecase.label
        keys = self._keys(entity.source, *entity.labelled)
        # A label is of one version of its row: those of versions that stay, stay.
        # One of what happens later is no row's: it goes with its entity.
        of_labels = (
            keys if label.within else self._keys(label.source, *entity.labelled, "_arrived_at")
        )
        self._table(tables.features(), self._in(tables.features()), keys)
        # What people said is of no version: it is of the entity if any version of its row is.
        known = pa.concat_tables([keys, of_labels.select(keys.column_names)])
        feedback = feedback_of(plan, self.entity.values, known)
        if feedback:
            given = pa.Table.from_pylist(feedback.versions, of_labels.schema)
            named = of_labels.column_names
            of_labels = pa.concat_tables([of_labels, given]).group_by(named).aggregate([])
        self._table(tables.labels(), self._in(tables.labels()), of_labels)
        self._table(tables.predictions(), self._in(tables.predictions()), keys)
        for batch, gone in erase_batches(plan, self.entity.values, keys).items():
            self.progress.note(batch, gone)
        if feedback:
            erase_feedback(plan, feedback)
            self.progress.note(feedback.place, len(feedback.rows))
        for source, spec in self.sources.items():
            erase_landing(self.context, self.entity, source, self.progress)
            bronze, quarantine = tables.bronze(source), tables.quarantine(source)
            self._table(bronze, self.entity.in_bronze(spec.columns))
            self._table(quarantine, self.entity.in_quarantine(spec.columns))
            self._table(tables.silver(source), self._in(tables.silver(source)))
        self._leave_no_trace()

    def _keys(self, source: str, *columns: str) -> pa.Table:
        """Those columns of silver's rows of the entity in a source; none if they do not name it.

        Silver has the prediction date under the name of the entity's own column.
        """
        silver, spark = self.context.tables.silver(source), self.context.engine.session()
        rows = silver.read(spark).where(self._in(silver))
        if (date := self.context.plan.usecase.entity.date) is not None:
            rows = rows.withColumn("prediction_date", f.col(date))
        return rows.select(*columns).distinct().toArrow()

    def _table(self, table: Table, belongs: Expression, keys: pa.Table | None = None) -> None:
        """Take out the rows that belong to the entity, and those with one of some keys."""
        if not table.exists():
            self.progress.note(table.name, 0)
            return
        spark = self.context.engine.session()
        rows, mine = table.read(spark), f.coalesce(belongs, f.lit(False))
        if keys:
            named = spark.createDataFrame(keys).withColumn("_named", f.lit(True))
            rows = rows.join(f.broadcast(named), on=keys.column_names, how="left")
            mine |= f.coalesce("_named", f.lit(False))
        by = [table.partition[0]] if table.partition else []
        found = rows.where(mine).groupBy(*by).count().collect() if by else None
        gone = sum(row["count"] for row in found) if found is not None else rows.where(mine).count()
        self.progress.note(table.name, gone)
        if not gone:
            return
        # By whole partitions: Delta writes the predicate of a commit into its log.
        where = table.of_dates(sorted(row[0] for row in found)) if found is not None else None
        kept = rows.where(~mine) if where is None else rows.where(where).where(~mine)
        table.replace(kept.select(*table.schema.names), where)

    def _leave_no_trace(self) -> None:
        """Remove files of older versions, what is staged, statistics of days, and gate results."""
        spark, tables = self.context.engine.session(), self.context.tables
        # For good: the session is everybody's, and another erasure may be vacuuming in it just now.
        # Who else vacuums says for how many hours files stay, and that is a month or longer.
        spark.conf.set(RETENTION_CHECK, "false")
        # Also what nothing was taken out of now: an older version may hold what the newest one had
        # lost before. No table of another source has columns that name the entity.
        side_by_side(
            [table for table in everything(tables, self.sources) if table.exists()],
            lambda table: spark.sql(f"VACUUM delta.`{table.path}` RETAIN 0 HOURS"),
        )
        for source, spec in self.sources.items():
            Profiles(tables.silver(source), spec).forget(dt.date.min)
        files.remove_folder(f"{tables.root}/_staging")
        files.remove_folder(f"{tables.root}/_gates")
        # Copies that drills have made of this lake, of which one may have been killed.
        plan = self.context.plan
        for copy in files.list_folder(f"{plan.settings.lake}/{DRILLS}"):
            if files.exists(f"{copy}/lake/{plan.name}"):
                files.remove_folder(copy)

    def _in(self, table: Table) -> Expression:
        return self.entity.typed_in(table.schema)
