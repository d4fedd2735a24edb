"""Features of a scheduled flight from what was known on the night before it.

Five families: the calendar; the flight and its place in the day's schedule; how often flights
like it were late over 1, 7, 28 and 84 days; how the day before went; and its weather. Late means
30 minutes or more on arrival. Shares are shrunk towards those of a broader group, so that a group
of few flights says little. Figures of "yesterday" are of the flights known at the cutoff.
"""

from __future__ import annotations

import datetime as dt

import holidays
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as f

from jobs.features.inputs import FeatureInputs
from jobs.features.windows import Grouping, Sum, lagged

LATE_MINUTES = 30
DAY_MINUTES = 1440
HOME_TZ = -5  # New York's standard time; an airport's `tz` is its own
# Minutes a mile in the air, and on the ground for a whole flight: a rough fit over all routes.
MINUTES_A_MILE, GROUND_MINUTES = 1 / 7.8, 40.0
HOLIDAY_IS_NEAR = 8  # days; farther away is as good as this

# What is asked for each flight, and over how many days.
FLIGHT_GROUPS = (
    Grouping("by_hour", ("sched_hour",)),
    Grouping("by_carrier_hour", ("carrier", "sched_hour")),
    Grouping("by_origin_hour", ("origin", "sched_hour")),
    Grouping("by_origin_carrier_hour", ("origin", "carrier", "sched_hour")),
    Grouping("by_dest", ("dest",)),
    Grouping("by_dest_hour", ("dest", "sched_hour")),
    Grouping("by_number", ("carrier", "flight")),
    Grouping("by_tail", ("tailnum",)),
)
FLIGHT_SUMS = (
    *(Sum(measure, days) for days in (1, 7, 28, 84) for measure in ("arrived", "late")),
    *(Sum(measure, 28) for measure in ("departed", "delay", "gain")),
)

# What is asked once for each day, origin and carrier.
DAY_GROUPS = (
    Grouping("by_all", ("whole",), ("true",)),
    Grouping("by_origin", ("origin",)),
    Grouping("by_carrier", ("carrier",)),
    Grouping("by_origin_carrier", ("origin", "carrier")),
    Grouping("evening_origin", ("sched_hour >= 17 or null", "origin"), ("true", "origin")),
    Grouping("evening_carrier", ("sched_hour >= 17 or null", "carrier"), ("true", "carrier")),
    Grouping("evening_west", ("region",), ("'west'",)),
    Grouping("evening_midwest", ("region",), ("'midwest'",)),
    Grouping("evening_south", ("region",), ("'south'",)),
    Grouping("evening_north", ("region",), ("'north'",)),
    Grouping("to_california", ("dest in ('LAX', 'SFO') or null",), ("true",)),
)
DAY_SUMS = (
    *(Sum(measure, days) for days in (1, 7, 28) for measure in ("arrived", "late")),
    *(Sum(measure, days) for days in (1, 28) for measure in ("flights", "flown", "air_time")),
    *(Sum(measure, 1) for measure in ("departed", "delay", "cancelled")),
)

# Elements of the weather, averaged over the three airports.
ELEMENTS = {
    "temp": "temp",
    "dewp": "dewp",
    "humid": "humid",
    "pressure": "pressure",
    "visib": "visib",
    "wind": "wind_speed",
    "eastward": "-wind_speed * sin(radians(wind_dir))",
    "northward": "-wind_speed * cos(radians(wind_dir))",
    "rain": "cast(precip > 0 as double)",
    "precip": "precip",
    "gusts": "cast(coalesce(wind_gust, 0) >= 25 as double)",
}
WEATHER_GROUPS = (
    Grouping("evening", ("hour >= 20 or null",), ("true",)),
    Grouping("afternoon", ("hour between 13 and 16 or null",), ("true",)),
    Grouping("day", ("true",)),
)
WEATHER_SUMS = tuple(
    Sum(measure, days) for days in (1, 2, 28) for name in ELEMENTS for measure in (name, f"n_{name}")
)


def build(inputs: FeatureInputs) -> DataFrame:
    """One row per scheduled flight, with every column that the use case declares."""
    flights, facts = _flights(inputs), _facts(inputs)
    place = ["prediction_date", "origin"]
    carriers = flights.groupBy(*place, "carrier").agg(f.count("*").alias("carrier_flights"))
    hours = flights.groupBy(*place, "sched_hour").agg(f.count("*").alias("hour_flights"))
    of_carriers = lagged(carriers, facts, DAY_GROUPS, DAY_SUMS, inputs.dates)
    whole_day = Window.partitionBy("prediction_date")
    of_carriers = of_carriers.withColumn("day_flights", f.sum("carrier_flights").over(whole_day))
    known = (
        lagged(flights, facts, FLIGHT_GROUPS, FLIGHT_SUMS, inputs.dates)
        .join(f.broadcast(of_carriers), on=[*place, "carrier"], how="left")
        .join(f.broadcast(hours), on=[*place, "sched_hour"], how="left")
        .join(f.broadcast(_days(inputs)), on="prediction_date", how="left")
    )
    made = known.withColumns(_shares() | _yesterday() | _weather())
    return made.withColumns(_rotation())


def _flights(inputs: FeatureInputs) -> DataFrame:
    """The schedule of each prediction date as known at its cutoff."""
    flights = inputs.looked_up(inputs.entities(), "planes", "tailnum", ["year", "seats"])
    flights = inputs.looked_up(flights, "airports", "dest", ["tz"])
    leaves, lands = _minute("sched_dep_time"), _minute("sched_arr_time")
    eastern = (f.coalesce("tz", f.lit(HOME_TZ)) - HOME_TZ) * 60
    block = f.pmod(lands - leaves - eastern, f.lit(DAY_MINUTES))
    return flights.select(
        *inputs.usecase.entity.key,
        "prediction_date",
        "dest",
        "tailnum",
        "distance",
        "seats",
        _hour("sched_dep_time").alias("sched_hour"),
        leaves.alias("sched_minute"),
        f.weekday("prediction_date").alias("day_of_week"),
        (f.year("prediction_date") - f.col("year")).alias("plane_age"),
        block.alias("block_minutes"),
        (block - _flying(f.col("distance"))).alias("block_spare"),
    )


def _facts(inputs: FeatureInputs) -> DataFrame:
    """What happened to each flight, and once more, for evening flights, with its region only."""
    actuals = inputs.facts("actuals")
    arrived, departed = f.col("arr_delay").isNotNull(), f.col("dep_time").isNotNull()
    measures = {
        "flights": f.lit(1),
        "arrived": arrived,
        "late": f.col("arr_delay") >= LATE_MINUTES,
        "departed": departed,
        "cancelled": ~departed,
        "delay": f.greatest(f.lit(-30.0), f.least(f.lit(240.0), f.col("dep_delay"))),
        "gain": f.col("arr_delay") - f.col("dep_delay"),
        "flown": f.col("air_time").isNotNull(),
        "air_time": f.col("air_time"),
    }
    measured = [column.cast("long").alias(name) for name, column in measures.items()]
    seen = ["_day", "_first_seen", "_last_seen"]
    groups = ["carrier", "flight", "origin", "dest", "tailnum"]
    hour = _hour("sched_dep_time")
    flown = actuals.select(
        *seen, *groups, hour.alias("sched_hour"), f.lit(True).alias("whole"), *measured
    )
    evening = inputs.joined(actuals.where(hour >= 15), "airports", "dest", ["lat", "lon"])
    regional = evening.select(*seen, _region().alias("region"), *measured)
    return flown.unionByName(regional, allowMissingColumns=True)


def _days(inputs: FeatureInputs) -> DataFrame:
    """One row per prediction date: nearness of a holiday, and sums of the weather before it."""
    weather = inputs.facts("weather")
    local = f.from_utc_timestamp("time_hour", inputs.usecase.timezone)
    # Whole hundredths, so that sums are exact.
    hundredths = {
        name: f.round(f.expr(element) * 100).cast("long") for name, element in ELEMENTS.items()
    }
    counts = {f"n_{name}": value.isNotNull().cast("long") for name, value in hundredths.items()}
    facts = weather.withColumn("hour", f.hour(local)).select(
        "_day",
        "_first_seen",
        "_last_seen",
        "hour",
        *[column.alias(name) for name, column in (hundredths | counts).items()],
    )
    return lagged(_calendar(inputs), facts, WEATHER_GROUPS, WEATHER_SUMS, inputs.dates)


def _calendar(inputs: FeatureInputs) -> DataFrame:
    years = range(inputs.dates.first.year - 1, inputs.dates.last.year + 2)
    free = sorted(holidays.country_holidays("US", years=years))
    rows = [(date, *_nearness(date, free)) for date in inputs.dates]
    columns = "prediction_date date, days_to_holiday int, days_since_holiday int"
    return inputs.silver["actuals"].sparkSession.createDataFrame(rows, columns)


def _nearness(date: dt.date, free: list[dt.date]) -> tuple[int, int]:
    """Days to the next holiday and since the last one (0 on a holiday), at most a week or so."""
    ahead = min((day - date).days for day in free if day >= date)
    behind = min((date - day).days for day in free if day <= date)
    return min(ahead, HOLIDAY_IS_NEAR), min(behind, HOLIDAY_IS_NEAR)


def _shares() -> dict[str, Column]:
    """Shares of late flights among flights like this one."""
    month = {name: _share(f"by_{name}", 28) for name in ("all", "carrier", "hour", "dest")}
    season = {name: _share(f"by_{name}", 84) for name in ("hour", "dest")}
    plain = {f"late_{name}_{days}": _share(f"by_{name}", days)
             for name in ("all", "origin") for days in (1, 7, 28)}
    towards_month = {
        **{f"late_carrier_{d}": _share("by_carrier", d, 20, month["carrier"]) for d in (1, 7, 28)},
        **{f"late_dest_{d}": _share("by_dest", d, 10, month["dest"]) for d in (1, 7, 28)},
        **{f"late_tail_{d}": _share("by_tail", d, 5, month["carrier"]) for d in (1, 7, 28)},
        **{f"late_number_{d}": _share("by_number", d, 5, month["carrier"]) for d in (7, 28)},
        "late_hour_7": _share("by_hour", 7, 20, month["all"]),
        "late_hour_28": _share("by_hour", 28, 50, month["all"]),
        "late_origin_carrier_28": _share("by_origin_carrier", 28, 20, month["carrier"]),
        "late_carrier_hour_28": _share("by_carrier_hour", 28, 50, month["hour"]),
        "late_dest_hour_28": _share("by_dest_hour", 28, 20, month["dest"]),
    }
    carrier_hour = _share("by_carrier_hour", 84, 50, season["hour"])
    towards_season = {
        "late_carrier_hour_84": carrier_hour,
        "late_origin_hour_84": _share("by_origin_hour", 84, 50, season["hour"]),
        "late_origin_carrier_hour_84": _share("by_origin_carrier_hour", 84, 30, carrier_hour),
        "late_dest_hour_84": _share("by_dest_hour", 84, 20, season["dest"]),
        "late_number_84": _share("by_number", 84, 10, carrier_hour),
    }
    means = {
        "delay_number_28": _mean("by_number", "delay", "departed", 28),
        "gain_number_28": _mean("by_number", "gain", "arrived", 28),
    }
    return plain | towards_month | towards_season | means


def _yesterday() -> dict[str, Column]:
    """How the day before went, as far as it was known."""
    regions = ("west", "midwest", "south", "north")
    return {
        **{f"late_evening_{each}": _share(f"evening_{each}", 1) for each in regions},
        "late_evening_origin": _share("evening_origin", 1),
        "delay_evening_origin": _mean("evening_origin", "delay", "departed", 1),
        "delay_evening_carrier": _mean("evening_carrier", "delay", "departed", 1),
        "delay_carrier_1": _mean("by_carrier", "delay", "departed", 1),
        "cancelled_evening_origin": _mean("evening_origin", "cancelled", "flights", 1),
        "cancelled_evening_carrier": _mean("evening_carrier", "cancelled", "flights", 1),
        "cancelled_all_1": _mean("by_all", "cancelled", "flights", 1),
        "cancelled_origin_1": _mean("by_origin", "cancelled", "flights", 1),
        # Strong winds aloft make flights to California long, and much else late.
        "headwind": _mean("to_california", "air_time", "flown", 1)
        - _mean("to_california", "air_time", "flown", 28),
        "day_flights_usual": _ratio(f.col("day_flights") * 28, f.col("by_all.flights_28")),
    }


def _weather() -> dict[str, Column]:
    """Yesterday evening's weather, and how it differed from before; observations only."""
    evening = {name: _element("evening", name, 1) for name in ELEMENTS}
    month = {name: _element("day", name, 28) for name in ELEMENTS}
    day_before = {name: _before(name) for name in ELEMENTS}
    raw = ("temp", "dewp", "humid", "pressure", "visib", "wind", "eastward", "northward", "rain", "gusts")
    return {
        **{f"weather_{name}": evening[name] for name in raw},
        **{f"weather_{name}_28": evening[name] - month[name] for name in ("temp", "dewp", "pressure", "humid")},
        **{f"weather_{name}_rise_1": evening[name] - day_before[name]
           for name in ("temp", "dewp", "pressure", "eastward", "northward")},
        **{f"weather_{name}_rise_hours": evening[name] - _element("afternoon", name, 1)
           for name in ("pressure", "dewp", "humid")},
        "weather_precip_1": _element("day", "precip", 1),
        "weather_rain_1": _element("day", "rain", 1),
    }


def _rotation() -> dict[str, Column]:
    """The aircraft's legs from New York that day by schedule: a late leg delays the next."""
    legs = Window.partitionBy("prediction_date", "tailnum")
    ordered = legs.orderBy("sched_minute", "carrier", "flight", "origin")
    known = f.col("tailnum").isNotNull()
    gap = f.col("sched_minute") - f.lag("sched_minute").over(ordered)
    there_and_back = 2 * _flying(f.lag("distance").over(ordered))
    return {
        "leg": f.when(known, f.row_number().over(ordered)),
        "legs": f.when(known, f.count("*").over(legs)),
        "gap_minutes": f.when(known, gap),
        "turn_spare": f.when(known, gap - there_and_back),
        "late_previous_leg": f.when(known, f.lag("late_number_84").over(ordered)),
    }


def _share(group: str, days: int, weight: float = 0, towards: Column | None = None) -> Column:
    """Late among arrived, as if `weight` more flights had the share `towards`."""
    late, arrived = f.col(f"{group}.late_{days}"), f.col(f"{group}.arrived_{days}")
    if towards is None:
        return _ratio(late, arrived)
    return _ratio(late + weight * towards, arrived + weight)


def _mean(group: str, measure: str, count: str, days: int) -> Column:
    return _ratio(f.col(f"{group}.{measure}_{days}"), f.col(f"{group}.{count}_{days}"))


def _element(group: str, name: str, days: int) -> Column:
    return _mean(group, name, f"n_{name}", days) / 100


def _before(name: str) -> Column:
    """An element on the evening before yesterday's: two evenings less the last one."""
    total = f.col(f"evening.{name}_2") - f.col(f"evening.{name}_1")
    count = f.col(f"evening.n_{name}_2") - f.col(f"evening.n_{name}_1")
    return _ratio(total, count) / 100


def _ratio(top: Column, bottom: Column) -> Column:
    """Null where there is nothing to divide by."""
    return f.try_divide(top.cast("double"), bottom.cast("double"))


def _flying(miles: Column) -> Column:
    return miles * MINUTES_A_MILE + GROUND_MINUTES


def _hour(clock: str) -> Column:
    return f.floor(f.col(clock) / 100).cast("int")


def _minute(clock: str) -> Column:
    return _hour(clock) * 60 + f.col(clock) % 100


def _region() -> Column:
    return (
        f.when(f.col("lon") < -100, "west")
        .when((f.col("lon") < -80) & (f.col("lat") > 36.5), "midwest")
        .when(f.col("lat") < 36.5, "south")
        .otherwise("north")
    )
