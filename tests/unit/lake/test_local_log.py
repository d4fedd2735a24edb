"""Delta's log on a local disk, which is not written the way Delta would by default."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.lake.tables import Tables
from jobs.settings import Settings
from tests.unit.learning import parcels


def test_a_hint_cut_short_by_a_kill_hides_nothing(spark: SparkSession, tmp_path: Path) -> None:
    """The place of the newest checkpoint is written without a rename."""
    table = Tables(parcels.plan(Settings(home="/nowhere", lake=str(tmp_path)))).features()
    rows = parcels.frame(spark, parcels.rows(days=1, per_day=2))
    known = rows.withColumn("_cutoff_at", F.current_timestamp())
    known = known.select(*[F.col(f.name).cast(f.dataType) for f in table.schema.fields])
    table.append(known)
    every = "SET TBLPROPERTIES ('delta.checkpointInterval' = '1')"
    spark.sql(f"ALTER TABLE delta.`{table.path}` {every}")
    table.append(known)
    hint = Path(table.path) / "_delta_log" / "_last_checkpoint"
    hint.write_text(hint.read_text()[:9])
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    assert table.read(spark).count() == 4
