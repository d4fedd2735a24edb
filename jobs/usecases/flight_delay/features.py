"""Features of a scheduled flight from what was known on the night before it.

Five families: the calendar; the flight and its place in the day's schedule; how often flights
like it were late over 1, 7, 28 and 84 days; how the day before went; and its weather. Late means
30 minutes or more on arrival. Shares are shrunk towards those of a broader group, so that a group
of few flights says little. Figures of "yesterday" are of the flights known at the cutoff.
"""

from __future__ import annotations

import datetime as dt

import holidays
from pyspark.sql import DataFrame
from pyspark.sql import functions as f

from jobs.features.inputs import FeatureInputs
from jobs.features.windows import Grouping, Sum, lagged

HOME_TZ = -5  # New York's standard time; an airport's `tz` is its own
HOLIDAY_IS_NEAR = 8  # days; farther away is as good as this

# What is summed over flights.
MEASURES = {
    "flights": "1",
    "arrived": "arr_delay is not null",
    "late": "arr_delay >= 30",
    "departed": "dep_time is not null",
    "cancelled": "dep_time is null",
    "delay": "if(dep_delay is null, null, greatest(-30, least(240, dep_delay)))",
    "gain": "arr_delay - dep_delay",
    "flown": "air_time is not null",
    "air_time": "air_time",
}
HOUR = "sched_dep_time div 100"
SEEN = ("_day", "_first_seen", "_last_seen")
REGIONS = ("west", "midwest", "south", "north")
REGION = (
    "case when lon < -100 then 'west' when lon < -80 and lat > 36.5 then 'midwest'"
    " when lat < 36.5 then 'south' else 'north' end"
)

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
    *(Grouping(f"evening_{place}", ("region",), (f"'{place}'",)) for place in REGIONS),
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
COMPARED = ("temp", "dewp", "pressure", "eastward", "northward")
WEATHER_GROUPS = (
    Grouping("evening", ("hour >= 20 or null",), ("true",)),
    Grouping("afternoon", ("hour between 13 and 16 or null",), ("true",)),
    Grouping("day", ("true",)),
)
EVENING_ELEMENTS = tuple(name for name in ELEMENTS if name != "precip")
WEATHER_WINDOWS = {1: tuple(ELEMENTS), 2: COMPARED, 28: COMPARED}
WEATHER_SUMS = tuple(
    Sum(measure, days)
    for days, names in WEATHER_WINDOWS.items()
    for name in names
    for measure in (name, f"n_{name}")
)


def build(inputs: FeatureInputs) -> DataFrame:
    """One row per scheduled flight, with every column that the use case declares."""
    scheduled, facts, regional = inputs.entities(), _facts(inputs), _regional(inputs)
    flights = _flights(inputs, scheduled)
    place = ["prediction_date", "origin"]
    carriers = scheduled.groupBy(*place, "carrier").agg(f.count("*").alias("carrier_flights"))
    hours = (
        scheduled.selectExpr(*place, f"{HOUR} as sched_hour")
        .groupBy(*place, "sched_hour")
        .agg(f.count("*").alias("hour_flights"))
    )
    of_days = facts.unionByName(regional, allowMissingColumns=True)
    of_carriers = lagged(carriers, of_days, DAY_GROUPS, DAY_SUMS, inputs.dates).selectExpr(
        "*", "sum(carrier_flights) over (partition by prediction_date) as day_flights"
    )
    known = (
        lagged(flights, facts, FLIGHT_GROUPS, FLIGHT_SUMS, inputs.dates)
        .join(f.broadcast(of_carriers), on=[*place, "carrier"], how="left")
        .join(f.broadcast(hours), on=[*place, "sched_hour"], how="left")
        .join(f.broadcast(_days(inputs)), on="prediction_date", how="left")
    )
    made = known.selectExpr("*", *_named(_shares() | _yesterday() | _weather()))
    # By date alone, which is enough for the aircraft's legs: so each date's rows lie in one file.
    by_date = made.repartition("prediction_date")
    return by_date.selectExpr("*", *_named(_rotation()))


def _flights(inputs: FeatureInputs, scheduled: DataFrame) -> DataFrame:
    """The flights of each prediction date, with what is known of their aircraft and airport."""
    flights = inputs.looked_up(scheduled, "planes", "tailnum", ["year", "seats"])
    flights = inputs.looked_up(flights, "airports", "dest", ["tz"])
    leaves, lands = _minute("sched_dep_time"), _minute("sched_arr_time")
    block = f"pmod({lands} - {leaves} - (coalesce(tz, {HOME_TZ}) - {HOME_TZ}) * 60, 1440)"
    return flights.selectExpr(
        *inputs.usecase.entity.key,
        "prediction_date",
        "dest",
        "tailnum",
        "distance",
        "seats",
        f"{HOUR} as sched_hour",
        f"{leaves} as sched_minute",
        "weekday(prediction_date) as day_of_week",
        "year(prediction_date) - year as plane_age",
        f"{block} as block_minutes",
        f"{block} - {_flying('distance')} as block_spare",
    )


def _facts(inputs: FeatureInputs) -> DataFrame:
    """What happened to each flight."""
    groups = ("carrier", "flight", "origin", "dest", "tailnum")
    return inputs.facts("actuals").selectExpr(
        *SEEN, *groups, f"{HOUR} as sched_hour", "true as whole", *_measures()
    )


def _regional(inputs: FeatureInputs) -> DataFrame:
    """What happened to evening flights, once more, by where they went."""
    evening = inputs.facts("actuals").where("sched_dep_time >= 1500")
    placed = inputs.joined(evening, "airports", "dest", ["lat", "lon"])
    return placed.selectExpr(*SEEN, f"{REGION} as region", *_measures())


def _measures() -> list[str]:
    return [f"cast({measure} as long) as {name}" for name, measure in MEASURES.items()]


def _days(inputs: FeatureInputs) -> DataFrame:
    """One row per prediction date: nearness of a holiday, and sums of the weather before it."""
    local = f"from_utc_timestamp(time_hour, '{inputs.usecase.timezone}')"
    # Whole hundredths, so that sums are exact.
    values = [f"cast(round(100 * {value}) as long) as {name}" for name, value in ELEMENTS.items()]
    counts = [f"cast({value} is not null as long) as n_{name}" for name, value in ELEMENTS.items()]
    facts = inputs.facts("weather").selectExpr(*SEEN, f"hour({local}) as hour", *values, *counts)
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


def _shares() -> dict[str, str]:
    """Shares of late flights among flights like this one."""
    every = _share("by_all", 28)
    carrier, hour, dest = (_share(f"by_{group}", 28) for group in ("carrier", "hour", "dest"))
    hour_84, dest_84 = _share("by_hour", 84), _share("by_dest", 84)
    carrier_hour_84 = _share("by_carrier_hour", 84, 50, hour_84)
    return {
        **{f"late_all_{days}": _share("by_all", days) for days in (1, 7, 28)},
        **{f"late_origin_{days}": _share("by_origin", days) for days in (1, 7, 28)},
        **{f"late_carrier_{days}": _share("by_carrier", days, 20, carrier) for days in (1, 7, 28)},
        **{f"late_dest_{days}": _share("by_dest", days, 10, dest) for days in (1, 7, 28)},
        **{f"late_tail_{days}": _share("by_tail", days, 5, carrier) for days in (1, 7, 28)},
        **{f"late_number_{days}": _share("by_number", days, 5, carrier) for days in (7, 28)},
        "late_hour_7": _share("by_hour", 7, 20, every),
        "late_hour_28": _share("by_hour", 28, 50, every),
        "late_origin_carrier_28": _share("by_origin_carrier", 28, 20, carrier),
        "late_carrier_hour_28": _share("by_carrier_hour", 28, 50, hour),
        "late_dest_hour_28": _share("by_dest_hour", 28, 20, dest),
        "late_carrier_hour_84": carrier_hour_84,
        "late_origin_hour_84": _share("by_origin_hour", 84, 50, hour_84),
        "late_origin_carrier_hour_84": _share("by_origin_carrier_hour", 84, 30, carrier_hour_84),
        "late_dest_hour_84": _share("by_dest_hour", 84, 20, dest_84),
        "late_number_84": _share("by_number", 84, 10, carrier_hour_84),
        "delay_number_28": _mean("by_number", "delay", "departed", 28),
        "gain_number_28": _mean("by_number", "gain", "arrived", 28),
    }


def _yesterday() -> dict[str, str]:
    """How the day before went, as far as it was known."""
    california = [_mean("to_california", "air_time", "flown", days) for days in (1, 28)]
    return {
        **{f"late_evening_{place}": _share(f"evening_{place}", 1) for place in REGIONS},
        "late_evening_origin": _share("evening_origin", 1),
        "delay_evening_origin": _mean("evening_origin", "delay", "departed", 1),
        "delay_evening_carrier": _mean("evening_carrier", "delay", "departed", 1),
        "delay_carrier_1": _mean("by_carrier", "delay", "departed", 1),
        "cancelled_evening_origin": _mean("evening_origin", "cancelled", "flights", 1),
        "cancelled_evening_carrier": _mean("evening_carrier", "cancelled", "flights", 1),
        "cancelled_all_1": _mean("by_all", "cancelled", "flights", 1),
        "cancelled_origin_1": _mean("by_origin", "cancelled", "flights", 1),
        # Strong winds aloft make flights to California long, and much else late.
        "headwind": f"{california[0]} - {california[1]}",
        "day_flights_usual": "try_divide(day_flights * 28, by_all.flights_28)",
    }


def _weather() -> dict[str, str]:
    """Yesterday evening's weather, and how it differed from before; observations only."""
    return {
        **{f"weather_{name}": _element("evening", name, 1) for name in EVENING_ELEMENTS},
        **{
            f"weather_{name}_above_28": (
                f"{_element('evening', name, 1)} - {_element('day', name, 28)}"
            )
            for name in ("temp", "dewp", "pressure")
        },
        **{
            f"weather_{name}_rise_24": f"{_element('evening', name, 1)} - {_before(name)}"
            for name in ("temp", "dewp", "pressure", "eastward", "northward")
        },
        "weather_pressure_rise_7": (
            f"{_element('evening', 'pressure', 1)} - {_element('afternoon', 'pressure', 1)}"
        ),
        "weather_precip_day": _element("day", "precip", 1),
        "weather_rain_day": _element("day", "rain", 1),
    }


def _rotation() -> dict[str, str]:
    """The aircraft's legs from New York that day by schedule: a late leg delays the next."""
    legs = "partition by prediction_date, tailnum"
    ordered = f"({legs} order by sched_minute, carrier, flight, origin)"
    gap = f"sched_minute - lag(sched_minute) over {ordered}"
    made = {
        "leg": f"row_number() over {ordered}",
        "legs": f"count(*) over ({legs})",
        "gap_minutes": gap,
        "turn_spare": f"{gap} - 2 * lag({_flying('distance')}) over {ordered}",
        "late_previous_leg": f"lag(late_number_84) over {ordered}",
    }
    return {name: f"if(tailnum is null, null, {value})" for name, value in made.items()}


def _named(columns: dict[str, str]) -> list[str]:
    return [f"{expression} as {name}" for name, expression in columns.items()]


def _share(group: str, days: int, weight: int = 0, towards: str = "0") -> str:
    """Late among arrived, as if `weight` more flights had the share `towards`."""
    late, arrived = f"{group}.late_{days}", f"{group}.arrived_{days}"
    if not weight:
        return f"try_divide({late}, {arrived})"
    return f"try_divide({late} + {weight} * {towards}, {arrived} + {weight})"


def _mean(group: str, measure: str, count: str, days: int) -> str:
    return f"try_divide({group}.{measure}_{days}, {group}.{count}_{days})"


def _element(group: str, name: str, days: int) -> str:
    return f"{_mean(group, name, f'n_{name}', days)} / 100"


def _before(name: str) -> str:
    """An element on the evening before yesterday's: two evenings less the last one."""
    total = f"evening.{name}_2 - evening.{name}_1"
    return f"try_divide({total}, evening.n_{name}_2 - evening.n_{name}_1) / 100"


def _flying(miles: str) -> str:
    """Minutes a flight takes from gate to gate, roughly (fitted over all routes)."""
    return f"({miles} / 7.8 + 40)"


def _minute(clock: str) -> str:
    """Minutes after midnight of a clock time such as 1335."""
    return f"({clock} div 100 * 60 + {clock} % 100)"
