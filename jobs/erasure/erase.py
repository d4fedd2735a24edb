"""Erase one entity from landing files, lake and warehouse, and say what was done."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping, Set
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as f

from jobs.context import Context
from jobs.drill.sandbox import DRILLS
from jobs.erasure.entity import Entity
from jobs.erasure.leftover import content_of, left_out
from jobs.erasure.rewriting import without
from jobs.erasure.warehouse import erase_batches, erase_feedback, feedback_of
from jobs.errors import Refused, WrongUsage
from jobs.ingest.landing import LandedFile, landed, landing_store
from jobs.ingest.ledger import seen
from jobs.ingest.text import Unreadable
from jobs.lake import files
from jobs.lake.local_rows import local_rows
from jobs.lake.maintain import everything
from jobs.lake.parallel import side_by_side
from jobs.lake.table import Table
from jobs.lake.tombstones import Tombstones
from jobs.learning.rebuild import trained_on
from jobs.plan import Dates
from jobs.prediction.turn import lake_turn
from jobs.quality.usual import Profiles
from jobs.usecase import Source

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame

RETENTION_CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"
FILES_SAID = 5


@dataclass(frozen=True)
class Receipt:
    """What an erasure did. It does not hold the erased values.

    Attributes:
        use_case: its name.
        entity: the columns that named the entity.
        tombstone: the keyed hash that keeps it from coming back; the first of them where sources
            declare its columns with different types.
        at: when it was done.
        reason: why.
        rows: rows removed, by landing file, table or batch.
        looked_at: what was looked at and held nothing.
        models: registered versions that learned from rows of it. They are not changed.
        unsearched: landing files that may still name it, and why it was not taken out of them.
    """

    use_case: str
    entity: tuple[str, ...]
    tombstone: str
    at: dt.datetime
    reason: str
    rows: Mapping[str, int] = field(default_factory=dict)
    looked_at: tuple[str, ...] = ()
    models: tuple[int, ...] = ()
    unsearched: Mapping[str, str] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        versions = ", ".join(map(str, self.models))
        models = f"; model versions {versions} learned from it" if versions else ""
        return (
            f"Erased {sum(self.rows.values())} rows of one entity of {self.use_case} (by "
            f"{', '.join(self.entity)}) from {len(self.rows)} places{models}. Tombstone "
            f"{self.tombstone[:12]}… keeps it from coming back."
        )

    def require_all_searched(self) -> None:
        """Say what may still name the entity.

        Raises:
            Refused: there are such files.
        """
        if not self.unsearched:
            return
        files = [f"{name} {why}" for name, why in sorted(self.unsearched.items())]
        more = f"; and {len(files) - FILES_SAID} more" if len(files) > FILES_SAID else ""
        raise Refused(
            f"{len(files)} landing files of {self.use_case} may still name the entity, because it "
            f"cannot be taken out of them: {'; '.join(files[:FILES_SAID])}{more}.",
            "Remove them or have them delivered again, then erase again; all else is erased.",
        )


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
    named = Entity(dict(entity))
    sources = _sources(context, named)
    with lake_turn(context.plan.settings, context.plan.name, f"erase {context.plan.name}"):
        return _Erasure(context, named, sources, say).run(reason)


def _sources(context: Context, entity: Entity) -> dict[str, Source]:
    """The sources that have all of the columns."""
    sources, names = context.plan.usecase.sources, entity.values.keys()
    found = {name: each for name, each in sources.items() if entity.is_told_by(each.columns.keys())}
    if not names or not found:
        raise WrongUsage(
            f"No source of {context.plan.name} has the columns {sorted(names)}.",
            "Name the entity by columns of a source: --key customer_id=42.",
        )
    entity.require_known(found.values())
    _require_declared(context, found, names)
    return found


def _require_declared(context: Context, found: Mapping[str, Source], names: Set[str]) -> None:
    """Refuse if the entity is in rows of another source that do not say so by a column.

    Raises:
        Refused: such a source takes the same files, and keeps what it does not declare.
    """
    others = {
        name: each
        for name, each in context.plan.usecase.sources.items()
        if name not in found and each.drift == "keep_extra"
    }
    if not others:
        return
    files_of = _files_of(context, {*found, *others})
    for name, each in others.items():
        alike = [one for one in sorted(found) if files_of[one] & files_of[name]]
        if alike:
            lacking = ", ".join(sorted(names - each.columns.keys()))
            raise Refused(
                f"sources.{name} of {context.plan.name} takes the files of "
                f"{alike[0]} and does not declare {lacking}: which of its rows are "
                "the entity's cannot be told.",
                f"Declare {lacking} in sources.{name} too, remove what is in "
                f"{context.tables.root} but _erased.json and _receipts, run the steps from ingest "
                "on for all dates, then erase.",
            )


def _files_of(context: Context, sources: Set[str]) -> dict[str, set[str]]:
    """By source the pattern of its files, and the names of those that are there or were taken."""
    plan, known = context.plan, seen(context.engine.session(), context.tables.ledger())
    return {
        source: {
            plan.usecase.sources[source].landing,
            *known[source].newest,
            *[file.name for file in landed(plan, source, None)],
        }
        for source in sources
    }


@dataclass
class _Erasure:
    """One erasure at work."""

    context: Context
    entity: Entity
    sources: dict[str, Source]
    say: Callable[[str], None]
    rows: dict[str, int] = field(default_factory=dict)
    looked_at: list[str] = field(default_factory=list)
    unsearched: dict[str, str] = field(default_factory=dict)
    models: list[int] = field(default_factory=list)
    unfinished: str = ""

    def run(self, reason: str) -> Receipt:
        plan, tables = self.context.plan, self.context.tables
        typed = [source.columns for source in self.sources.values()]
        tombstones = Tombstones.read(tables.root).with_another(self.entity.values, typed)
        # First of all, so that nothing that is delivered from now on brings it back.
        tombstones.write(tables.root)
        mark = min(tombstones.hashes_of(self.entity.values, typed))
        self.unfinished = f"{tables.root}/_receipts/unfinished-{mark[:16]}.json"
        # What a run that was killed has removed already tells of no model any more.
        begun = files.read_json(self.unfinished) or {"models": [], "rows": {}}
        self.rows, self.models = begun["rows"], sorted({*begun["models"], *self._models()})
        self._keep()
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
            self._note(batch, gone)
        if feedback:
            erase_feedback(plan, feedback)
            self._note(feedback.place, len(feedback.rows))
        for source, spec in self.sources.items():
            self._landing(source, spec)
            self._table(tables.bronze(source), self._in_bronze(spec))
            self._table(tables.quarantine(source), self._in_quarantine(spec))
            self._table(tables.silver(source), self._in(tables.silver(source)))
        self._leave_no_trace()
        receipt = Receipt(
            plan.name,
            tuple(sorted(self.entity.values)),
            mark,
            dt.datetime.now(dt.UTC),
            reason,
            self.rows,
            tuple(self.looked_at),
            tuple(self.models),
            self.unsearched,
        )
        name = f"{receipt.at:%Y%m%dT%H%M%SZ}-{receipt.tombstone[:8]}"
        files.write_json(f"{tables.root}/_receipts/{name}.json", asdict(receipt))
        files.remove_file(self.unfinished)
        return receipt

    def _keep(self) -> None:
        """Write down what was found, for the receipt of the run that ends this one if it dies."""
        files.write_json(self.unfinished, {"models": self.models, "rows": self.rows})

    def _note(self, place: str, gone: int) -> None:
        if gone:
            self.rows[place] = self.rows.get(place, 0) + gone
            self._keep()
            self.say(f"{place}: {gone} rows")
        elif place not in self.rows:
            self.looked_at.append(place)

    def _models(self) -> tuple[int, ...]:
        """The versions that learned from features or labels that silver's rows of it went into.

        A row of a daily source goes into those of its day and, as history, of the days after it.
        Of a snapshot that lists entities or labels, features of all days since it was known, and
        labels of the days that its rows name, may be made of it. Rows of others are looked up for
        rows that have the entity: only if there are none, their days count, too.
        """
        spark, tables = self.context.engine.session(), self.context.tables
        usecase = self.context.plan.usecase
        learned: set[dt.date] = set()
        listed: list[dt.date] = []
        looked_up: list[dt.date] = []
        for source, spec in self.sources.items():
            silver = tables.silver(source)
            rows = silver.read(spark).where(self._in(silver))
            day = f.col("_batch_date") if spec.is_daily else self._first_day(spec)
            days = [row[0] for row in rows.select(day).distinct().collect()]
            if spec.is_daily:
                history = max(usecase.features.history, spec.arrives.lag)
                within = usecase.label.within if source == usecase.label.source else None
                back = within.days - 1 if within else 0
                learned |= {
                    date
                    for day in days
                    for date in Dates.one(day).shifted(first=-back, last=history)
                }
            elif source in (usecase.entity.source, usecase.label.source):
                listed += days
            else:
                looked_up += days
        if since := listed or (looked_up if not learned else []):
            learned |= {*Dates(min(since), max(*since, dt.date.today()))}
        return trained_on(self.context.plan, learned) if learned else ()

    def _first_day(self, spec: Source) -> Expression:
        """Of a snapshot's rows the first day whose features or labels can be made of each."""
        usecase = self.context.plan.usecase
        known = f.to_date(f.from_utc_timestamp("_arrived_at", usecase.timezone))
        date, within = usecase.entity.date, usecase.label.within
        if within is not None and spec is usecase.sources[usecase.label.source]:
            return f.least(known, f.date_sub(f.col(str(spec.date)), within.days - 1))
        return f.least(known, f.col(date)) if date in spec.columns else known

    def _keys(self, source: str, *columns: str) -> pa.Table:
        """Those columns of silver's rows of the entity in a source; none if they do not name it.

        Silver has the prediction date under the name of the entity's own column.
        """
        silver, spark = self.context.tables.silver(source), self.context.engine.session()
        rows = silver.read(spark).where(self._in(silver))
        if (date := self.context.plan.usecase.entity.date) is not None:
            rows = rows.withColumn("prediction_date", f.col(date))
        return rows.select(*columns).distinct().toArrow()

    def _landing(self, source: str, spec: Source) -> None:
        """Rewrite the files that hold the entity, and let the ledger know them again."""
        if spec.format.type == "delta":
            self.looked_at.append(f"landing of {source}: a Delta table of others, not touched")
            return
        store = landing_store(self.context.plan)
        taken, changed = self._files_in_bronze(source, spec), []
        known = seen(self.context.engine.session(), self.context.tables.ledger())[source].newest
        for file in landed(self.context.plan, source, None):
            try:
                content = content_of(store, file)
                less, gone = without(content, spec, file.batch_date, self.entity)
            except FileNotFoundError:
                continue
            except Unreadable as error:
                self._unsearched(file.name, str(error))
                continue
            if gone:
                store.deliver(file.name, BytesIO(less), file.arrived_at)
                self._note(f"landing {file.name}", gone)
            if gone or file.name in taken:
                # What was corrected under an old arrival came when it was taken.
                last = known.get(file.name)
                if last is not None and last[0] == hashlib.sha256(content).hexdigest():
                    file = replace(file, arrived_at=last[1])
                changed.append((file, less))
        for name, why in left_out(self.context.plan, source, self.entity).items():
            self._unsearched(name, why)
        if changed:
            self._recognise(source, changed)

    def _unsearched(self, name: str, why: str) -> None:
        self.unsearched[name] = why
        self.say(f"landing {name}: not searched, because it {why}")

    def _files_in_bronze(self, source: str, spec: Source) -> set[str]:
        bronze = self.context.tables.bronze(source)
        rows = bronze.read(self.context.engine.session()).where(self._in_bronze(spec))
        return {row[0] for row in rows.select("_file").distinct().collect()}

    def _recognise(self, source: str, changed: list[tuple[LandedFile, bytes]]) -> None:
        """Put the new size and hash of rewritten files into the ledger and into bronze.

        Otherwise the next night would take them for corrections.
        """
        spark, tables = self.context.engine.session(), self.context.tables
        known = local_rows(
            spark,
            [
                (file.name, file.arrived_at, len(content), hashlib.sha256(content).hexdigest())
                for file, content in changed
            ],
            "_file string, _arrived_at timestamp, _size long, _hash string",
        )
        ledger, bronze = tables.ledger(), tables.bronze(source)
        of_source = f"source = '{source}'"
        entries = _joined(ledger.read(spark).where(of_source), known)
        ledger.replace(
            entries.withColumn("bytes", f.coalesce("_size", "bytes"))
            .withColumn("_sha256", f.coalesce("_hash", "_sha256"))
            .select(*ledger.schema.names),
            of_source,
        )
        if bronze.exists():
            days = bronze.of_dates(sorted({file.batch_date for file, _ in changed}))
            rows = _joined(bronze.read(spark).where(days), known)
            renamed = rows.withColumn("_sha256", f.coalesce("_hash", "_sha256"))
            bronze.replace(renamed.select(*bronze.schema.names), days)

    def _table(self, table: Table, belongs: Expression, keys: pa.Table | None = None) -> None:
        """Take out the rows that belong to the entity, and those with one of some keys."""
        if not table.exists():
            self._note(table.name, 0)
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
        self._note(table.name, gone)
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

    def _in_bronze(self, spec: Source) -> Expression:
        written = self.entity.written_in(spec.columns, f.col)
        return written | self.entity.named_in(f.col("_malformed"), spec.columns)

    def _in_quarantine(self, spec: Source) -> Expression:
        def of_row(name: str) -> Expression:
            return f.get_json_object("row", f"$.{name}")

        written = self.entity.written_in(spec.columns, of_row)
        return written | self.entity.named_in(of_row("_malformed"), spec.columns)

    def _in(self, table: Table) -> Expression:
        return self.entity.typed_in(table.schema)


def _joined(rows: DataFrame, known: DataFrame) -> DataFrame:
    return rows.join(f.broadcast(known), on=["_file", "_arrived_at"], how="left")
