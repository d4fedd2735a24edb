"""What is wrong in a list of transforms is said in one sentence, when the file is read."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from jobs.transforms.recipe import Transform
from jobs.usecase import Features

SPEC: dict[str, Any] = {
    "history": 0,
    "numeric": ["temp", "wind"],
    "categorical": ["carrier"],
    "timestamp": ["booked_at"],
    "text": ["body"],
}
USED = [
    {"do": "calendar", "of": "booked_at", "parts": ["hour"]},
    {"do": "length", "of": "body"},
]


def features(*transforms: dict[str, Any], **changes: Any) -> Features:
    return Features.model_validate({**SPEC, "transforms": [*USED, *transforms], **changes})


def test_kinds_and_what_is_left_for_the_matrix() -> None:
    spec = features({"do": "one_hot", "of": "carrier", "most": 3})
    assert spec.names == ("temp", "wind", "carrier", "booked_at", "body")
    assert spec.steps == spec.transforms
    assert [step.do for step in features().steps] == ["calendar", "length", "one_hot"]


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (
            {"do": "clip", "of": "wnd", "low": 0},
            "there is no column 'wnd' at this point (did you mean 'wind'?)",
        ),
        (
            {"do": "scale", "of": "carrier", "by": "robust"},
            "'carrier' is a category, and scale takes a number",
        ),
        (
            {"do": "tfidf", "of": "carrier"},
            "'carrier' is a category, and tfidf takes a text",
        ),
        (
            {"do": "between", "of": ["booked_at", "temp"], "unit": "days", "as": "x"},
            "'temp' is a number, and between takes a timestamp",
        ),
        (
            {"do": "impute", "of": "body", "by": "most_frequent"},
            "'body' is a text, and impute takes a number or category",
        ),
        (
            {"do": "impute", "of": "carrier", "by": "mean"},
            "'carrier' is a category, and impute takes a number",
        ),
        (
            {"do": "impute", "of": "temp", "by": "constant", "value": "none"},
            "'temp' is a number, and impute takes a category",
        ),
        ({"do": "impute", "of": "temp", "by": "constant"}, "`value` is needed with `by: constant`"),
        ({"do": "impute", "of": "temp", "by": "mean", "value": 3}, "and only there"),
        (
            {"do": "difference", "of": ["temp", "wind"], "as": "wind"},
            "it makes 'wind', and there is a column of that name",
        ),
        (
            {"do": "log", "of": ["temp"], "as": ["wind"]},
            "it makes 'wind', and there is a column of that name already",
        ),
        (
            {"do": "calendar", "of": "booked_at", "parts": ["hour"]},
            "it makes 'booked_at_hour', and there is a column of that name already",
        ),
        (
            {"do": "impute", "of": "temp", "as": "temp_missing", "by": "mean", "indicator": True},
            "it makes 'temp_missing' twice: as a value, and as an indicator",
        ),
        ({"do": "log", "of": ["temp", "wind"], "as": ["x"]}, "for each of the 2 columns"),
        ({"do": "log", "of": ["temp", "wind"], "as": ["x", "x"]}, "for each of the 2 columns"),
        ({"do": "log", "of": "temp", "as": "carrier=UA"}, "should match pattern"),
        ({"do": "log", "of": ["temp", "temp"]}, "`of` names a column twice: temp, temp"),
        ({"do": "log", "of": []}, "at least 1 item"),
        ({"do": "log", "of": "temp", "minus": 1}, "minus\n  Extra inputs are not permitted"),
        ({"do": "logarithm", "of": "temp"}, "'logarithm' found using 'do' does not match any"),
        ({"do": "clip", "of": "temp"}, "`low`, `high` or both are needed"),
        ({"do": "clip", "of": "temp", "low": 2, "high": 1}, "`low` must be below `high`"),
        ({"do": "clip", "of": "temp", "low": float("nan")}, "finite number"),
        ({"do": "winsorise", "of": "temp", "low": 0.9, "high": 0.1}, "`low` must be below `high`"),
        ({"do": "winsorise", "of": "temp", "high": 99}, "less than or equal to 1"),
        ({"do": "scale", "of": "temp", "by": "size"}, "'standard', 'min_max' or 'robust'"),
        ({"do": "bin", "of": "temp"}, "either `edges` or `quantiles` is needed"),
        ({"do": "bin", "of": "temp", "edges": [1], "quantiles": 3}, "either `edges` or"),
        ({"do": "bin", "of": "temp", "edges": [2, 1]}, "`edges` must ascend"),
        ({"do": "cyclic", "of": "temp", "period": 0}, "greater than 0"),
        ({"do": "ratio", "of": ["temp"], "as": "x"}, "at least 2 items"),
        ({"do": "ratio", "of": ["temp", "wind"]}, "ratio.as\n  Field required"),
        ({"do": "ordinal", "of": "carrier", "order": ["S", "S"]}, "`order` names a value twice"),
        ({"do": "target", "of": "carrier", "smoothing": 0}, "greater than 0"),
        ({"do": "target", "of": "carrier", "folds": 1}, "greater than or equal to 2"),
        ({"do": "hash", "of": "carrier"}, "hash.buckets\n  Field required"),
        ({"do": "cross", "of": ["carrier"], "as": "x"}, "at least 2 items"),
        ({"do": "calendar", "of": "booked_at", "parts": ["era"]}, "'minute', 'hour'"),
        ({"do": "holidays", "of": "booked_at", "country": "XX"}, "`country` 'XX' is none whose"),
        (
            {"do": "holidays", "of": "booked_at", "country": "US", "subdivision": "BY"},
            "`subdivision` 'BY' is not one of US: AK, AL",
        ),
        ({"do": "tfidf", "of": "body", "ngrams": [2, 1]}, "`ngrams` must be two numbers from 1"),
        (
            {"do": "count", "of": "body", "pattern": "(", "as": "x"},
            "'(' is no regular expression: missing ), unterminated subpattern",
        ),
        ({"do": "count", "of": ["body", "temp"], "pattern": "!", "as": "x"}, "at most 1 item"),
    ],
)
def test_a_wrong_transform_is_refused(transform: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        features(transform)
    assert said in str(refused.value)


def test_a_column_that_was_dropped_or_spread_out_is_no_more_there() -> None:
    for step, said in (
        ("drop", "there is no column 'carrier' at this point"),
        ("one_hot", "'carrier' is a block, and frequency takes a category"),
    ):
        with pytest.raises(ValidationError) as refused:
            features({"do": step, "of": "carrier"}, {"do": "frequency", "of": "carrier"})
        assert said in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"transforms": USED[1:]},
            "no transform uses 'booked_at': add one, such as "
            "`{do: calendar, of: booked_at, parts: [hour]}`, or take it out",
        ),
        (
            {"transforms": USED[:1]},
            "no transform uses 'body': add one, such as `{do: tfidf, of: body}`",
        ),
        (
            {"categorical": ["carrier", "temp"]},
            "'temp' is declared twice: a feature is of one kind",
        ),
        (
            {
                "numeric": [],
                "categorical": [],
                "transforms": [{"do": "drop", "of": ["booked_at", "body"]}],
            },
            "no number and no category is left for the model",
        ),
    ],
)
def test_features_that_do_not_fit_together_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        features(**changes)
    assert said in str(refused.value)


def test_every_step_and_every_field_says_what_it_is() -> None:
    for step in get_args(get_args(Transform)[0]):
        assert step.__doc__
        for name, field in step.model_fields.items():
            assert field.description, f"{step.__name__}.{name}"
    for name, field in Features.model_fields.items():
        assert field.description, name
