"""What may not be said of entities that have no date."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from jobs.usecase import UseCase
from tests.unit.spec.lending import refusal

READERS = """\
name: lending
about: {question: "Who will give up?", owner: library}
entity: {key: [reader], source: readers}
timezone: Europe/Vienna
schedule: {cron: "0 3 * * *", start: 2020-01-01}
cutoff: "03:00"
sources:
  readers:
    landing: "readers/*.csv"
    arrives: {as: snapshot}
    key: [reader]
    columns: {reader: {type: integer}, day: {type: date}, loans: {type: number}}
  ended:
    landing: "ended/*.csv"
    arrives: {as: snapshot}
    key: [reader]
    columns: {reader: {type: integer}, day: {type: date}, gave_up: {type: boolean}}
label: {source: ended, expression: gave_up}
features: {history: 0 days, numeric: [loans]}
model: {rule: {by: [loans]}}
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'ended/*.csv"\n    arrives: {as: snapshot}',
            'ended/{date}/*.csv"\n    date: day',
            "18: label.source: 'ended' has files of days, and an entity without `date` is in a "
            "snapshot",
        ),
        (
            "key: [reader]\n    columns: {reader: {type: integer}, day: {type: date}, loans",
            "key: [reader, day]\n    columns: {reader: {type: integer}, day: {type: date}, loans",
            "3: entity.source: 'readers' may have rows of one entity that differ in 'day', and an "
            "entity without `date` has one row",
        ),
        (
            "gave_up}\nf",
            "gave_up, maturity: 3 days}\nf",
            "18: label.maturity: labels of entities without `date` are final when they are known: "
            "take it out",
        ),
        ("model:", "split: {by: time}\nmodel:", "20: split.by: entities without `date` have no "),
        (
            "model:",
            "split: {by: random}\nfolds: {by: time}\nmodel:",
            "21: folds.by: entities without `date` have no days to be divided by",
        ),
    ],
)
def test_an_entity_without_a_date_has_one_row_and_no_days(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in READERS
    assert refusal(tmp_path, READERS.replace(old, new, 1)).startswith(f"usecase.yaml:{said}")


@pytest.mark.parametrize("date", ["", ", date: day"])
def test_people_may_give_labels_of_entities_whose_date_is_not_in_the_key(date: str) -> None:
    maturity = ", maturity: 3 days" if date else ""
    written = READERS.replace("entity: {key: [reader]", f"entity: {{key: [reader]{date}").replace(
        "gave_up}\nf", f"gave_up, feedback: true{maturity}}}\nsplit: {{by: random}}\nf"
    )
    found = UseCase.model_validate(yaml.safe_load(written))
    assert found.label.feedback
    assert found.entity.labelled == (("reader", "prediction_date") if date else ("reader",))
