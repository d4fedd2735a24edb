"""Declared features: what a plain loop over the versions gives, for a range as for a night."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.features.build import build
from jobs.lake.local_rows import local_rows
from jobs.lake.tables import Tables
from jobs.plan import Dates, Plan
from jobs.settings import Settings
from jobs.usecase import UseCase

# Over the spring clock change of New York.
DATES = Dates(dt.date(2024, 3, 6), dt.date(2024, 3, 15))
HISTORY = 9
WHO, SHOPS = ("ann", "bob", "cid"), ("a", "b", None)
USE_CASE: dict[str, Any] = {
    "name": "visits",
    "about": {"question": "Who spends much?", "owner": "shop"},
    "entity": {"key": ["day", "who"], "date": "day", "source": "list"},
    "timezone": "America/New_York",
    "schedule": {"cron": "0 4 * * *", "start": "2024-01-01"},
    "cutoff": "04:00",
    "sources": {
        "list": {
            "landing": "list/{date}/*",
            "key": ["day", "who"],
            "date": "day",
            "columns": {
                "day": {"type": "date"},
                "who": {"type": "string"},
                "shop": {"type": "string"},
                "size": {"type": "integer"},
                "at": {"type": "timestamp"},
            },
        },
        "done": {
            "landing": "done/{date}/*",
            "arrives": {"lag": "1 day"},
            "key": ["day", "visit"],
            "date": "day",
            "columns": {
                "day": {"type": "date"},
                "visit": {"type": "integer"},
                "who": {"type": "string"},
                "shop": {"type": "string"},
                "size": {"type": "integer"},
                "spent": {"type": "number"},
            },
        },
        "prices": {
            "landing": "prices/{date}/*",
            "key": ["store", "set_at"],
            "date": "day",
            "columns": {
                "day": {"type": "date"},
                "store": {"type": "string"},
                "set_at": {"type": "timestamp"},
                "price": {"type": "number"},
            },
        },
        "people": {
            "landing": "people/*",
            "arrives": {"as": "snapshot"},
            "key": ["who"],
            "date": "since",
            "columns": {
                "who": {"type": "string"},
                "since": {"type": "date"},
                "town": {"type": "string"},
                "year": {"type": "integer"},
            },
        },
        "towns": {
            "landing": "towns/*",
            "arrives": {"as": "snapshot"},
            "key": ["name"],
            "columns": {"name": {"type": "string"}, "lat": {"type": "number"}},
        },
    },
    "label": {"source": "list", "expression": "size > 9", "maturity": "1 day"},
    "features": {
        "history": HISTORY,
        "joins": [
            {"source": "people", "by": "who", "columns": {"town": "town", "born": "year"}},
            {"source": "towns", "by": {"town": "name"}, "columns": "lat"},
            {
                "source": "prices",
                "by": {"shop": "store"},
                "columns": ["price"],
                "as_of": {"newest": "set_at", "within": "2 days"},
            },
            {
                "source": "prices",
                "by": {"shop": "store"},
                "columns": {"price_then": "price"},
                "as_of": {"newest": "day", "not_after": "at", "within": HISTORY},
            },
        ],
        "expressions": {"age": "year(prediction_date) - born", "band": "size div 10"},
        "windows": [
            {"name": "all", "source": "done", "do": "mean", "measure": "spent", "days": [1, 7]},
            {
                "name": "much",
                "source": "done",
                "do": "mean",
                "measure": "spent > 5",
                "by": ["shop", "band"],
                "days": [3],
                "shrink": {"rows": 2, "to": "all_7"},
            },
            {
                "name": "spent",
                "source": "done",
                "do": "sum",
                "measure": "spent",
                "where": "size < 20",
                "by": "who",
                "days": ["2 days", 9],
            },
            {"name": "visits", "source": "done", "do": "count", "by": ["who"], "days": [7]},
            {
                "name": "before",
                "source": "done",
                "do": "lag",
                "measure": "spent",
                "by": "shop",
                "days": [1, 3],
            },
            {"name": "prices", "source": "prices", "do": "count", "measure": "price", "days": [2]},
            {"name": "new", "source": "people", "do": "count", "days": [3]},
            {
                "name": "least",
                "source": "done",
                "do": "min",
                "measure": "spent",
                "by": "who",
                "days": [1, 3],
            },
            {"name": "most", "source": "done", "do": "max", "measure": "spent", "days": [2]},
            {
                "name": "dearest",
                "source": "done",
                "do": "max",
                "measure": "spent",
                "where": "size < 20",
                "by": ["shop", "band"],
                "days": [5],
            },
        ],
        "numeric": [
            *("size", "born", "lat", "price", "price_then", "age", "band"),
            *("all_1", "all_7", "much_3", "spent_2", "spent_9", "visits_7"),
            *("before_1", "before_3", "prices_2", "new_3"),
            *("least_1", "least_3", "most_2", "dearest_5"),
        ],
        "categorical": ["shop", "town"],
    },
    "model": {"rule": {"by": ["shop"]}},
}
Version = dict[str, Any]
Silver = Mapping[str, list[Version]]


@pytest.fixture(scope="module")
def plan(settings: Settings) -> Plan:
    return Plan(UseCase.model_validate(USE_CASE), settings)


def version(of: dt.date, arrived: dt.datetime, **columns: object) -> Version:
    platform = {"_batch_date": of, "_arrived_at": arrived, "_superseded_at": None}
    return {**columns, **platform, "_file": "f", "_row": 1}


def night(day: dt.date, hours: float = 0) -> dt.datetime:
    """Midnight UTC of a day, and some hours."""
    return dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(hours=hours)


def versions() -> Silver:
    """Rows some of which come up to nine days late, or are superseded."""
    chance = random.Random(11)
    made: dict[str, list[Version]] = {name: [] for name in USE_CASE["sources"]}
    for offset in range(-HISTORY - 3, len(DATES)):
        day = DATES.first + dt.timedelta(days=offset)
        for who in WHO:
            listed = {"day": day, "who": who, "shop": chance.choice(SHOPS)}
            at = chance.choice([None, night(day, chance.uniform(0, 24))])
            size = chance.choice([None, 5, 15, 25])
            made["list"].append(version(day, night(day, -5), **listed, size=size, at=at))
        for visit in range(6):
            done = {
                "visit": visit,
                "who": chance.choice([*WHO, None]),
                "shop": chance.choice(SHOPS),
                "size": chance.choice([None, 5, 15, 25]),
                "spent": chance.choice([None, 0.1, 2.345, 7, 12.0049, -3]),
            }
            made["done"] += twice(version(day, late(day, chance), day=day, **done), chance, "spent")
        for shop in ("a", "b"):
            price = {"store": shop, "set_at": night(day, chance.choice([9, 9, 20]))}
            price["price"] = chance.choice([1.5, 2.5, None, 4.0])
            made["prices"] += twice(version(day, late(day, chance), day=day, **price), chance)
    for who, day in zip(WHO, list(DATES)[1:6:4], strict=False):
        of = {"who": who, "since": day, "town": "x", "year": 1990}
        person = version(DATES.first, night(DATES.first, -80), **of)
        moved = {**person, "_arrived_at": night(DATES.first, 60), "town": "y", "year": 1991}
        made["people"] += [{**person, "_superseded_at": moved["_arrived_at"]}, moved]
    town = version(DATES.first, night(DATES.first, 100), name="y", lat=48.2)
    made["towns"].append(town)
    return made


def late(day: dt.date, chance: random.Random) -> dt.datetime:
    days = chance.randint(1, 9) if chance.random() < 0.2 else 0
    return night(day, 24 * (days + 1) + 6)


def twice(first: Version, chance: random.Random, changed: str = "price") -> list[Version]:
    """A version, and sometimes another that supersedes it."""
    if chance.random() < 0.7:
        return [first]
    again = first["_arrived_at"] + dt.timedelta(hours=chance.choice([1, 30, 80]))
    return [
        {**first, "_superseded_at": again},
        {**first, changed: 100.0, "_arrived_at": again},
    ]


VERSIONS = versions()


def built(
    spark: SparkSession, plan: Plan, dates: Dates, silver: Silver = VERSIONS
) -> dict[tuple[dt.date, str], dict[str, Any]]:
    tables = Tables(plan)
    frames = {
        name: local_rows(spark, rows, tables.silver(name).schema) for name, rows in silver.items()
    }
    found = tables.features().conforming(build(plan, frames, dates)).toArrow().to_pylist()
    names = plan.usecase.features.names
    return {
        (row["prediction_date"], row["who"]): {name: row[name] for name in names} for row in found
    }


def by_hand(plan: Plan, date: dt.date, who: str) -> dict[str, Any]:
    """What a row's features are, version by version."""
    cutoff = plan.cutoff(date)

    def known(source: str) -> list[Version]:
        return [
            each
            for each in VERSIONS[source]
            if each["_arrived_at"] < cutoff
            and (each["_superseded_at"] is None or each["_superseded_at"] >= cutoff)
        ]

    def done(days: Iterable[int], suits: Callable[[Version], bool]) -> list[int]:
        """What was spent on some days before, in thousandths."""
        wanted = [date - dt.timedelta(days=back) for back in days]
        return [
            round(1000 * each["spent"])
            for each in known("done")
            if each["day"] in wanted and suits(each) and each["spent"] is not None
        ]

    def price(by: Callable[[Version], dt.datetime], until: dt.datetime | None, days: int) -> Any:
        if until is None:
            return None
        since = until - dt.timedelta(days=days)
        near = [
            (by(each), each["set_at"], each["price"])
            for each in known("prices")
            if each["store"] == row["shop"]
            and since <= by(each) <= until
            and date - dt.timedelta(days=HISTORY) <= each["day"] <= date
        ]
        return max(near, key=lambda each: each[:2])[2] if near else None

    (row,) = (each for each in known("list") if (each["day"], each["who"]) == (date, who))
    (person,) = [each for each in known("people") if each["who"] == who] or [None]
    town, born = (person["town"], person["year"]) if person else (None, None)
    (lat,) = [each["lat"] for each in known("towns") if each["name"] == town] or [None]
    band = None if row["size"] is None else row["size"] // 10
    week = done(range(1, 8), lambda _: True)
    alike = done(
        range(1, 4),
        lambda each: (
            None not in (band, row["shop"], each["size"])
            and (each["shop"], each["size"] // 10) == (row["shop"], band)
        ),
    )
    mine = [
        done(range(1, days + 1), lambda each: each["who"] == who and (each["size"] or 99) < 20)
        for days in (2, 9)
    ]
    lags = [
        done([back], lambda each: row["shop"] is not None and each["shop"] == row["shop"])
        for back in (1, 3)
    ]
    least = [done(range(1, days + 1), lambda each: each["who"] == who) for days in (1, 3)]
    dearest = done(
        range(1, 6),
        lambda each: (
            None not in (band, row["shop"], each["size"])
            and each["size"] < 20
            and (each["shop"], each["size"] // 10) == (row["shop"], band)
        ),
    )
    visits = [
        each
        for each in known("done")
        if each["who"] == who and date - dt.timedelta(days=7) <= each["day"] < date
    ]
    priced = [
        each
        for each in known("prices")
        if date - dt.timedelta(days=2) <= each["day"] < date and each["price"] is not None
    ]
    dear = sum(each > 5000 for each in alike)
    all_7 = mean(week)
    return {
        "shop": row["shop"],
        "size": row["size"],
        "town": town,
        "born": born,
        "lat": lat,
        "price": price(lambda each: each["set_at"], cutoff, 2),
        "price_then": price(lambda each: plan.moment(each["day"], dt.time()), row["at"], HISTORY),
        "age": None if born is None else date.year - born,
        "band": band,
        "all_1": mean(done([1], lambda _: True)),
        "all_7": all_7,
        "much_3": None if all_7 is None else (dear + 2 * all_7) / (len(alike) + 2),
        "spent_2": sum(mine[0]) / 1000,
        "spent_9": sum(mine[1]) / 1000,
        "visits_7": len(visits),
        "before_1": mean(lags[0]),
        "before_3": mean(lags[1]),
        "prices_2": len(priced),
        "new_3": sum(1 <= (date - each["since"]).days <= 3 for each in known("people")),
        "least_1": end(min, least[0]),
        "least_3": end(min, least[1]),
        "most_2": end(max, done([1, 2], lambda _: True)),
        "dearest_5": end(max, dearest),
    }


def mean(thousandths: list[int]) -> float | None:
    return sum(thousandths) / (1000 * len(thousandths)) if thousandths else None


def end(of: Callable[[list[int]], int], thousandths: list[int]) -> float | None:
    return of(thousandths) / 1000 if thousandths else None


@pytest.fixture(scope="module")
def range_(spark: SparkSession, plan: Plan) -> dict[tuple[dt.date, str], dict[str, Any]]:
    return built(spark, plan, DATES)


def test_every_feature_is_that_of_a_plain_loop(range_: Any, plan: Plan) -> None:
    assert range_ == {(date, who): by_hand(plan, date, who) for date in DATES for who in WHO}
    for name in plan.usecase.features.names:
        assert len({row[name] for row in range_.values()}) > 1, name


def test_nights_one_by_one_are_the_range(spark: SparkSession, plan: Plan, range_: Any) -> None:
    for date in list(DATES)[::4]:
        alone = built(spark, plan, Dates.one(date))
        assert alone == {key: row for key, row in range_.items() if key[0] == date}


def test_what_came_after_the_cutoff_changes_nothing(
    spark: SparkSession, plan: Plan, range_: Any
) -> None:
    date = list(DATES)[4]

    def planted(arrived: dt.datetime) -> Silver:
        at = {"_arrived_at": arrived, "_superseded_at": None}
        day = date - dt.timedelta(days=1)
        visit = version(day, arrived, day=day, visit=99, who="ann", shop="a", size=5, spent=99.0)
        price = version(day, arrived, day=day, store="a", set_at=night(date, 7), price=99.0)
        moved = [{**each, **at, "town": "z", "year": 1900} for each in VERSIONS["people"][1::2]]
        stay = [
            {**each, "_superseded_at": arrived} if each["_superseded_at"] is None else each
            for each in VERSIONS["people"]
        ]
        return {
            **VERSIONS,
            "done": [*VERSIONS["done"], visit],
            "prices": [*VERSIONS["prices"], price],
            "people": [*stay, *moved],
        }

    before = {key: row for key, row in range_.items() if key[0] == date}
    cutoff = plan.cutoff(date)
    assert built(spark, plan, Dates.one(date), planted(cutoff)) == before
    in_time = built(spark, plan, Dates.one(date), planted(cutoff - dt.timedelta(seconds=1)))
    assert all(in_time[key] != row for key, row in before.items())
