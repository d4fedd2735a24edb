"""Erasure on the lake and in the warehouse that the demo filled. It comes last: it is for good."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from pyarrow import parquet

from jobs.settings import PROJECT
from tests.stack import DAYBREAK, Stack

# An aircraft that flew from New York on most days, and one flight of the last night.
AIRCRAFT = "N328AA"
FLIGHT = {"carrier": "UA", "flight": "535", "origin": "JFK"}
ENTITY = ["flight_date", "carrier", "flight", "origin", "sched_dep_time"]
KEY = ("2013-10-07", "UA", "535", "JFK", "1759")


def erase(stack: Stack, **entity: str) -> dict[str, Any]:
    named = [f"--key={column}={value}" for column, value in entity.items()]
    done = stack.daybreak("erase", "flight_delay", *named, "--reason", "asked for", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def kill_an_erasure(stack: Stack, *, after: str, **entity: str) -> None:
    """Start one and kill it when it has said that it is done with a place."""
    named = [f"--key={column}={value}" for column, value in entity.items()]
    running = subprocess.Popen(
        [str(DAYBREAK), "erase", "flight_delay", *named, "--reason", "asked for"],
        env=stack.environment,
        cwd=PROJECT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with running:
        assert running.stderr is not None
        assert any(line.startswith(after) for line in running.stderr)
        os.killpg(running.pid, signal.SIGKILL)


def holds(path: Path, text: str) -> bool:
    """Whether a file has a text in it, packed or not."""
    if path.suffix == ".parquet":
        columns = parquet.read_table(path).columns
        texts = (column for column in columns if pa.types.is_string(column.type))
        return any(pc.any(pc.match_substring(column, text)).as_py() for column in texts)
    content = path.read_bytes()
    return text.encode() in (gzip.decompress(content) if path.suffix == ".gz" else content)


def files_with(stack: Stack, text: str) -> list[str]:
    folders = (stack.settings.lake, stack.settings.landing)
    files = [path for folder in folders for path in Path(folder).rglob("*") if path.is_file()]
    assert len(files) > 1000
    return [str(path) for path in files if holds(path, text)]


def flights(stack: Stack, table: str, tailnum: str | None = None) -> set[tuple[object, ...]]:
    """The keys that a table has, or those of one aircraft."""
    lake = f"{stack.settings.lake}/flight_delay"
    wanted = None if tailnum is None else [("tailnum", "=", tailnum)]
    rows = DeltaTable(f"{lake}/{table}").to_pyarrow_table(filters=wanted).select(ENTITY)
    return {tuple(row.values()) for row in rows.to_pylist()}


def run(stack: Stack, *steps: tuple[str, ...]) -> None:
    for step in steps:
        done = stack.daybreak("run", step[0], "flight_delay", "--date", "2013-10-07", *step[1:])
        assert done.returncode == 0, done.stderr


def test_an_aircraft_leaves_no_trace_and_does_not_come_back(stack: Stack) -> None:
    before = files_with(stack, AIRCRAFT)
    assert len(before) > 100
    # The newest of its files that the night of 7 October takes in.
    actuals = [path for path in before if path.endswith("actuals.csv")]
    days = {path.partition("/date=")[2][:10]: path for path in actuals}
    landing = Path(days[max(day for day in days if day < "2013-10-07")])
    assert "date=2013-10-0" in str(landing)
    lines, delivered = landing.read_bytes().splitlines(keepends=True), landing.read_bytes()
    arrived = landing.stat().st_mtime_ns // 1000

    of_aircraft = flights(stack, "silver/schedule", AIRCRAFT)
    assert len(of_aircraft) > 100
    for table in ("gold/features", "gold/labels", "gold/predictions"):
        assert of_aircraft & flights(stack, table), table

    kill_an_erasure(stack, after="silver.actuals", tailnum=AIRCRAFT)
    receipt = erase(stack, tailnum=AIRCRAFT)

    assert receipt["rows"]["silver.actuals"] > 100
    # What was predicted of its flights goes too, which do not have it as a column.
    assert receipt["rows"]["gold.labels"] > 100
    assert receipt["rows"]["gold.features"] > receipt["rows"]["gold.predictions"] > 0
    for table in ("gold/features", "gold/labels", "gold/predictions"):
        assert not of_aircraft & flights(stack, table), table
    batches = [rows for place, rows in receipt["rows"].items() if place.startswith("batch ")]
    assert 0 < sum(batches) <= receipt["rows"]["silver.schedule"]
    assert receipt["rows"]["silver.planes"] == 1
    assert receipt["rows"]["bronze.schedule"] >= receipt["rows"]["silver.schedule"]
    assert AIRCRAFT not in json.dumps(receipt)
    assert files_with(stack, AIRCRAFT) == []
    # Of the file only its lines are gone.
    left = [line for line in lines if AIRCRAFT.encode() not in line]
    assert landing.read_bytes() == b"".join(left)
    assert landing.stat().st_mtime_ns // 1000 == arrived

    # The next night finds nothing new, and an old delivery does not bring it back.
    run(stack, ("ingest",), ("conform",))
    landing.write_bytes(delivered)
    run(stack, ("ingest",), ("conform",), ("gate", "--layer", "silver"))
    landing.write_bytes(b"".join(left))
    assert files_with(stack, AIRCRAFT) == []


def test_a_flight_is_taken_out_of_the_live_batch_too(stack: Stack) -> None:
    receipt = erase(stack, **FLIGHT)
    # The demo's model, and the second of the README, if its commands ran before.
    assert receipt["models"] in ([1], [1, 2])
    for place in ("gold.features", "gold.labels", "gold.predictions"):
        assert receipt["rows"][place] >= 1, place
    answer = stack.daybreak("lookup", "flight_delay", *KEY, "--json")
    assert json.loads(answer.stdout)["score"] is None
    url = stack.daybreak("warehouse-url", "--role", "reader").stdout.strip()
    with psycopg.connect(url) as connection:
        left = connection.execute(
            "SELECT count(*) FROM predictions.flight_delay "
            "WHERE carrier = 'UA' AND flight = 535 AND origin = 'JFK'"
        ).fetchone()
    assert left == (0,)
    # Gold and warehouse still agree: publishing again changes nothing.
    done = stack.daybreak("run", "publish", "flight_delay", "--date", "2013-10-07", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["facts"]["changed"] is False
    # What the model learned from can be read no more, and that is said.
    again = stack.daybreak("training-set", "flight_delay", "--version", "1")
    assert again.returncode == 1
    assert "cannot be read any more" in again.stderr


def test_a_file_that_cannot_be_searched_is_told(stack: Stack) -> None:
    name = "flight_delay/schedule/date=2013-10-07/damaged.csv"
    damaged = Path(stack.settings.landing) / name
    damaged.write_bytes(gzip.compress(b"flight_date\n" * 100)[:-9])
    try:
        done = stack.daybreak(
            "erase", "flight_delay", "--key=tailnum=N0000", "--reason", "asked for", "--json"
        )
    finally:
        damaged.unlink()
    assert done.returncode == 1
    assert "cannot be unpacked" in json.loads(done.stdout)["unsearched"][name]
    assert "damaged.csv" in done.stderr
    assert "erase again" in done.stderr
    assert erase(stack, tailnum="N0000")["unsearched"] == {}


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("nobody=1", "has the columns"),
        ("flight=UA", "is integer"),
        ("flight=42.0", "is integer"),
        ("flight_date=2013-1-1", "is date"),
        ("flight", "names nothing"),
    ],
)
def test_an_erasure_of_what_is_not_there_is_wrong_usage(stack: Stack, named: str, why: str) -> None:
    done = stack.daybreak("erase", "flight_delay", "--key", named, "--reason", "asked for")
    assert done.returncode == 2
    assert why in done.stderr
