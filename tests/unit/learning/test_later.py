"""Labels of what happens later: what a plain loop over the events gives, at every moment."""

from __future__ import annotations

import datetime as dt
import random
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import DataFrame, SparkSession

from jobs.context import Context
from jobs.engine import Engine
from jobs.lake.local_rows import local_rows
from jobs.lake.made import Made
from jobs.lake.tables import Tables
from jobs.learning.labels import given_frame, labels_of, made_of
from jobs.learning.later import outcomes
from jobs.plan import Dates, Plan
from jobs.prediction import turn
from jobs.settings import PROJECT, Settings
from jobs.steps import run
from jobs.usecase import UseCase, Within
from tests.unit.places import placed
from tests.unit.turns import held

README = PROJECT / "README.md"

FIRST = dt.date(2024, 3, 7)
DAYS = 3
MATURITY = 1
# Over the spring clock change of New York.
DATES = Dates(FIRST, FIRST + dt.timedelta(days=9))
WHO = ("ann", "bob", "cid", "dan")
SPEC: dict[str, Any] = {
    "name": "orders",
    "about": {"question": "Who will order?", "owner": "shop"},
    "entity": {"key": ["day", "who"], "date": "day", "source": "customers"},
    "timezone": "America/New_York",
    "schedule": {"cron": "0 4 * * *", "start": "2024-01-01"},
    "cutoff": "00:00",
    "sources": {
        "customers": {
            "landing": "customers/{date}/*",
            "key": ["day", "who"],
            "date": "day",
            "columns": {
                "day": {"type": "date"},
                "who": {"type": "string"},
                "age": {"type": "integer"},
            },
        },
        "orders": {
            "landing": "orders/{date}/*",
            "arrives": {"lag": "1 day", "late": "4 days"},
            "key": ["ordered_on", "number"],
            "date": "ordered_on",
            "columns": {
                "ordered_on": {"type": "date"},
                "number": {"type": "integer"},
                "who": {"type": "string"},
                "worth": {"type": "number"},
            },
        },
    },
    "label": {
        "source": "orders",
        "within": {"days": f"{DAYS} days", "do": "any"},
        "expression": "worth > 50",
        "maturity": f"{MATURITY} day",
    },
    "features": {"history": 0, "numeric": ["age"], "categorical": ["who"]},
    "model": {"rule": {"by": ["who"]}},
}
Row = dict[str, Any]


def plan(settings: Settings, do: str) -> Plan:
    binary = do == "any"
    label = {
        **SPEC["label"],
        "within": {"days": DAYS, "do": do},
        "type": "binary" if binary else "regression",
        "expression": "worth > 50" if do in ("any", "count") else "worth",
    }
    return Plan(UseCase.model_validate({**SPEC, "label": label}), settings)


def moment(day: dt.date, hours: float = 0) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(hours=hours)


def customers() -> Iterator[Row]:
    for day in DATES:
        # One of them is only told of a week late.
        for who in WHO:
            arrived = moment(day, 24 * 7 if who == "dan" else 3)
            yield {"day": day, "who": who, "_batch_date": day, "_arrived_at": arrived}


def orders() -> Iterator[Row]:
    """Some come up to a week late, are superseded by another worth, or are taken back."""
    chance = random.Random(3)
    days = len(DATES) + 2 * DAYS
    for number in range(4 * days):
        day = FIRST + dt.timedelta(days=number % days - DAYS)
        # None of Dan's, and Cid has few.
        who = chance.choice(("ann", "ann", "bob", "bob", "cid", "eve"))
        # Of one day there is no file for a week.
        came_at = moment(day, 24 * 7 if number % days == 9 else chance.choice((30, 31, 32, 24 * 6)))
        versions = [(came_at, chance.choice((10.25, 60.5, 99.125, None)))]
        if chance.random() < 0.4:
            versions.append((came_at + dt.timedelta(hours=chance.choice((1, 90))), 70.0))
        ends = [at for at, _ in versions[1:]] + [
            versions[-1][0] + dt.timedelta(days=3) if chance.random() < 0.3 else None
        ]
        for (arrived, worth), until in zip(versions, ends, strict=True):
            yield {
                "ordered_on": day,
                "number": number,
                "who": who,
                "worth": worth,
                "_batch_date": day,
                "_arrived_at": arrived,
                "_superseded_at": until,
            }


def silver(spark: SparkSession, of: Plan, source: str, rows: Iterable[Row]) -> DataFrame:
    """Rows of a source's silver table; what a row does not say is null."""
    schema = Tables(of).silver(source).schema
    told = [tuple(row.get(column) for column in schema.names) for row in rows]
    return local_rows(spark, told, schema)


def known(rows: list[Row], at: dt.datetime) -> list[Row]:
    return [
        row
        for row in rows
        if row["_arrived_at"] < at
        and (row["_superseded_at"] is None or row["_superseded_at"] >= at)
    ]


def came(day: dt.date) -> dt.datetime:
    """When the first file of a day came: of one of these, its first order."""
    return min(row["_arrived_at"] for row in orders() if row["ordered_on"] == day)


def expected(do: str, day: dt.date, who: str, at: dt.datetime) -> float | None:
    last = day + dt.timedelta(days=DAYS - 1)
    worth = sorted(
        row["worth"]
        for row in known(list(orders()), at)
        if row["who"] == who and day <= row["ordered_on"] <= last and row["worth"] is not None
    )
    match do:
        case "any":
            return float(any(each > 50 for each in worth))
        case "count":
            return float(sum(each > 50 for each in worth))
        case "sum":
            return float(sum(worth))
        case "mean":
            return sum(worth) / len(worth) if worth else None
        case "min":
            return min(worth, default=None)
        case _:
            return max(worth, default=None)


@pytest.mark.parametrize("do", ["any", "count", "sum", "mean", "min", "max"])
def test_a_training_knows_what_a_plain_loop_knows(
    spark: SparkSession, settings: Settings, do: str
) -> None:
    of = plan(settings, do)
    within = of.usecase.label.within
    assert within is not None
    listed = silver(spark, of, "customers", customers())
    happened = silver(spark, of, "orders", orders())
    told = labels_of(of, outcomes(of, within, listed, happened))
    labels = [row.asDict() for row in told.collect()]
    assert len({(row["day"], row["who"], row["_arrived_at"]) for row in labels}) == len(labels)
    for row in labels:
        row["_arrived_at"] = row["_arrived_at"].replace(tzinfo=dt.UTC)
        ends = row["_superseded_at"]
        row["_superseded_at"] = ends and ends.replace(tzinfo=dt.UTC)
    lists = list(customers())
    checked = 0
    for day in DATES:
        for after in range(DAYS + MATURITY, 16):
            at = of.cutoff(day + dt.timedelta(days=after))
            there = known([{**row, "_superseded_at": None} for row in lists], at)
            found = {
                row["who"]: row["label"]
                for row in known(labels, at)
                if row["day"] == day and row["matured_at"].replace(tzinfo=dt.UTC) <= at
            }
            # Without a day's file it is known of nobody that nothing happened.
            if any(came(day + dt.timedelta(days=n)) > at for n in range(DAYS)):
                assert found == {}
                continue
            wanted = {
                row["who"]: expected(do, day, row["who"], at) for row in there if row["day"] == day
            }
            assert found == {who: value for who, value in wanted.items() if value is not None}
            checked += len(found)
    assert checked > 100


def test_a_snapshot_tells_of_no_label_that_is_final_after_its_newest_event(
    spark: SparkSession, settings: Settings
) -> None:
    source = {**SPEC["sources"]["orders"], "landing": "orders/*", "arrives": {"as": "snapshot"}}
    sources = {**SPEC["sources"], "orders": source}
    of = Plan(UseCase.model_validate({**SPEC, "sources": sources}), settings)
    within = of.usecase.label.within
    assert within is not None
    newest = moment(FIRST, 24 * 6)
    told = [row for row in orders() if row["_arrived_at"] <= newest]
    listed = silver(spark, of, "customers", customers())
    happened = silver(spark, of, "orders", told)
    days = outcomes(of, within, listed, happened).select("day").distinct().collect()
    last = max(row["_arrived_at"] for row in told)
    final = {day: of.cutoff(day + dt.timedelta(days=DAYS + MATURITY)) for day in DATES}
    assert {row[0] for row in days} == {day for day in DATES if final[day] <= last} != set()


def test_what_people_say_of_a_date_stays_beside_what_happened(
    settings: Settings, tmp_path: Path
) -> None:
    of = plan(placed(settings, tmp_path), "any")
    tables = Tables(of)
    Made(tables.silver("orders")).record({str(day): {"files": str(day)} for day in DATES}, 1)
    long_after = Dates.one(DATES.last)
    word = {"rows": 1, "digest": "1"}
    made = made_of(of, tables.silver("orders"), long_after, {str(DATES.first): word})
    told = made_of(of, tables.silver("orders"), DATES, {})[str(DATES.first)]
    assert made[str(DATES.first)] == {**told, "feedback": word}
    assert told["silver"]


def test_a_word_of_a_person_is_not_ended_by_an_event_that_changes_nothing(
    spark: SparkSession, settings: Settings
) -> None:
    label = {**SPEC["label"], "feedback": True}
    of = Plan(UseCase.model_validate({**SPEC, "label": label}), settings)
    within = of.usecase.label.within
    assert within is not None
    days = [FIRST + dt.timedelta(days=n) for n in range(DAYS)]
    bought = [
        {"ordered_on": day, "number": n, "who": "ann", "worth": 1.0, "_batch_date": day,
         "_arrived_at": moment(day, 30)}
        for n, day in enumerate(days)
    ]  # fmt: skip
    list_ = [{"day": FIRST, "who": "ann", "_batch_date": FIRST, "_arrived_at": moment(FIRST, 3)}]
    listed = silver(spark, of, "customers", list_)
    happened = silver(spark, of, "orders", bought)
    said = given_frame(
        of,
        spark,
        [{"day": FIRST, "who": "ann", "label": 1.0, "_arrived_at": moment(FIRST, 35), "_given": 1}],
    )
    labels = labels_of(of, outcomes(of, within, listed, happened), said)
    newest = labels.where("_superseded_at is null").collect()
    assert [row["label"] for row in newest] == [1.0]


def test_no_day_of_events_lies_in_two_parts_of_the_split(settings: Settings) -> None:
    within = {"days": 90, "do": "any"}
    label = {**SPEC["label"], "within": within}
    schedule = {**SPEC["schedule"], "start": "2023-01-01"}
    of = Plan(UseCase.model_validate({**SPEC, "label": label, "schedule": schedule}), settings)
    split = of.split(dt.date(2025, 1, 1))
    of_events = [part.shifted(last=89) for part in (split.train, split.validation, split.holdout)]
    assert of_events[0].last < split.validation.first
    assert of_events[1].last < split.holdout.first
    assert len(split.validation) == len(split.holdout) == 28


def test_a_label_waits_for_the_events_of_all_of_its_days(
    settings: Settings, tmp_path: Path
) -> None:
    of = plan(placed(settings, tmp_path), "any")
    tables = Tables(of)
    there = [DATES.first + dt.timedelta(days=n) for n in (0, 1, 2, 3, 5, 6, 7)]
    Made(tables.silver("orders")).record({str(day): {"files": str(day)} for day in there}, 1)
    Made(tables.silver("customers")).record({str(DATES.first): {"files": "list"}}, 1)
    nights = Dates(there[2], there[-1])
    made = made_of(of, tables.silver("orders"), nights)
    # A day is missing between the fourth and the fifth.
    assert sorted(made) == [str(DATES.first + dt.timedelta(days=n)) for n in (0, 1, 5)]
    assert made[str(there[0])]["silver"] == {str(day): {"files": str(day)} for day in there[:3]}
    assert made[str(there[0])]["entities"] == {"files": "list"}


def test_the_step_writes_what_is_complete_and_again_what_changed(
    spark: SparkSession, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "lake_turn", held)
    of = plan(placed(settings, tmp_path), "any")
    tables = Tables(of)
    names = ("customers", "orders")
    for name, rows in zip(names, (customers(), orders()), strict=True):
        table = tables.silver(name)
        table.append(silver(spark, of, name, rows))
        there = DATES.shifted(last=-1) if name == "orders" else DATES
        Made(table).record({str(day): {"contents": "first"} for day in there}, 1)

    night = Context(of, Dates.one(DATES.last), Engine(of.settings), {})
    rows = run("labels", night).rows["gold.labels"]
    labels = tables.labels()
    days = {row[0] for row in labels.read(spark).select("prediction_date").distinct().collect()}
    # The day before brought the last events; what comes four days late may change those before.
    first = DATES.last - dt.timedelta(days=1 + 4 + DAYS - 1)
    assert days == {*Dates(first, DATES.last - dt.timedelta(days=DAYS))}
    assert rows == labels.read(spark).count() > 0
    assert "written already" in run("labels", night).sentence

    changed = DATES.last - dt.timedelta(days=5)
    Made(tables.silver("orders")).record({str(changed): {"contents": "corrected"}}, 2)
    before = Made(labels).inputs()
    run("labels", night)
    after = Made(labels).inputs()
    again = {part for part in after if after[part] != before[part]}
    assert again == {*map(str, Dates.one(changed).shifted(first=1 - DAYS))}


def test_what_the_readme_shows_is_a_use_case() -> None:
    (shown,) = re.findall(r"   ```yaml\n( +entity:.+?)```", README.read_text(), re.S)
    customers = SPEC["sources"]["customers"]
    listed = {
        "key": ["day", "customer"],
        "columns": {"day": {"type": "date"}, "customer": {"type": "string"}},
    }
    orders = SPEC["sources"]["orders"]
    happened = {"columns": {**orders["columns"], "customer": {"type": "string"}}}
    usecase = UseCase.model_validate(
        {
            **SPEC,
            **yaml.safe_load(textwrap.dedent(shown)),
            "sources": {"customers": {**customers, **listed}, "orders": {**orders, **happened}},
            "features": {"history": 0, "categorical": ["customer"]},
            "model": {"rule": {"by": ["customer"]}},
        }
    )
    assert usecase.label.within == Within(days=30, do="any")


def test_a_label_is_final_after_the_last_of_its_days(settings: Settings) -> None:
    of = plan(settings, "any")
    assert of.days_to_maturity == DAYS + MATURITY
    assert of.last_mature(of.first_final(FIRST)) == FIRST
