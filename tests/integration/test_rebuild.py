"""What a registered model learned from, read again after late labels and too eager a VACUUM.

It comes before the erasures, after which the demo's own training set cannot be read any more.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace

import pytest

from jobs.erasure.erase import RETENTION_CHECK
from jobs.errors import Refused
from jobs.learning import registry
from jobs.learning.rebuild import hours_to_keep, rebuilt
from jobs.plan import Dates
from jobs.steps import run
from tests.night import ACTUALS, NIGHT, Night, lake_before, lines, write
from tests.stack import Stack


@pytest.fixture
def night(stack: Stack) -> Iterator[Night]:
    """A copy of its own: an erasure removes the one that later tests share, as it should."""
    with lake_before(stack, NIGHT, NIGHT) as box:
        yield Night(stack, box)


def test_an_old_training_set_is_what_it_was_until_its_files_are_removed(night: Night) -> None:
    """Labels of a day that a model learned from come late; then VACUUM goes too far."""
    spark, tables = night.box.context.engine.session(), night.tables
    client = registry.connect(tables.plan.settings)
    version = registry.alias(client, tables.plan.name, registry.CHAMPION)
    assert version is not None
    was = rebuilt(spark, tables, version)
    assert was.is_same
    day = was.was.last - dt.timedelta(days=20)
    header, *rows = lines(night.landing / ACTUALS)
    rows = [[str(day), row[1], str(9000 + n), *row[3:]] for n, row in enumerate(rows[:5])]
    late = night.landing / f"flight_delay/actuals/date={day}/late.csv"
    write(late, [header, *rows], dt.datetime.combine(NIGHT, dt.time(5), dt.UTC).timestamp())

    both = Dates(day, day + dt.timedelta(days=1))
    for step in ("ingest", "conform", "gate", "labels"):
        run(step, replace(night.box.context, dates=both, options={"layer": "silver"}))

    labels = tables.labels()
    assert labels.version() != was.was.labels
    of_day = labels.read(spark).where(labels.of_dates([day])).where("flight >= 9000")
    arrived = [row for row in rows if row[header.index("arr_delay")] not in ("", "NA")]
    assert of_day.count() == len(arrived) > 0
    assert rebuilt(spark, tables, version) == was

    # What maintenance keeps goes back to before the champion's training, however long ago.
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=900)
    assert hours_to_keep(tables, later) > 900 * 24
    spark.conf.set(RETENTION_CHECK, "false")
    spark.sql(f"VACUUM delta.`{labels.path}` RETAIN 0 HOURS")
    spark.conf.set(RETENTION_CHECK, "true")
    with pytest.raises(Refused, match="has lost files to VACUUM or an erasure"):
        rebuilt(spark, tables, version)
