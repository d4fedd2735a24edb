"""Which texts read as which type, by the rules of `jobs.conform.rules`, but without Spark."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LARGEST = 2**63
WHOLE = re.compile(r"[+-]?\d+")
DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})")
TRUE = ("t", "true", "y", "yes", "1")
FALSE = ("f", "false", "n", "no", "0")


def reads(texts: pd.Series, kind: str) -> NDArray[np.bool_]:
    """Whether each text, which may be missing, can be read as a type."""
    codes, values = pd.factorize(texts)
    good = np.array([READS[kind](value) for value in values], bool)
    # A missing one has the code -1.
    return np.append(good, True)[codes]


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


READS: Mapping[str, Callable[[str], bool]] = {
    "string": lambda text: True,
    "integer": _is_whole,
    "number": _is_number,
    "boolean": _is_truth,
    "date": _is_date,
    "timestamp": _is_moment,
}
