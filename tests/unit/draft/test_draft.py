"""Drafts of use cases from real files, and from some that are small."""

from __future__ import annotations

import datetime as dt
import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from jobs import display
from jobs.draft import new as drafting
from jobs.draft.keys import candidates
from jobs.draft.new import Ask, Wishes, Written, new
from jobs.draft.sniff import sheet
from jobs.errors import DaybreakError, Refused, WrongUsage
from jobs.plan import Plan
from jobs.settings import Settings
from jobs.spec.read import checked
from tests.shared_data import BIKES, TAGS, shared
from tests.unit.draft.files import planes, written

FLIGHTS = "flight,day,tailnum,late\n" + "".join(
    f"{n},2020-01-{1 + n % 20:02},N{n % 7},{n % 3 == 0}\n" for n in range(140)
)
# All that is asked but for the copy.
SAID = {
    "target": "late",
    "key": ("flight",),
    "date": "none",
    "question": "Which?",
    "owner": "crew",
    "timezone": "UTC",
}
AIRCRAFT = "tailnum,seats,day\n" + "".join(f"N{n},{100 + n},built {n}\n" for n in range(7))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    # What a draft says is looked at here; that the spec takes it, in one test below.
    monkeypatch.setattr(drafting, "_require_sound", lambda *_: None)
    return Settings(home=tmp_path / "home", usecases=tmp_path / "usecases")


def drafted(
    settings: Settings, *files: Path, ask: Ask | None = None, **wishes: Any
) -> tuple[dict[str, Any], Written]:
    made = new(settings, "mine", files, Wishes(**{"copy": False, **wishes}), ask)
    return yaml.safe_load(made.path.read_text()), made


def features(spec: dict[str, Any]) -> set[str]:
    kinds = ("numeric", "categorical", "timestamp", "text")
    return {name for kind in kinds for name in spec["features"].get(kind, [])}


def comments(made: Written) -> str:
    """What a draft says beside its fields, however the lines are folded."""
    lines = made.path.read_text().splitlines()
    return " ".join(line.strip(" #") for line in lines if line.strip().startswith("#"))


def test_bikes_by_the_hour_leave_out_what_adds_up_to_the_target(settings: Settings) -> None:
    spec, made = drafted(settings, shared(BIKES), target="cnt", date="none")
    assert spec["label"] == {"source": "hour", "expression": "cnt", "type": "regression"}
    assert spec["entity"] == {"key": ["instant"], "source": "hour"}
    assert not features(spec) & {"cnt", "casual", "registered", "instant"}
    assert {"hr", "temp", "workingday"} <= features(spec)
    assert spec["model"]["rule"]["by"] == ["hr"]
    assert "casual + registered is cnt in every row" in made.path.read_text()
    columns = spec["sources"]["hour"]["columns"]
    assert columns["dteday"] == {"type": "date", "format": "M/d/yyyy", "required": True}
    assert columns["windspeed"] == {"type": "number", "required": True, "min": 0, "max": 1.3}
    assert columns["cnt"] == {"type": "integer", "min": 0, "max": 1500}


def test_tags_of_projects_are_learned_from_their_text(settings: Settings) -> None:
    spec, _ = drafted(settings, shared(TAGS), target="tag")
    assert spec["label"]["type"] == "multiclass"
    assert spec["label"]["classes"] == [
        *("computer-vision", "mlops", "natural-language-processing", "other")
    ]
    assert spec["features"]["text"] == ["title", "description"]
    assert spec["features"]["transforms"] == [
        {"do": "calendar", "of": ["created_on"], "parts": ["hour", "day_of_week", "month"]},
        {"do": "tfidf", "of": ["title", "description"], "ngrams": [1, 2]},
    ]
    # There is nothing but text and moments, and the rule of thumb needs groups.
    assert spec["model"]["rule"]["by"] == ["title_words"]
    assert spec["split"] == {"by": "random", "validation": 0.2, "holdout": 0.2, "stratify": True}


def test_rare_classes_have_no_label_and_many_values_are_hashed(settings: Settings) -> None:
    spec, _ = drafted(settings, planes(), target="engine")
    assert spec["label"]["classes"] == ["Reciprocating", "Turbo-fan", "Turbo-jet"]
    assert spec["label"]["expression"] == (
        "case when engine not in ('4 Cycle', 'Turbo-prop', 'Turbo-shaft') then engine end"
    )
    assert spec["features"]["transforms"] == [
        {"do": "hash", "of": ["manufacturer", "model"], "buckets": 1024}
    ]
    assert spec["sources"]["planes"]["key"] == ["tailnum"]
    (share,) = (each for each in spec["gates"]["silver"]["planes"] if "column" in each["arguments"])
    assert share["arguments"] == {"column": "year", "min_value": 0.87}


@pytest.mark.parametrize(
    ("load", "kind", "expression"),
    [
        (load_iris, "multiclass", "target"),
        (load_breast_cancer, "binary", "target = 1"),
        (load_diabetes, "regression", "target"),
    ],
)
def test_known_sets_have_the_type_of_their_target(
    settings: Settings, tmp_path: Path, load: Any, kind: str, expression: str
) -> None:
    frame = load(as_frame=True).frame.rename_axis("sample_id").reset_index()
    path = tmp_path / "known.csv"
    frame.to_csv(path, index=False)
    spec, _ = drafted(settings, path, target="target")
    assert (spec["label"]["type"], spec["label"]["expression"]) == (kind, expression)
    assert len(features(spec) - set(spec["features"].get("expressions", ()))) == frame.shape[1] - 2
    for column in spec["sources"]["known"]["columns"].values():
        assert "header" not in column or column["header"] in frame.columns


def test_rows_of_days_are_known_from_their_day_and_divided_by_time(
    settings: Settings, tmp_path: Path
) -> None:
    flights, aircraft = (
        written(tmp_path, text, name)
        for text, name in ((FLIGHTS, "flights.csv"), (AIRCRAFT, "aircraft.csv"))
    )
    spec, made = drafted(settings, flights, aircraft, target="late", date="day")
    assert spec["entity"] == {"key": ["flight"], "date": "day", "source": "flights"}
    days = (dt.date(2020, 1, 1), dt.date(2020, 1, 20))
    assert (spec["schedule"]["start"], spec["schedule"]["end"]) == days
    source = spec["sources"]["flights"]
    assert (source["date"], source["known"]) == ("day", "day")
    assert spec["sources"]["aircraft"]["known"] == "date '2020-01-01'"
    assert spec["split"] == {"by": "time", "validation": "3 days", "holdout": "3 days"}
    assert spec["label"]["maturity"] == "1 day"
    assert spec["features"]["joins"] == [
        {
            "source": "aircraft",
            "by": ["tailnum"],
            "columns": {"seats": "seats", "aircraft_day": "day"},
        }
    ]
    assert spec["features"]["transforms"][0]["do"] == "calendar"
    assert made.draft.start == dt.date(2020, 1, 1)


def test_days_are_taken_as_files_write_them(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", usecases=tmp_path / "usecases")
    bikes = shared(BIKES)
    spec, made = drafted(settings, bikes, target="cnt", date="dteday")
    assert spec["entity"] == {"key": ["instant"], "date": "dteday", "source": "hour"}
    assert spec["schedule"]["start"] == dt.date(2011, 1, 1)
    assert spec["sources"]["hour"]["known"] == "dteday"
    assert "The file's days go from 2011-01-01 to 2012-12-31" in made.path.read_text()
    assert checked(made.path.parent).entity.date == "dteday"


def test_of_a_moment_in_no_zone_the_day_is_taken(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", usecases=tmp_path / "usecases")
    projects = shared(TAGS)
    spec, made = drafted(settings, projects, target="tag", date="created_on")
    assert spec["sources"]["dataset"]["columns"]["created_on"] == {
        **{"type": "date", "format": "yyyy-MM-dd HH:mm:ss", "required": True}
    }
    assert spec["entity"]["date"] == "created_on"
    assert spec["schedule"]["start"] == dt.date(2020, 2, 20)
    assert checked(made.path.parent).entity.date == "created_on"


def test_moments_in_no_zone_are_in_that_of_the_use_case(settings: Settings) -> None:
    wishes = {"target": "tag", "date": "none", "timezone": "Europe/Vienna"}
    spec, made = drafted(settings, shared(TAGS), **wishes)
    assert spec["sources"]["dataset"]["columns"]["created_on"] == {
        "type": "timestamp",
        "format": "yyyy-MM-dd HH:mm:ss",
        "zone": "Europe/Vienna",
        "required": True,
    }
    assert "The time zone of created_on is not in the file" in comments(made)


AMBIGUOUS = "id,day,shop,sold\n" + "".join(
    f"{n},{1 + n % 9}/{1 + n % 7}/2011,{n % 4},{n * 37 % 11}\n" for n in range(120)
)


def test_days_that_cannot_be_told_from_months_are_asked_for(
    settings: Settings, tmp_path: Path
) -> None:
    path = written(tmp_path, AMBIGUOUS, "sales.csv")
    spec, made = drafted(settings, path, target="sold", date="day")
    assert spec["sources"]["sales"]["columns"]["day"]["format"] == "M/d/yyyy"
    assert spec["schedule"]["start"] == dt.date(2011, 1, 1)
    assert "it may be 'd/M/yyyy' as well" in comments(made)


def test_the_answer_says_what_is_day_and_what_is_month(settings: Settings, tmp_path: Path) -> None:
    path = written(tmp_path, AMBIGUOUS, "sales.csv")

    def ask(question: str, default: str) -> str:
        # 1/1/2011 would say nothing.
        assert "Is 1/1/2011" not in question
        return "d/M/yyyy" if question.endswith("M/d/yyyy or d/M/yyyy?") else default

    spec, made = drafted(settings, path, target="sold", date="day", ask=ask)
    assert spec["sources"]["sales"]["columns"]["day"]["format"] == "d/M/yyyy"
    assert "to 2011-07-09" in comments(made)
    assert "as well" not in comments(made)


def test_without_a_word_a_date_in_a_file_is_no_day_of_its_rows(
    settings: Settings, tmp_path: Path
) -> None:
    spec, _ = drafted(settings, written(tmp_path, FLIGHTS, "flights.csv"), target="late")
    assert "date" not in spec["entity"]
    assert "known" not in spec["sources"]["flights"]
    assert "day" in spec["features"]["timestamp"]
    assert "end" not in spec["schedule"]


def test_what_came_after_tonight_s_cutoff_is_first_of_the_next_date(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, FLIGHTS, "flights.csv")
    os.utime(path, (1_577_880_000, 1_577_880_000))
    _, made = drafted(settings, path, target="late")
    assert made.draft.start == dt.date(2020, 1, 2)
    display.drafted(made, settings.landing)
    assert "Its first date is 2020-01-02." in capsys.readouterr().out


def test_what_is_filled_only_once_the_label_is_known_is_left_out_whatever_it_is(
    settings: Settings, tmp_path: Path
) -> None:
    text = "customer_id,region,cancelled_on,closed_at,reason,churned\n" + "".join(
        f"{n},r{n % 5},2020-02-{1 + n % 28:02},2020-03-01T10:{n % 60:02}:00Z,"
        f"said on call {n} that it is too dear,yes\n"
        if n % 3 == 0
        else f"{n},r{n % 5},,,,no\n"
        for n in range(600)
    )
    spec, made = drafted(settings, written(tmp_path, text, "customers.csv"), target="churned")
    assert features(spec) == {"region"}
    for name in ("cancelled_on", "closed_at", "reason"):
        said = made.draft.features.left_out[name]
        assert said.startswith(f"{name} is filled only where churned is")


def test_a_number_of_many_values_makes_a_rule_of_thumb_by_its_steps(
    settings: Settings, tmp_path: Path
) -> None:
    text = "row_id,noise,size,size_step,price\n" + "".join(
        f"{n},{n * 7919 % 1009 / 3},{n / 4},{n * n % 977},{n // 60 + n % 2}\n" for n in range(600)
    )
    spec, _ = drafted(settings, written(tmp_path, text, "homes.csv"), target="price")
    assert spec["model"]["rule"]["by"] == ["size_step_2"]
    assert spec["features"]["expressions"] == {"size_step_2": "floor(size / 15)"}
    assert "size_step_2" in spec["features"]["numeric"]


def test_a_file_that_cannot_be_joined_is_said(settings: Settings, tmp_path: Path) -> None:
    flights = written(tmp_path, FLIGHTS, "flights.csv")
    other = written(tmp_path, "tailnum,seats\nN1,1\nN1,2\n", "other.csv")
    strange = written(tmp_path, "x,y\n1,2\n", "strange.csv")
    spec, made = drafted(settings, flights, other, strange, target="late", date="none")
    assert "joins" not in spec["features"]
    assert made.draft.not_joined == {
        "other": "none of tailnum names one row of it",
        "strange": "it has no column in common with flights.csv",
    }


def test_a_key_may_be_of_several_columns_with_a_date_among_them(tmp_path: Path) -> None:
    text = "day,shop,amount,sold\n" + "".join(
        f"2020-01-{day:02},{shop},{day % 4}.5,{day * shop % 5}\n"
        for day in range(1, 25)
        for shop in range(6)
    )
    found = sheet(written(tmp_path, text), "sales")
    assert candidates(found.frame, found.columns) == [("day", "shop")]


def test_amounts_that_happen_to_differ_name_no_row(settings: Settings, tmp_path: Path) -> None:
    amounts = [n * n + 7 for n in range(60)]
    text = "cents,shop,sold\n" + "".join(f"{cents},s{cents % 5},{cents % 2}\n" for cents in amounts)
    path = written(tmp_path, text)
    with pytest.raises(Refused, match="only in a copy its rows are numbered"):
        drafted(settings, path, target="sold")
    spec, _ = drafted(settings, path, target="sold", key=("cents",))
    assert spec["entity"]["key"] == ["cents"]


def test_a_word_that_means_nothing_elsewhere_is_no_value_of_a_category(
    settings: Settings, tmp_path: Path
) -> None:
    text = "house_id,area,garage,sold\n" + "".join(
        f"{n},{'none' if n % 9 == 0 else n % 7},{('none', 'double', 'single')[n % 3]},{n % 2}\n"
        for n in range(90)
    )
    spec, made = drafted(settings, written(tmp_path, text, "houses.csv"), target="sold")
    assert spec["sources"]["houses"]["format"]["null"] == ["", "NA", "none"]
    columns = spec["sources"]["houses"]["columns"]
    assert columns["garage"] == {"type": "string", "values": ["double", "single"]}
    said = " ".join(made.path.read_text().replace("#", " ").split())
    assert "none means in every column that there is no value." in said


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        (range(-1000, -998), {"min": -1100, "max": -990}),
        (range(-80, -19), {"min": -110, "max": 10}),
        (range(-5, 6), {"min": -10, "max": 10}),
        ([1e-12, 3e-12], {"min": 0, "max": 4e-12}),
        ([0.1, 0.3], {"min": 0, "max": 0.4}),
    ],
)
def test_ends_of_numbers_have_room_on_both_sides(
    settings: Settings, tmp_path: Path, values: Sequence[float], ends: dict[str, float]
) -> None:
    text = "row_id,depth,sold\n" + "".join(
        f"{n},{values[n % len(values)]},{n % 2}\n" for n in range(4 * len(values))
    )
    spec, _ = drafted(settings, written(tmp_path, text, "ends.csv"), target="sold")
    depth = spec["sources"]["ends"]["columns"]["depth"]
    assert {name: depth[name] for name in ends} == ends


LINES = [(n % 3, n % 7 - 3, ("a", 'b "b"', "c\nd")[n % 3]) for n in range(40)]
FRAME = pd.DataFrame(LINES, columns=["a", "b", "c"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("f.csv", b"\xef\xbb\xbf" + FRAME.to_csv(index=False, lineterminator="\r\n").encode()),
        ("f.csv.gz", gzip.compress(FRAME.to_csv(index=False, sep=";").encode())),
        ("f.jsonl", FRAME.to_json(orient="records", lines=True).encode()),
        ("f.parquet", FRAME.to_parquet()),
    ],
)
def test_rows_that_nothing_names_are_numbered_in_the_copy(
    settings: Settings, tmp_path: Path, name: str, content: bytes
) -> None:
    path = written(tmp_path, content, name)
    os.utime(path, (1_704_200_000, 1_704_200_000))
    spec, made = drafted(settings, path, target="b", type="regression", copy=True)
    assert (spec["entity"]["key"], spec["sources"]["f"]["key"]) == (["row_id"], ["row_id"])
    assert path.read_bytes() == content
    (delivered,) = (Path(settings.landing) / each for each in made.delivered)
    assert delivered.stat().st_mtime == 1_704_200_000
    found, before = sheet(delivered, "f").frame, sheet(path, "f").frame
    assert found["row_id"].tolist() == [str(n) for n in range(1, 41)]
    assert found.drop(columns="row_id").equals(before)
    assert "row_id is the row's number in f." in made.path.read_text()


def test_without_a_key_and_a_copy_it_is_refused(settings: Settings, tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n" + "1,2\n2,3\n2,2\n" * 20)
    with pytest.raises(Refused, match="only in a copy its rows are numbered"):
        drafted(settings, path, target="b")
    with pytest.raises(Refused, match="have the same a as one before them, such as 2"):
        drafted(settings, path, target="b", key=("a",))
    spec, _ = drafted(settings, path, target="b", key=("none",), copy=True)
    assert features(spec) == {"a"}


def test_a_number_that_does_not_name_rows_is_no_reason_for_another(
    settings: Settings, tmp_path: Path
) -> None:
    path = written(tmp_path, "row_id,b\n" + "1,2\n2,3\n" * 20)
    with pytest.raises(Refused, match=r"row_id of file\.csv does not name its rows"):
        drafted(settings, path, target="b", copy=True)


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({}, "Which column is to be predicted"),
        ({"target": "lat"}, r"no column 'lat' \(did you mean 'late'\?\)"),
        ({"target": "late", "key": ("late",)}, "'late' is to be predicted"),
        ({"target": "late", "date": "tailnum"}, "is a string, such as 'N0'"),
        ({"target": "late", "timezone": "Wien"}, "is not an IANA time zone"),
        ({"target": "day", "type": "regression"}, "is a date, and regression predicts numbers"),
        ({"target": "tailnum", "type": "binary"}, "has 7 different values, and yes or no are two"),
        ({"target": "flight", "type": "multiclass"}, "too many for classes"),
    ],
)
def test_wishes_that_do_not_fit_are_a_sentence(
    settings: Settings, tmp_path: Path, wishes: dict[str, Any], said: str
) -> None:
    with pytest.raises(DaybreakError, match=said):
        drafted(settings, written(tmp_path, FLIGHTS, "flights.csv"), **wishes)
    assert not settings.usecases.exists()


def test_questions_are_asked_with_a_default(settings: Settings, tmp_path: Path) -> None:
    asked: dict[str, str] = {}

    def ask(question: str, default: str) -> str:
        asked[question] = default
        return {"Which team is told of failures?": "crew"}.get(question, default)

    spec, _ = drafted(settings, written(tmp_path, FLIGHTS, "flights.csv"), ask=ask, copy=None)
    assert spec["about"] == {"question": "What will late be?", "owner": "crew"}
    assert asked["Which column is to be predicted?"] == "late"
    assert asked["Which columns name a row? none: number them"] == "flight"
    assert asked["Which column is the day that a row is of?"] == "day"
    assert asked["In which time zone are its dates?"] == "UTC"
    assert len(asked) == 7


@pytest.mark.parametrize(
    ("said", "copies"),
    [("y", True), ("Yes", True), ("YES ", True), ("n", False), ("No", False)],
)
def test_yes_is_said_in_several_ways(
    settings: Settings, tmp_path: Path, said: str, copies: bool
) -> None:
    def ask(question: str, default: str) -> str:
        return said if question.startswith("Copy into") else default

    path = written(tmp_path, FLIGHTS, "flights.csv")
    _, made = drafted(settings, path, ask=ask, copy=None)
    assert bool(made.delivered) is copies


def test_what_is_neither_yes_nor_no_is_asked_about(settings: Settings, tmp_path: Path) -> None:
    path = written(tmp_path, FLIGHTS, "flights.csv")
    with pytest.raises(WrongUsage, match="'perhaps' is neither yes nor no"):
        drafted(settings, path, ask=lambda *_: "perhaps", copy=None, **SAID)
    assert not settings.usecases.exists()


def test_a_copy_has_the_time_of_the_file_as_its_arrival(settings: Settings, tmp_path: Path) -> None:
    path = written(tmp_path, FLIGHTS, "flights.csv")
    _, made = drafted(settings, path, target="late", date="none", copy=True)
    assert made.delivered == ("mine/flights/flights.csv",)
    there = Path(settings.landing) / made.delivered[0]
    assert there.read_bytes() == path.read_bytes()
    assert there.stat().st_mtime_ns // 1000 == path.stat().st_mtime_ns // 1000
    # Of no day: the first night is one whose cutoff is after the arrival.
    modified = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
    assert made.draft.start == modified.date() + dt.timedelta(days=modified.hour >= 2)


def test_nothing_is_overwritten(settings: Settings, tmp_path: Path) -> None:
    path = written(tmp_path, FLIGHTS, "flights.csv")
    _, made = drafted(settings, path, target="late")
    before = made.path.read_text()
    with pytest.raises(Refused, match="There is a use case 'mine' already"):
        drafted(settings, path, target="late")
    assert made.path.read_text() == before
    with pytest.raises(WrongUsage, match="cannot be the name of a use case"):
        new(settings, "My-own", (path,), Wishes(), None)


@pytest.mark.parametrize("date", ["day", "none"])
def test_the_spec_takes_a_draft(tmp_path: Path, date: str) -> None:
    settings = Settings(home=tmp_path / "home", usecases=tmp_path / "usecases")
    flights = written(tmp_path, FLIGHTS, "flights.csv")
    aircraft = written(tmp_path, AIRCRAFT, "aircraft.csv")
    _, made = drafted(settings, flights, aircraft, target="late", date=date)
    assert checked(made.path.parent).entity.date == (None if date == "none" else date)


def test_a_dated_draft_has_rows_to_train_on_without_a_date(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", usecases=tmp_path / "usecases")
    path = written(tmp_path, FLIGHTS, "flights.csv")
    drafted(settings, path, target="late", date="day")
    plan = Plan.of("mine", settings)
    # What a run without a date is of, as the use case has ended.
    newest = plan.usecase.schedule.end
    assert newest
    split = plan.split(newest)
    days = {dt.date.fromisoformat(day) for day in pd.read_csv(path)["day"]}
    for part in (split.train, split.validation, split.holdout):
        assert days.issuperset(part)
