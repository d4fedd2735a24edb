"""`daybreak`: the command line. Commands only call; what they print is made in `jobs.display`.

Exit code 0: done. 1: refused or failed. 2: wrong usage. Every reading command takes `--json`.
Engines and services are imported inside the commands, so that `daybreak --help` is quick.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from jobs import display
from jobs.errors import DaybreakError, Refused, WrongUsage
from jobs.prediction.roles import Role

if TYPE_CHECKING:
    from jobs.conform.quarantine import Which
    from jobs.context import Context
    from jobs.plan import Dates, Plan
    from jobs.settings import Settings

app = typer.Typer(
    help="Predictions in your warehouse by daybreak.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
quarantine = typer.Typer(help="Rows that failed a rule.", no_args_is_help=True)
app.add_typer(quarantine, name="quarantine")

UseCaseName = Annotated[str, typer.Argument(metavar="USE_CASE", help="Name of a use case.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
OneDate = Annotated[
    dt.datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Prediction date.")
]
From = Annotated[dt.datetime | None, typer.Option("--from", formats=["%Y-%m-%d"])]
Why = Annotated[str, typer.Option(help="Why; it is recorded.")]
By = Annotated[str, typer.Option(help="Who decides, if it is not the user who is logged in.")]
To = Annotated[dt.datetime | None, typer.Option("--to", formats=["%Y-%m-%d"])]


def main() -> None:
    """Run the command line; errors become one sentence and an exit code."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    try:
        sys.exit(app(prog_name="daybreak", standalone_mode=False))
    except typer.TyperException as error:
        # Of a command that was given nothing, the help is there already.
        if said := " ".join(error.format_message().split()):
            asked = getattr(error, "ctx", None)
            command = asked.command_path if asked else "daybreak"
            display.fail(WrongUsage(said, f"See `{command} --help`."))
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except DaybreakError as error:
        if debug:
            raise
        display.fail(error)
        sys.exit(2 if isinstance(error, WrongUsage) else 1)
    except Exception as error:
        if debug:
            raise
        display.fail(
            DaybreakError(
                f"Something unforeseen: {type(error).__name__}: {str(error).partition(chr(10))[0]}",
                "Run the same with --debug for the traceback.",
            )
        )
        sys.exit(1)


@app.command()
def up(
    port: Annotated[
        list[str] | None,
        typer.Option(metavar="SERVICE=PORT", help="For airflow, mlflow, postgres or spark."),
    ] = None,
) -> None:
    """Start the embedded services, or what of them is down."""
    from daybreak_local.stack import up as start
    from jobs.settings import default_home

    start(default_home(), say=display.say, ports=dict(_port(text) for text in port or []))


@app.command()
def down() -> None:
    """Stop the embedded services; their state stays."""
    from daybreak_local.stack import down as stop
    from jobs.settings import default_home

    stop(default_home(), say=display.say)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show the services and, for each use case, its champion and last batch."""
    from jobs import status as overview

    display.show(overview.overview(_settings()), as_json, display.status)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check this machine for what Daybreak needs; exit code 1 if something is missing."""
    from daybreak_local.doctor import doctor as examine
    from jobs.settings import default_home

    checks = examine(default_home())
    display.show(checks, as_json, display.checks)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


@app.command()
def demo() -> None:
    """Bring nine months of real flights from landing files to predictions in Postgres."""
    from jobs.demo import demo as run_demo

    run_demo(say=display.say)


@app.command()
def migrate() -> None:
    """Create or update the warehouse's schemas, as its owner."""
    from jobs.prediction.migrations import upgrade

    upgrade(_settings())
    display.say("The warehouse is up to date.")


@app.command()
def sample(
    use_case: UseCaseName,
    first: From = None,
    last: To = None,
    file: Annotated[
        Path | None, typer.Option(help="A copy of the public file, so that nothing is fetched.")
    ] = None,
) -> None:
    """Write a reference use case's data as landing files: those of some dates, or one file."""
    from jobs.ingest.sample import write_sample

    dates = _dates(None, first, last) if first or last else None
    write_sample(_plan(use_case), dates, display.say, file)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new use case.")],
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="CSV, JSON lines or Parquet. The first lists the entities; others join to it.",
        ),
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to be predicted.")] = None,
    type_: Annotated[
        Literal["binary", "multiclass", "regression"] | None,
        typer.Option("--type", help="Of the label, if not as its values look."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN,…", help="The columns that name a row; none: number the rows."
        ),
    ] = None,
    date: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The day of a row; none: it has no day.")
    ] = None,
    question: Annotated[str | None, typer.Option(help="What the predictions answer.")] = None,
    owner: Annotated[str | None, typer.Option(help="The team that is told of failures.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Of the dates: Europe/Vienna.")] = None,
    copy: Annotated[
        bool | None, typer.Option(help="Put the files where the use case looks for them.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
) -> None:
    """Draft a use case from files: its columns, label, key and honest features, without Python."""
    from jobs.draft.new import Wishes
    from jobs.draft.new import new as write

    parts = tuple(key.split(",")) if key else ()
    wishes = Wishes(target, type_, parts, date, question, owner, timezone, copy)
    ask = None if yes or not sys.stdin.isatty() else _asked
    settings = _settings()
    display.drafted(write(settings, name, files or [], wishes, ask), settings.landing)


@app.command()
def check(
    use_case: UseCaseName,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Draft expectations from the days in silver.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read a use-case file and the files that have landed, and say what is wrong with them.

    Exit code 1 if a night or a training would stop at it, or a feature gives the answer away.
    """
    from jobs.draft.examine import examine
    from jobs.quality import gate
    from jobs.spec.document import parse

    plan = _plan(use_case)
    document = parse(plan.settings.usecases / plan.name / "usecase.yaml")
    gate.check(plan.usecase, document)
    if suggest:
        _suggest(use_case, as_json)
        return
    found = examine(plan, document)
    display.show(found, as_json, display.examined)
    if found.fails:
        raise typer.Exit(1)


@app.command()
def schema(
    page: Annotated[
        bool, typer.Option("--page", help="Print the page of the fields instead.")
    ] = False,
) -> None:
    """Print the JSON schema of use-case files, by which editors complete and check them."""
    from jobs.spec.page import page as reference
    from jobs.spec.schema import text

    typer.echo(reference() if page else text(), nl=False)


@app.command()
def run(
    step: Annotated[str, typer.Argument(metavar="STEP", help="ingest, conform, features, …")],
    use_case: UseCaseName,
    date: OneDate = None,
    first: From = None,
    last: To = None,
    layer: Annotated[str | None, typer.Option(help="For gate: silver, features, …")] = None,
    trials: Annotated[int | None, typer.Option(min=0, help="For train: tuning trials.")] = None,
    unusual: Annotated[
        str, typer.Option(help="For gate: accept a day that is unlike those before it.")
    ] = "stop",
    as_json: AsJson = False,
) -> None:
    """Run one step alone, for a prediction date or a range of them."""
    from jobs.steps import run as run_step

    if unusual not in ("stop", "accept"):
        raise WrongUsage(f"--unusual {unusual} means nothing.", "Write stop or accept.")
    options = {"layer": layer, "trials": trials, "unusual": unusual}
    with _context(use_case, _dates(date, first, last), options) as context:
        result = run_step(step, context)
    display.show(result, as_json, lambda found: display.say(found.sentence))


@app.command()
def trigger(
    use_case: UseCaseName,
    dag: Annotated[
        Literal["nightly", "train", "maintain"],
        typer.Argument(metavar="DAG", help="nightly, train or maintain."),
    ],
    date: OneDate = None,
    trials: Annotated[int | None, typer.Option(min=0, help="For train: tuning trials.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait and show the tasks.")] = True,
) -> None:
    """Start a DAG run in Airflow and watch it."""
    from jobs.airflow_api import connect

    plan = _plan(use_case)
    name = f"{plan.name}__{dag}"
    params = {"trials": trials} if trials is not None else {}
    with connect(plan.settings) as airflow:
        airflow.ready(name)
        airflow.unpause(name)
        run_id = airflow.trigger(name, params, date.date() if date else None)
        display.say(airflow.page(name, run_id))
        if not wait:
            return
        ended = airflow.wait(name, run_id, display.say)
        if ended.state == "running":
            display.say("A person is asked, and the run waits: answer on its page above.")
        elif ended.state != "success":
            reasons = " ".join(airflow.failures(name, run_id))
            raise Refused(f"{run_id} failed: {reasons}", "See its page above.")


@app.command()
def evaluate(
    use_case: UseCaseName,
    cutoff: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Train on what was known then, and judge."),
    ] = None,
    holdout_until: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Judge on the days from the cutoff to this one."),
    ] = None,
    trials: Annotated[int | None, typer.Option(min=0, help="Tuning trials.")] = None,
    folds: Annotated[bool, typer.Option("--folds", help="Cross-validate as declared.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the newest evaluation; with --cutoff or --folds, train and judge without promoting."""
    from jobs import evaluation

    plan = _plan(use_case)
    if folds:
        if cutoff or holdout_until or trials is not None:
            raise WrongUsage(
                "--folds goes with no other option of training.",
                "Leave out --cutoff, --holdout-until and --trials.",
            )
        made = evaluation.cross_validation(plan, display.note)
        display.show(made, as_json, display.cross_validation)
        return
    if cutoff is None:
        found = evaluation.newest(plan)
    else:
        until = holdout_until.date() if holdout_until else None
        found = evaluation.what_if(plan, cutoff.date(), until, trials, display.note)
    display.show(found, as_json, display.evaluation)


@app.command()
def publications(use_case: UseCaseName, as_json: AsJson = False) -> None:
    """List the batches of a use case, newest first, and which are live."""
    from jobs.prediction.batches import publications as batches

    plan = _plan(use_case)
    display.show(batches(plan.settings, plan.name), as_json, display.publications)


@app.command()
def rollback(
    use_case: UseCaseName,
    date: OneDate = None,
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")] = "",
    to_batch: Annotated[int | None, typer.Option(help="A kept batch; else the one before.")] = None,
) -> None:
    """Put an earlier batch of a prediction date live again."""
    from jobs.prediction.batches import rollback as go_back

    if not reason:
        raise WrongUsage("A rollback needs a reason.", "Add --reason 'why'.")
    if date is None:
        raise WrongUsage("Which prediction date?", "Give --date D.")
    plan = _plan(use_case)
    day = date.date()
    live = go_back(plan.settings, plan.name, day, to_batch=to_batch, reason=reason)
    display.say(f"Batch {live.batch_id} of {plan.name} for {day}, {live.rows} rows, is live again.")


@app.command()
def promote(
    use_case: UseCaseName,
    version: Annotated[int | None, typer.Option(help="A registered version.")] = None,
    reason: Why = "",
    by: By = "",
    acknowledge: Annotated[
        Literal["leak"] | None,
        typer.Option(help="A warning that you know of: leak, of a feature that tells the label."),
    ] = None,
) -> None:
    """Make a registered model version champion, as a person's decision."""
    from jobs.champion import Person
    from jobs.champion import promote as decide

    if version is None or not reason:
        raise WrongUsage(
            "A promotion by a person needs a version and a reason.",
            "Add --version N --reason 'why'.",
        )
    person = Person(reason, by, (acknowledge,) if acknowledge else ())
    display.say(decide(_plan(use_case), version, person))


@app.command()
def demote(use_case: UseCaseName, reason: Why = "", by: By = "") -> None:
    """Take the champion down; no night scores until there is another."""
    from jobs.champion import Person
    from jobs.champion import demote as take_down

    if not reason:
        raise WrongUsage("Taking a champion down needs a reason.", "Add --reason 'why'.")
    display.say(take_down(_plan(use_case), Person(reason, by)))


@app.command("rollback-model")
def rollback_model(use_case: UseCaseName, reason: Why = "", by: By = "") -> None:
    """Make the champion before this one champion again."""
    from jobs.champion import Person, roll_back

    if not reason:
        raise WrongUsage("A rollback needs a reason.", "Add --reason 'why'.")
    display.say(roll_back(_plan(use_case), Person(reason, by)))


@app.command()
def decisions(use_case: UseCaseName, as_json: AsJson = False) -> None:
    """List what was decided on a use case's champions, by whom and why, newest first."""
    from jobs.monitoring.decisions import decisions as decided

    plan = _plan(use_case)
    display.show(decided(plan.settings, plan.name), as_json, display.decisions)


@app.command("training-set")
def training_set(
    use_case: UseCaseName,
    version: Annotated[int, typer.Option(help="A registered version.")],
    as_json: AsJson = False,
) -> None:
    """Read what a registered version learned from again, and compare it with what it was."""
    from jobs.learning.rebuild import rebuilt

    with _context(use_case) as context:
        found = rebuilt(context.engine.session(), context.tables, version)
    display.show(found, as_json, lambda made: display.say(made.sentence))
    if not found.is_same:
        raise typer.Exit(1)


@app.command()
def lookup(
    use_case: UseCaseName,
    key: Annotated[list[str], typer.Argument(help="The key's values, in the declared order.")],
    date: OneDate = None,
    as_json: AsJson = False,
) -> None:
    """Look one key up: its score, version, batch and age.

    Without a date, the key's own counts, or else the newest one with predictions.
    """
    from jobs.prediction.lookup import Lookup

    with Lookup(_settings(), use_case) as client:
        answer = client.get(key, date.date() if date else None)
    display.show(answer, as_json, display.answer)


Day = Annotated[
    dt.datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="Only files of this day.")
]
OfRule = Annotated[str | None, typer.Option("--rule", help="Only this rule.")]
OfFile = Annotated[str | None, typer.Option("--file", help="Only this file.")]


@quarantine.command("list")
def quarantine_list(
    use_case: UseCaseName,
    day: Day = None,
    rule: OfRule = None,
    file: OfFile = None,
    as_json: AsJson = False,
) -> None:
    """Count quarantined rows by source, day, rule and file, with an example of each."""
    from jobs.conform.quarantine import summary

    with _context(use_case) as context:
        found = summary(context.engine.session(), context.tables, _which(day, rule, file))
    display.show(found, as_json, display.quarantine)


@quarantine.command("replay")
def quarantine_replay(
    use_case: UseCaseName,
    day: Day = None,
    rule: OfRule = None,
    file: OfFile = None,
    as_json: AsJson = False,
) -> None:
    """Judge quarantined rows again, after the rule or the file was mended."""
    from jobs.replay import replay

    with _context(use_case) as context:
        found = replay(context, _which(day, rule, file), display.note)
    display.show(found, as_json, lambda done: display.say(done.sentence))


@app.command()
def drill(
    use_case: UseCaseName,
    date: OneDate = None,
    nights: Annotated[
        int, typer.Option(min=1, help="Nights up to the date that are run without a fault.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Plant faults into a copy of a good night, and show which gate catches each."""
    from jobs.drill.drill import drill as run_drill
    from jobs.drill.drill import newest_night
    from jobs.plan import Dates

    with _context(use_case) as context:
        night = date.date() if date else newest_night(context)
        one = replace(context, dates=Dates.one(night))
        found = run_drill(one, nights, display.note)
    display.show(found, as_json, display.drilled)
    if not found.passed:
        raise typer.Exit(1)


@app.command()
def erase(
    use_case: UseCaseName,
    key: Annotated[list[str], typer.Option(metavar="COLUMN=VALUE", help="What names the entity.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the receipt.")] = "",
    as_json: AsJson = False,
) -> None:
    """Take one entity out of landing files, lake and warehouse, for good."""
    from jobs.erasure.erase import erase as take_out

    entity = dict(_pair(each) for each in key)
    if not reason:
        raise WrongUsage("An erasure needs a reason.", "Add --reason 'why'.")
    with _context(use_case) as context:
        receipt = take_out(context, entity, reason, display.note)
    display.show(receipt, as_json, lambda done: display.say(done.sentence))
    receipt.require_all_searched()


@app.command("warehouse-url")
def warehouse_url(
    role: Annotated[Role, typer.Option(help="As which role.")] = "reader",
) -> None:
    """Print a URL of the warehouse that psql takes. It holds the role's password."""
    from jobs.prediction.warehouse import url

    typer.echo(url(_settings(), role))


def _suggest(use_case: str, as_json: bool) -> None:
    from jobs.quality.suggest import as_yaml
    from jobs.quality.suggest import suggest as draft

    with _context(use_case) as context:
        drafted = draft(context.engine.session(), context.tables)
    display.show(drafted, as_json, lambda found: display.say(as_yaml(found).rstrip()))


def _asked(question: str, default: str) -> str:
    """What a person answers, or the default that is shown in brackets."""
    return str(typer.prompt(question, default=default or None))


def _pair(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not (column and equals and value):
        raise WrongUsage(f"{text!r} names nothing.", "Write --key COLUMN=VALUE: --key tailnum=N1.")
    return column, value


def _port(text: str) -> tuple[str, int]:
    service, _, number = text.partition("=")
    if service not in ("airflow", "mlflow", "postgres", "spark") or not number.isdigit():
        raise WrongUsage(f"{text!r} is no port.", "Write --port SERVICE=PORT: --port airflow=8081.")
    return service, int(number)


def _settings() -> Settings:
    from jobs.settings import Settings

    return Settings()


def _plan(use_case: str) -> Plan:
    from jobs.plan import Plan

    return Plan.of(use_case, _settings())


@contextmanager
def _context(
    use_case: str, dates: Dates | None = None, options: Mapping[str, Any] | None = None
) -> Iterator[Context]:
    """What a step is given; the engine that it started is stopped after. No dates: any will do."""
    from jobs.context import Context
    from jobs.engine import Engine
    from jobs.plan import Dates

    plan = _plan(use_case)
    engine = Engine(plan.settings)
    try:
        yield Context(plan, dates or Dates.one(dt.date.today()), engine, options or {})
    finally:
        engine.stop()


def _dates(date: dt.datetime | None, first: dt.datetime | None, last: dt.datetime | None) -> Dates:
    from jobs.plan import Dates

    if date is not None and first is None and last is None:
        return Dates.one(date.date())
    if date is None and first is not None and last is not None:
        return Dates(first.date(), last.date())
    raise WrongUsage("Which dates?", "Give --date D, or --from D and --to D.")


def _which(day: dt.datetime | None, rule: str | None, file: str | None) -> Which:
    from jobs.conform.quarantine import Which
    from jobs.plan import Dates

    return Which(Dates.one(day.date()) if day else None, rule, file)
