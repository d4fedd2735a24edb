"""What data may do to a night: come twice, late, bad, together with another run, or be too much."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.drill.sandbox import Sandbox
from jobs.lake.made import Made
from jobs.lake.tables import Tables
from jobs.learning.dataset import content_hash
from jobs.plan import Plan
from jobs.prediction.turn import lake_turn
from jobs.settings import PROJECT
from tests.night import (
    ACTUALS,
    DAY,
    NIGHT,
    SCHEDULE,
    STEPS,
    Clean,
    Night,
    Step,
    lake_before,
    lines,
    write,
)
from tests.stack import Stack

TO_SILVER: tuple[Step, ...] = STEPS[:3]
TO_FEATURES: tuple[Step, ...] = STEPS[:6]


def days_of(night: Night, source: str) -> dict[str, str]:
    """A checksum of each batch date of a silver table."""
    spark, table = night.box.context.engine.session(), night.tables.silver(source)
    rows = table.read(spark)
    days = sorted(row[0] for row in rows.select("_batch_date").distinct().collect())
    late = [day for day in days if day >= NIGHT - dt.timedelta(days=10)]
    return {str(day): content_hash(rows.where(table.of_dates([day]))) for day in late}


def test_two_runs_of_one_date_at_once_are_one(night: Night, clean: Clean) -> None:
    for step in TO_FEATURES:
        both = [night.start(step) for _ in range(2)]
        said = [each.communicate(timeout=300) for each in both]
        assert [each.returncode for each in both] == [0, 0], (step, said)
    state = night.state()
    differ = {name for name in state if state[name] != clean.state[name]}
    # Those that this night has not come to.
    assert differ == {"gold.predictions"}


def test_who_waits_for_the_lake_says_for_whom(night: Night) -> None:
    settings = night.box.context.plan.settings
    with lake_turn(settings, "flight_delay", "a backfill of flight_delay"):
        waiting = night.start(("conform",))
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(8)
    _, said = waiting.communicate(timeout=120)
    assert waiting.returncode == 0, said
    assert "Waiting: 'daybreak a backfill of flight_delay" in said
    assert "is working on flight_delay's lake" in said


def test_what_only_stages_goes_on_beside_what_only_stages(night: Night) -> None:
    settings = night.box.context.plan.settings
    night.run(STEPS[:1])
    with lake_turn(settings, "flight_delay", "features of a night", "features 2013-10-05"):
        night.run([("conform",)])
        # But nobody changes a table that is being read.
        gate = night.start(("gate", "--layer", "silver"))
        with pytest.raises(subprocess.TimeoutExpired):
            gate.wait(8)
    _, said = gate.communicate(timeout=120)
    assert gate.returncode == 0, said
    assert "Waiting: 'daybreak features of a night" in said


def test_two_use_cases_at_once_do_not_wait_for_each_other(
    stack: Stack, night: Night, clean: Clean, tmp_path: Path
) -> None:
    names = ("flight_delay", "second")
    for name in names:
        shutil.copytree(PROJECT / "jobs/usecases/flight_delay", tmp_path / name)
        written = tmp_path / name / "usecase.yaml"
        written.write_text(written.read_text().replace("name: flight_delay", f"name: {name}", 1))
    both = Night(stack, night.box, tmp_path)
    for step, *options in TO_SILVER:
        words = [("run", step, name, "--date", str(NIGHT), *options) for name in names]
        running = [both.daybreak(*each) for each in words]
        said = [each.communicate(timeout=300) for each in running]
        assert [each.returncode for each in running] == [0, 0], said
        assert not any("Waiting" in errors for _, errors in said)
    assert night.state("silver.actuals", "silver.schedule").items() <= clean.state.items()
    settings = night.box.context.plan.settings.model_copy(update={"usecases": tmp_path})
    second, spark = Tables(Plan.of("second", settings)), night.box.context.engine.session()
    for source, day in (("actuals", DAY), ("schedule", NIGHT)):
        found = [
            content_hash(table.read(spark).where(table.of_dates([day])))
            for table in (night.tables.silver(source), second.silver(source))
        ]
        assert found[0] == found[1], source


def test_the_same_content_again_and_under_another_name_is_taken_once(
    night: Night, clean: Clean
) -> None:
    night.run(TO_SILVER)
    again = night.landing / ACTUALS.replace("actuals.csv", "again.csv")
    shutil.copy2(night.landing / ACTUALS, again)
    os.utime(night.landing / ACTUALS)
    (ingested,) = night.run(STEPS[:1])
    assert "2 duplicate files reported" in ingested.sentence
    night.run(TO_FEATURES[1:])
    state = night.state()
    differ = {name for name in state if state[name] != clean.state[name]}
    # Only the ledger knows of the second delivery.
    assert differ == {"bronze.ledger", "gold.predictions"}


def test_late_rows_touch_their_own_day_only_and_no_features_of_the_past(
    night: Night, clean: Clean
) -> None:
    night.run(TO_FEATURES)
    before, features = days_of(night, "actuals"), night.state("gold.features")
    late_day = NIGHT - dt.timedelta(days=5)
    header, *rows = lines(night.landing / ACTUALS)
    rows = [[str(late_day), row[1], str(9000 + n), *row[3:]] for n, row in enumerate(rows[:5])]
    arrived = dt.datetime.combine(NIGHT, dt.time(18), dt.UTC).timestamp()
    late = night.landing / f"flight_delay/actuals/date={late_day}/late.csv"
    write(late, [header, *rows], arrived)

    night.run(TO_FEATURES)

    after = days_of(night, "actuals")
    assert {day for day in after if after[day] != before[day]} == {str(late_day)}
    # They came after the cutoff, so that no date that was built could have known them.
    assert night.state("gold.features") == features
    assert features == {"gold.features": clean.state["gold.features"]}


def test_an_older_date_after_a_newer_one(stack: Stack) -> None:
    """Two nights that have not happened yet end in the same, whichever is run first."""
    older = NIGHT - dt.timedelta(days=1)
    states = []
    with lake_before(stack, older, NIGHT) as box:
        for order in ((older, NIGHT), (NIGHT, older)):
            with box.copy() as copy:
                night = Night(stack, copy)
                built = Made(night.tables.features())
                assert built.inputs().keys().isdisjoint({str(older), str(NIGHT)})
                for date in order:
                    night.run(TO_FEATURES, date)
                    assert str(date) in built.inputs()
                states.append(night.state())
    assert states[0] == states[1]


def bad(rows: list[list[str]]) -> dict[tuple[str, str], int]:
    """Break twelve records of the actuals, in four ways; says which failures that makes."""
    header = rows[0]
    for n, (column, value) in enumerate(
        [("dep_delay", "9999"), ("flight", "none"), ("origin", "LAX"), ("carrier", "delta")]
    ):
        for row in rows[1 + 3 * n : 4 + 3 * n]:
            row[header.index(column)] = value
    return {
        ("range", "dep_delay"): 3,
        ("type", "flight"): 3,
        ("set", "origin"): 3,
        ("pattern", "carrier"): 3,
    }


def test_each_bad_row_is_found_under_its_rule_and_the_rest_goes_on(
    night: Night, clean: Clean
) -> None:
    path = night.landing / ACTUALS
    good, arrived = path.read_bytes(), path.stat().st_mtime
    rows = lines(path)
    planted = bad(rows)
    write(path, rows, arrived)

    night.run(TO_SILVER)

    listed = night.daybreak("quarantine", "list", "flight_delay", "--day", str(DAY), "--json")
    found = json.loads(listed.communicate(timeout=60)[0])
    assert {(each["rule"], each["column"]): each["rows"] for each in found} == planted
    assert {each["file"] for each in found} == {ACTUALS}
    assert {each["line"] for each in found} == {1, 4, 7, 10}

    # The file is mended and comes again: nothing of the day is in quarantine any more.
    path.write_bytes(good)
    os.utime(path, (arrived + 3600, arrived + 3600))
    replay = night.daybreak("quarantine", "replay", "flight_delay", "--json")
    said, errors = replay.communicate(timeout=300)
    assert replay.returncode == 0, errors
    told: dict[str, Any] = json.loads(said)
    assert (told["days"], told["before"]) == (2, 13)
    # The wind of 1048 mph in February stays what it is.
    assert told["after"] == 1
    assert night.state("quarantine.actuals").items() <= clean.state.items()
    spark, table = night.box.context.engine.session(), night.tables.silver("actuals")
    of_day = table.read(spark).where(table.of_dates([DAY])).where(f"_file = '{ACTUALS}'")
    assert of_day.count() == len(rows) - 1
    assert of_day.where("_superseded_at is not null").count() == 0


@contextmanager
def stricter(tmp_path: Path) -> Iterator[Path]:
    """A folder of use cases in which a rule of the flights is wrong."""
    folder = tmp_path / "usecases" / "flight_delay"
    shutil.copytree(PROJECT / "jobs" / "usecases" / "flight_delay", folder)
    written = yaml.safe_load((folder / "usecase.yaml").read_text())
    actuals = written["sources"]["actuals"]
    actuals["columns"]["dep_delay"]["max"] = 60
    actuals["budget"] = {"share": 0.5}
    (folder / "usecase.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
    yield folder.parent


def test_a_mended_rule_replayed_gives_what_a_clean_load_gives(
    stack: Stack, night: Night, clean: Clean, tmp_path: Path
) -> None:
    with stricter(tmp_path) as usecases:
        wrong = Night(stack, night.box, usecases)
        # A day without its late flights is also unlike the days before it.
        gate = ("gate", "--layer", "silver", "--unusual", "accept")
        wrong.run([*TO_SILVER[:2], gate, *TO_FEATURES[3:]])
    spark = night.box.context.engine.session()
    quarantined = night.tables.quarantine("actuals").read(spark).count()
    assert quarantined > 50
    print(f"{quarantined} rows of the actuals in quarantine, and replayed")
    assert not night.state("gold.features").items() <= clean.state.items()

    replay = night.daybreak("quarantine", "replay", "flight_delay", "--rule", "range", "--json")
    said, errors = replay.communicate(timeout=400)

    assert replay.returncode == 0, errors
    assert json.loads(said)["before"] - json.loads(said)["after"] == quarantined
    state = night.state("silver.actuals", "quarantine.actuals", "gold.labels", "gold.features")
    assert len(state) == 4
    assert state.items() <= clean.state.items()


def test_a_reader_never_sees_what_no_gate_has_passed(night: Night) -> None:
    """Half of the schedule is missing, then it is whole: a reader polls all the while."""
    path = night.landing / SCHEDULE
    whole, arrived = path.read_bytes(), path.stat().st_mtime
    rows = lines(path)
    seen: set[tuple[str, int]] = set()
    done = threading.Event()

    def poll() -> None:
        spark, tables = night.box.context.engine.session(), night.tables
        while not done.is_set():
            for table in (tables.silver("schedule"), tables.features()):
                there = table.read(spark).where(f"flight_date = date'{NIGHT}'").count()
                seen.add((table.name, there))

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        write(path, rows[: len(rows) // 2], arrived)
        night.run(STEPS[:2])
        assert "usual_rows" in night.refused(STEPS[2])
        assert "Nothing of schedule" in night.refused(("features",))
        path.write_bytes(whole)
        os.utime(path, (arrived + 60, arrived + 60))
        night.run(TO_FEATURES)
    finally:
        done.set()
        reader.join()
    number = len(rows) - 1
    assert {there for table, there in seen if table == "silver.schedule"} == {0, number}
    assert {there for table, there in seen if table == "gold.features"} <= {0, number}


@pytest.mark.parametrize("day", [dt.date(2013, 3, 10), dt.date(2013, 11, 3)])
def test_a_day_on_which_the_clock_changes_is_one_day(
    stack: Stack, base: Sandbox, day: dt.date
) -> None:
    """Every record of its files is there once, under its own date, and it has one cutoff."""
    night = Night(stack, base)
    spark = night.box.context.engine.session()
    landing = Path(stack.settings.landing) / "flight_delay"
    if not (landing / f"schedule/date={day}").exists():
        pytest.skip(f"{day} has not landed: the README's commands, which run before, land it")
    tables = Tables(Plan.of("flight_delay", stack.settings))
    for source in ("schedule", "actuals", "weather"):
        records = sum(len(lines(path)) - 1 for path in (landing / source).glob(f"date={day}/*"))
        silver = tables.silver(source)
        found = silver.read(spark).where(silver.of_dates([day]))
        assert found.count() == records > 50, source
        assert found.select(*tables.plan.usecase.sources[source].key).distinct().count() == records
    features = tables.features().read(spark).where(tables.features().of_dates([day]))
    assert features.count() == len(lines(landing / f"schedule/date={day}/schedule.csv")) - 1
    assert features.select("_cutoff_at").distinct().count() == 1


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size; skips where it may not be mounted."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "daybreak-test", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here: it takes root's rights")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_said_in_a_sentence_and_the_old_state_stays(
    stack: Stack, base: Sandbox, clean: Clean, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", _megabytes(base) + 20) as disk, base.copy() as copy:
        night = Night(stack, copy)
        lake = Path(copy.context.plan.settings.lake)
        # The lake is moved to the small disk, which then has room for a part of a day.
        shutil.copytree(lake, disk / "lake")
        shutil.rmtree(lake)
        lake.symlink_to(disk / "lake")
        filler = disk / "filler"
        with filler.open("wb") as out:
            out.write(b"0" * max(0, shutil.disk_usage(disk).free - 40_000))
        before = night.state()
        said = night.refused(("ingest",))
        assert "A disk is full" in said
        assert "Traceback" not in said
        after = night.state()
        # A source comes in whole or not at all, and the smallest may have found room.
        assert {name for name in after if after[name] != before[name]} <= {"bronze.weather"}
        filler.unlink()
        night.run(STEPS[:8])
        state = night.state()
    assert state == clean.state


def _megabytes(box: Sandbox) -> int:
    """What the lake takes on a disk that keeps whole pages of 4 KB."""
    paths = Path(box.context.plan.settings.lake).rglob("*")
    return sum(path.stat().st_size // 4096 + 1 for path in paths) * 4096 // 2**20
