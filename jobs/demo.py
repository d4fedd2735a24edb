"""`daybreak demo`: nine months of real flights, from landing files to predictions in Postgres.

Every part looks first at what is there already, so that a second demo repeats nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from jobs import display
from jobs.display import Stopwatch
from jobs.errors import Refused
from jobs.plan import Dates, Plan
from jobs.settings import Settings, default_home

USE_CASE = "flight_delay"
HISTORY = Dates(dt.date(2013, 1, 1), dt.date(2013, 9, 30))
NIGHTS = Dates(dt.date(2013, 10, 1), dt.date(2013, 10, 7))
CUTOFF = NIGHTS.first

RISKIEST = """\
select carrier, flight, origin, dest, sched_dep_time,
       round(score::numeric, 3) as score, prediction, model_version
from predictions.flight_delay
where prediction_date = '2013-10-07'
order by score desc, carrier, flight
limit 10"""


def demo(say: Callable[[str], None]) -> None:
    """Start the services, load, train, promote, run seven nights, and show what came of it.

    Raises:
        Refused: a DAG run failed; the sentence is the one its task gave.
    """
    from daybreak_local.stack import up

    watch = Stopwatch(say)
    settings = watch.time("Starting the services", lambda: up(default_home(), say))
    plan = Plan.of(USE_CASE, settings)
    watch.time("Landing January to September 2013", lambda: _land(plan, HISTORY, say))
    watch.time("Training by a run of flight_delay__train", lambda: _train(plan, say))
    watch.time("Landing 1 to 7 October", lambda: _land(plan, NIGHTS, say))
    watch.time("Seven nights by Airflow's backfill", lambda: _nights(plan, say))
    _picture(plan, watch)


def _land(plan: Plan, dates: Dates, say: Callable[[str], None]) -> None:
    from jobs.ingest.sample import write_sample

    write_sample(plan, dates, say)


def _train(plan: Plan, say: Callable[[str], None]) -> None:
    from jobs.airflow_api import connect
    from jobs.evaluation import cutoffs_decided

    if str(CUTOFF) in cutoffs_decided(plan):
        say(f"A model with the cutoff {CUTOFF} was trained and decided on before.")
        return
    dag = f"{plan.name}__train"
    with connect(plan.settings) as airflow:
        airflow.ready(dag)
        airflow.unpause(dag)
        asked = {"cutoff": str(CUTOFF)}
        # Airflow has gone on with what a demo began that was killed.
        run = airflow.unfinished(dag, asked) or airflow.trigger(dag, asked)
        ended = airflow.wait(dag, run, say)
        page = airflow.page(dag, run)
        if ended.state == "running":
            raise Refused(
                f"{run} of {dag} asks a person about the challenger.",
                f"Answer on {page}, then run the demo again.",
            )
        if ended.state != "success":
            raise Refused(
                f"{run} of {dag} failed: {' '.join(airflow.failures(dag, run))}", f"See {page}."
            )


def _nights(plan: Plan, say: Callable[[str], None]) -> None:
    from jobs.airflow_api import connect
    from jobs.prediction.batches import publications

    def live() -> set[dt.date]:
        found = publications(plan.settings, plan.name)
        return {each.prediction_date for each in found if each.live}

    ranges = lacking(live())
    if not ranges:
        say("All seven nights were published before.")
        return
    dag = f"{plan.name}__nightly"
    with connect(plan.settings) as airflow:
        airflow.ready(dag)
        airflow.unpause(dag)
        if begun := airflow.unfinished_backfill(dag):
            say(f"Airflow is still busy with backfill {begun}, which began before: waiting for it.")
            airflow.wait_backfill(dag, begun, NIGHTS, say)
            ranges = lacking(live())
        for dates in ranges:
            backfill = airflow.backfill(dag, dates)
            for run in airflow.wait_backfill(dag, backfill, dates, say):
                if run.state != "success":
                    raise Refused(
                        f"The night of {run.date} failed: "
                        f"{' '.join(airflow.failures(dag, run.run_id))}",
                        f"See {airflow.page(dag, run.run_id)}.",
                    )


def lacking(live: set[dt.date]) -> list[Dates]:
    """The nights that are not live, as ranges: a backfill takes one."""
    ranges: list[Dates] = []
    for date in NIGHTS:
        if date in live:
            continue
        if ranges and ranges[-1].shifted(last=1).last == date:
            ranges[-1] = Dates(ranges[-1].first, date)
        else:
            ranges.append(Dates.one(date))
    return ranges


def _picture(plan: Plan, watch: Stopwatch) -> None:
    from jobs.conform.quarantine import Which, summary
    from jobs.engine import Engine
    from jobs.evaluation import newest
    from jobs.lake.tables import Tables

    spark, tables = Engine(plan.settings).session(), Tables(plan)
    sources = list(plan.usecase.sources)
    layers = [
        ("bronze, as it arrived", [tables.bronze(name) for name in sources]),
        ("silver, typed and checked", [tables.silver(name) for name in sources]),
        ("quarantine", [tables.quarantine(name) for name in sources]),
        ("gold.features", [tables.features()]),
        ("gold.labels", [tables.labels()]),
        ("gold.predictions", [tables.predictions()]),
    ]
    counts = [(name, sum(t.read(spark).count() for t in found)) for name, found in layers]
    display.table("Rows per layer", ["layer", "rows"], counts)
    display.quarantine(summary(spark, tables, Which()))
    display.evaluation(newest(plan))
    columns, rows = _riskiest(plan.settings)
    display.table("The ten riskiest flights of 7 October, as daybreak_reader", columns, rows)
    display.say(f"The SQL:\n{RISKIEST};\n")
    seconds = [(part, round(took, 1)) for part, took in watch.seconds.items()]
    total = round(sum(watch.seconds.values()), 1)
    display.table("Time", ["part", "seconds"], [*seconds, ("in all", total)])
    _addresses(plan.settings)


def _riskiest(settings: Settings) -> tuple[list[str], list[tuple[Any, ...]]]:
    from jobs.prediction.warehouse import connect

    with connect(settings, "reader") as connection:
        cursor = connection.execute(RISKIEST)
        # A flight's number is a name, not an amount: no separators, as psql shows it.
        rows = [tuple(c if isinstance(c, bool) else str(c) for c in row) for row in cursor]
        return [column.name for column in cursor.description or ()], rows


def _addresses(settings: Settings) -> None:
    logins = [
        ("Airflow", settings.airflow_url, settings.airflow_user, settings.airflow_password),
        ("MLflow", settings.mlflow_url, settings.mlflow_user, settings.mlflow_password),
    ]
    display.table(
        "Where to look",
        ["", "address", "user", "password"],
        [
            (name, url, user, word.get_secret_value() if word else "")
            for name, url, user, word in logins
        ],
    )
    display.say('SQL: psql "$(.venv/bin/daybreak warehouse-url --role reader)"')
    display.say("`make down` stops all of it; the state stays.")
