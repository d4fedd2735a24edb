from __future__ import annotations

import pytest

from jobs.errors import Refused
from jobs.plan import Plan
from jobs.prediction.published_table import Column, PublishedTable, partition_name
from jobs.settings import Settings

NAME = Column("name", "string")


def test_a_use_case_publishes_its_key_and_the_columns_it_names(settings: Settings) -> None:
    plan = Plan.of("flight_delay", settings)
    table = PublishedTable.of(plan)
    assert [column.name for column in table.key] == list(plan.usecase.entity.key)
    assert table.key[0] == Column("flight_date", "date")
    assert table.date_column == "flight_date"
    stored = [column.name for column in table.stored]
    assert stored == [
        *plan.usecase.entity.key,
        "score",
        "prediction",
        *plan.usecase.predict.columns,
    ]


def test_a_predicted_number_is_published_as_one(settings: Settings) -> None:
    plan = Plan.of("flight_delay", settings)
    label = plan.usecase.label.model_copy(update={"type": "regression"})
    numbers = Plan(plan.usecase.model_copy(update={"label": label}), settings)
    assert PublishedTable.of(plan).scores[1] == Column("prediction", "boolean")
    assert PublishedTable.of(numbers).scores == (
        Column("score", "number"),
        Column("prediction", "number"),
    )


@pytest.mark.parametrize(
    ("use_case", "key", "columns", "what"),
    [
        ("flights", (NAME, Column("score", "number")), (), "'score' is a column of every batch"),
        ("flights", (NAME,), (Column("batch_id", "integer"),), "'batch_id'"),
        ("flights", (NAME,), (NAME,), "'name' is there twice"),
        ("flights", (), (), "no key column"),
        ("flights_latest", (NAME,), (), "ends with _latest"),
        ("_live", (NAME,), (), "begins with _"),
        ("ü" * 30, (NAME,), (), "longer than 63 bytes"),
    ],
)
def test_what_cannot_be_published_is_refused_with_its_name(
    use_case: str, key: tuple[Column, ...], columns: tuple[Column, ...], what: str
) -> None:
    with pytest.raises(Refused, match=what):
        PublishedTable(use_case, key, None, columns)


def test_a_partition_is_never_named_like_a_use_case() -> None:
    assert partition_name("x", 5) == "_5_x"
    with pytest.raises(Refused):
        PublishedTable("_5_x", (NAME,))
