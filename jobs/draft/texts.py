"""Which texts read as which type, by the rules of `jobs.conform.rules`, but without Spark."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jobs.usecase import Column

LARGEST = 2**63
WHOLE = re.compile(r"[+-]?\d+")
DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})")
TRUE = ("t", "true", "y", "yes", "1")
FALSE = ("f", "false", "n", "no", "0")


def reads(texts: pd.Series, column: Column) -> NDArray[np.bool_]:
    """Whether each text, which may be missing, can be read as a column's type."""
    codes, values = pd.factorize(texts)
    good = np.array([_reads(value, column) for value in values], bool)
    # A missing one has the code -1.
    return np.append(good, True)[codes]


def typed(texts: pd.Series, column: Column) -> pd.Series:
    """Texts as values of Python's; None where one is missing or does not read so."""
    codes, values = pd.factorize(texts)
    found = [_value(text, column) if _reads(text, column) else None for text in values]
    whole = pd.Series([*found, None], dtype=object).to_numpy()[codes]
    return pd.Series(whole, index=texts.index, dtype=object)


def numbers(texts: pd.Series) -> NDArray[np.float64]:
    """Texts as numbers; missing where there is none."""
    codes, values = pd.factorize(texts)
    found = [float(value) if _is_number(value) else np.nan for value in values]
    return np.append(np.array(found, np.float64), np.nan)[codes]


def truths(texts: pd.Series) -> NDArray[np.float64]:
    """Texts as 1 and 0; missing where they are neither."""
    codes, values = pd.factorize(texts)
    said = [value.strip().lower() for value in values]
    found = [1.0 if each in TRUE else 0.0 if each in FALSE else np.nan for each in said]
    return np.append(np.array(found, np.float64), np.nan)[codes]


def _reads(text: str, column: Column) -> bool:
    return READS[column.type](text) if column.format is None else column.read(text) is not None


def _value(text: str, column: Column) -> Any:
    return VALUES[column.type](text) if column.format is None else column.read(text)


def _is_whole(text: str) -> bool:
    stripped = text.strip()
    return bool(WHOLE.fullmatch(stripped)) and -LARGEST <= int(stripped) < LARGEST


def _is_number(text: str) -> bool:
    stripped = text.strip()
    return bool(DECIMAL.fullmatch(stripped)) and bool(np.isfinite(float(stripped)))


def _is_truth(text: str) -> bool:
    return text.strip().lower() in (*TRUE, *FALSE)


def _is_date(text: str) -> bool:
    return len(text) == 10 and text[4] == text[7] == "-" and _is_of(text, dt.date)


def _is_moment(text: str) -> bool:
    return bool(MOMENT.fullmatch(text)) and _is_of(text, dt.datetime)


def _is_of(text: str, kind: type[dt.date]) -> bool:
    try:
        kind.fromisoformat(text)
    except ValueError:
        return False
    return True


VALUES: Mapping[str, Callable[[str], Any]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": lambda text: text.strip().lower() in TRUE,
    "date": dt.date.fromisoformat,
    "timestamp": dt.datetime.fromisoformat,
}
READS: Mapping[str, Callable[[str], bool]] = {
    "string": lambda text: True,
    "integer": _is_whole,
    "number": _is_number,
    "boolean": _is_truth,
    "date": _is_date,
    "timestamp": _is_moment,
}
