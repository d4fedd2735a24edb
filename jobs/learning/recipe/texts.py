"""What the steps over text learn and do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from unicodedata import normalize

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize as of_length_1

from jobs.learning.recipe.rows import Block, Columns, Numbers, Rows, Sample
from jobs.transforms.texts import Count, Length, TfIdf

State = Mapping[str, Any]
WORD = r"\w+"
ANALYSERS = {"words": "word", "characters": "char_wb"}


def learn_tfidf(step: TfIdf, name: str, sample: Sample) -> State:
    """How many rows there were, and in how many each bucket was."""
    counts = _counts(step, sample.rows.columns[name])
    rows = np.bincount(counts.indices, minlength=step.buckets).astype(np.int32)
    return {"rows": sample.rows.size, "rows_with": rows}


def tfidf(step: TfIdf, state: Mapping[str, State], rows: Rows) -> Columns:
    """Counts by rarity, each row of length 1."""
    (ending,) = step.endings
    found: Columns = {}
    for name in step.of:
        known = state[name]
        rarity = np.log((1 + known["rows"]) / (1 + known["rows_with"])) + 1
        weights = np.where(known["rows_with"] < step.least_rows, 0.0, rarity)
        weighed = _counts(step, rows.columns[name])
        if step.sublinear:
            weighed.data = 1 + np.log(weighed.data)
        weighed.data *= weights[weighed.indices]
        weighed.eliminate_zeros()
        matrix = of_length_1(weighed).astype(np.float32) if rows.size else weighed
        found[f"{name}_{ending}"] = Block(matrix, range(step.buckets), hashed=True)
    return found


def length(step: Length, _: Mapping[str, State], rows: Rows) -> Columns:
    """Characters or words."""
    (ending,) = step.endings
    count: Callable[[str], int] = len if step.by == "characters" else _words
    return {f"{name}_{ending}": _each(rows.columns[name], count) for name in step.of}


def count(step: Count, _: Mapping[str, State], rows: Rows) -> Columns:
    """Matches of the pattern."""
    (name,), pattern = step.of, re.compile(step.pattern)
    return {step.as_: _each(rows.columns[name], lambda text: len(list(pattern.finditer(text))))}


def _counts(step: TfIdf, column: pa.Array) -> csr_array:
    """How often each bucket's n-grams are in each text."""
    if not len(column):
        return csr_array((0, step.buckets), dtype=np.float64)
    counter = HashingVectorizer(
        analyzer=ANALYSERS[step.by],
        token_pattern=WORD,
        preprocessor=_plain,
        ngram_range=step.ngrams,
        n_features=step.buckets,
        alternate_sign=False,
        norm=None,
    )
    return csr_array(counter.transform(text or "" for text in column.to_pylist()))


def _plain(text: str) -> str:
    # By Python itself: Arrow's `utf8_normalize` leaves NFKC decomposed, and an accent that is apart
    # from its letter would end a word.
    return normalize("NFKC", text).lower()


def _words(text: str) -> int:
    return len(text.split())


def _each(column: pa.Array, of: Callable[[str], int]) -> Numbers:
    values = (np.nan if text is None else of(text) for text in column.to_pylist())
    return np.fromiter(values, np.float64, len(column))
