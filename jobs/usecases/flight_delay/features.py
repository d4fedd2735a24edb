"""What is particular to a scheduled flight, beside what its use case declares.

Its place in the day's schedule; the nearness of a holiday; where the evening's flights were late;
and the weather of the day before. Late means 30 minutes or more on arrival. Figures of "yesterday"
are of what was known at the cutoff.
"""

from __future__ import annotations

import datetime as dt

import holidays
from pyspark.sql import DataFrame
from pyspark.sql import functions as f

from jobs.features.inputs import FeatureInputs
from jobs.features.windows import Grouping, Sum, lagged

HOLIDAY_IS_NEAR = 8  # days; farther away is as good as this

SEEN = ("_day", "_first_seen", "_last_seen")
REGIONS = ("west", "midwest", "south", "north")
REGION = (
    "case when lon < -100 then 'west' when lon < -80 and lat > 36.5 then 'midwest'"
    " when lat < 36.5 then 'south' else 'north' end"
)
REGION_SUMS = (Sum("late", 1), Sum("arrived", 1))
REGION_GROUPS = tuple(
    Grouping(f"evening_{place}", ("region",), (f"'{place}'",), REGION_SUMS) for place in REGIONS
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
EVENING_ELEMENTS = tuple(name for name in ELEMENTS if name != "precip")
WEATHER_WINDOWS = {1: tuple(ELEMENTS), 2: COMPARED, 28: COMPARED}
WEATHER_SUMS = tuple(
    Sum(measure, days)
    for days, names in WEATHER_WINDOWS.items()
    for name in names
    for measure in (name, f"n_{name}")
)
WEATHER_GROUPS = (
    Grouping("evening", ("hour >= 20 or null",), ("true",), WEATHER_SUMS),
    Grouping("afternoon", ("hour between 13 and 16 or null",), ("true",), WEATHER_SUMS),
    Grouping("day", ("true",), ("true",), WEATHER_SUMS),
)


def build(inputs: FeatureInputs, rows: DataFrame) -> DataFrame:
    """The scheduled flights with what is declared, and with what is particular to them."""
    known = rows.join(f.broadcast(_days(inputs)), on="prediction_date", how="left")
    made = known.selectExpr("*", *_named(_regions() | _weather()))
    # By date alone, which is enough for all that follows: so each date's rows lie in one file.
    by_date = made.repartition("prediction_date")
    return by_date.selectExpr("*", *_named(_schedule() | _rotation()))


def _days(inputs: FeatureInputs) -> DataFrame:
    """One row per prediction date: nearness of a holiday, and sums of what was the day before."""
    regional = lagged(_calendar(inputs), _regional(inputs), REGION_GROUPS, inputs.dates)
    return lagged(regional, _observed(inputs), WEATHER_GROUPS, inputs.dates)


def _regional(inputs: FeatureInputs) -> DataFrame:
    """Evening flights by where they went."""
    evening = inputs.facts("actuals").where("sched_dep_time >= 1500")
    placed = inputs.joined(evening, "airports", "dest", ["lat", "lon"])
    return placed.selectExpr(
        *SEEN,
        f"{REGION} as region",
        "cast(arr_delay >= 30 as long) as late",
        "cast(arr_delay is not null as long) as arrived",
    )


def _observed(inputs: FeatureInputs) -> DataFrame:
    """The weather by local hour."""
    local = f"from_utc_timestamp(time_hour, '{inputs.usecase.timezone}')"
    # Whole hundredths, so that sums are exact.
    values = [f"cast(round(100 * {value}) as long) as {name}" for name, value in ELEMENTS.items()]
    counts = [f"cast({value} is not null as long) as n_{name}" for name, value in ELEMENTS.items()]
    return inputs.facts("weather").selectExpr(*SEEN, f"hour({local}) as hour", *values, *counts)


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


def _regions() -> dict[str, str]:
    """Share of yesterday's evening flights that were late, by where they went."""
    return {
        f"late_evening_{place}": _mean(f"evening_{place}", "late", "arrived", 1)
        for place in REGIONS
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


def _schedule() -> dict[str, str]:
    """The day's schedule, and how it differs from usual."""
    day, place = "partition by prediction_date", "partition by prediction_date, origin"
    return {
        "day_flights": f"count(*) over ({day})",
        "day_flights_usual": f"try_divide(count(*) over ({day}) * 28, flights_28)",
        "hour_flights": f"count(*) over ({place}, sched_hour)",
        "carrier_flights": f"count(*) over ({place}, carrier)",
        # Strong winds aloft make flights to California long, and much else late.
        "headwind": "california_1 - california_28",
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
        "turn_spare": f"{gap} - 2 * lag(flying_minutes) over {ordered}",
        "late_previous_leg": f"lag(late_number_84) over {ordered}",
    }
    return {name: f"if(tailnum is null, null, {value})" for name, value in made.items()}


def _named(columns: dict[str, str]) -> list[str]:
    return [f"{expression} as {name}" for name, expression in columns.items()]


def _mean(group: str, measure: str, count: str, days: int) -> str:
    return f"try_divide({group}.{measure}_{days}, {group}.{count}_{days})"


def _element(group: str, name: str, days: int) -> str:
    return f"{_mean(group, name, f'n_{name}', days)} / 100"


def _before(name: str) -> str:
    """An element on the evening before yesterday's: two evenings less the last one."""
    total = f"evening.{name}_2 - evening.{name}_1"
    return f"try_divide({total}, evening.n_{name}_2 - evening.n_{name}_1) / 100"
