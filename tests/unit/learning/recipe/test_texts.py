"""Steps over text, checked by hand and against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from tests.unit.learning.recipe import rows

NAN = float("nan")
TEXTS = ["late again", "snow and wind, snow", "wind", "late", "clear"]


def done(step: dict[str, Any], texts: list[str | None]) -> Any:
    """The matrix after a step has learned from some texts and was applied to them."""
    table = rows.of({"x": texts})
    recipe = rows.learned(table, {"of": "x", **step}, text=["x"])
    return recipe, recipe.matrix(table)


@pytest.mark.parametrize("sublinear", [False, True])
def test_tfidf_is_scikit_learns_but_for_the_buckets(sublinear: bool) -> None:
    step = {"do": "tfidf", "buckets": 2**18, "least_rows": 1, "ngrams": [1, 2]}
    _, found = done({**step, "sublinear": sublinear}, TEXTS)
    oracle = TfidfVectorizer(
        ngram_range=(1, 2), token_pattern=r"\w+", sublinear_tf=sublinear
    ).fit_transform(TEXTS)
    # The columns are in another order; what two texts have in common is not.
    np.testing.assert_allclose(
        (found @ found.T).toarray(), (oracle @ oracle.T).toarray(), atol=1e-6
    )
    assert found.nnz == oracle.nnz


def test_rare_words_are_left_out() -> None:
    # `late` and `wind` are in two texts each, every other word is in one.
    _, found = done({"do": "tfidf", "least_rows": 2}, TEXTS)
    assert np.diff(found.indptr).tolist() == [1, 1, 1, 1, 0]
    assert set(found.data.tolist()) == {1.0}


def test_case_and_ligatures_are_no_difference() -> None:
    _, found = done({"do": "tfidf", "least_rows": 1}, ["ÜBER ﬁne", "u\u0308ber fine", None, ""])
    assert (found[[0]] != found[[1]]).nnz == 0
    assert np.diff(found.indptr).tolist() == [2, 2, 0, 0]


def test_characters_of_misspelt_words_have_much_in_common() -> None:
    step = {"do": "tfidf", "ngrams": [2, 3], "least_rows": 1}
    texts = ["cancelled", "canceled", "on time"]
    recipe, by_characters = done({**step, "by": "characters"}, texts)
    _, by_words = done(step, texts)
    assert recipe.columns[0] == "x_tfidf_characters:0"
    alike = (by_characters @ by_characters.T).toarray()
    assert alike[0, 1] > 0.5 > alike[0, 2]
    assert (by_words @ by_words.T).toarray()[0, 1] == 0


def test_what_is_learned_of_words_is_in_a_file_of_its_own() -> None:
    recipe, _ = done({"do": "tfidf", "buckets": 1000}, TEXTS)
    (name,) = recipe.files()
    assert name == "recipe-0-x-rows_with.npy"
    assert recipe.to_json()["steps"][0]["state"]["x"] == {"rows": 5, "rows_with": {"file": name}}
    assert b"numpy" in recipe.files()[name].lower()


def test_length_and_matches() -> None:
    texts = ["Late! Late!!", "", None, "on time"]
    for step, name, expected in (
        ({"do": "length"}, "x_characters", [12, 0, NAN, 7]),
        ({"do": "length", "by": "words"}, "x_words", [2, 0, NAN, 2]),
        ({"do": "count", "pattern": "!", "as": "marks"}, "marks", [3, 0, NAN, 0]),
        ({"do": "count", "pattern": "[Ll]ate!+", "as": "lates"}, "lates", [2, 0, NAN, 0]),
    ):
        recipe, found = done(step, texts)
        assert recipe.columns == (name,)
        assert found[:, 0].tolist() == pytest.approx(expected, nan_ok=True)
