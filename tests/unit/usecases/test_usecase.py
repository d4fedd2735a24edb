"""The types of a use case know what may be set."""

from __future__ import annotations

import inspect

import xgboost

from jobs.usecase import GROWING


def test_xgboost_knows_every_parameter_that_may_be_set() -> None:
    known = inspect.signature(xgboost.XGBModel).parameters
    assert [name for name in GROWING if name not in known] == []
