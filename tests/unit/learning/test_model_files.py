"""A model on disk: nothing of it is read that was not checked."""

from __future__ import annotations

import json

import pytest

from jobs.errors import Refused
from jobs.learning.band import Band
from jobs.learning.calibrate import Isotonic
from jobs.learning.candidates.constant import Constant
from jobs.learning.model import DESCRIPTION, INDEX, Model, opened, sha256
from jobs.learning.targets.binary import Binary

MODEL = Model(
    use_case="late_parcel",
    cutoff="2024-02-12",
    numeric=("weight",),
    categorical=("depot",),
    timestamp=("sent_at",),
    text=("note",),
    candidate=Constant(0.25),
    target=Binary(),
    calibration=Isotonic((0.0, 1.0), (0.1, 0.9)),
    threshold=0.3,
    band=Band(0.9, 2.5),
    remark="No threshold has it.",
)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return MODEL.files()


def test_opens_as_it_was(files):
    assert opened(files, sha256(files[INDEX]), "it") == MODEL


def test_holds_no_pickle_and_says_its_signature(files):
    assert set(files) == {INDEX, DESCRIPTION}
    for name in MODEL.features:
        assert name.encode() in files[DESCRIPTION]
    assert b"python_function" not in files[DESCRIPTION]


@pytest.mark.parametrize("file", [INDEX, DESCRIPTION])
def test_a_changed_file_is_refused_by_name(files, file):
    changed = {**files, file: files[file] + b" "}
    with pytest.raises(Refused, match=f"file {file} was changed after it was registered"):
        opened(changed, sha256(files[INDEX]), "it")


@pytest.mark.parametrize("file", [INDEX, DESCRIPTION])
def test_a_missing_file_is_refused_by_name(files, file):
    rest = {name: content for name, content in files.items() if name != file}
    with pytest.raises(Refused, match=f"lacks its file {file}"):
        opened(rest, sha256(files[INDEX]), "it")


def test_a_newer_format_is_refused(files):
    index = json.dumps({**json.loads(files[INDEX]), "format": 99}).encode()
    with pytest.raises(Refused, match="format 99"):
        opened({**files, INDEX: index}, sha256(index), "it")


def test_an_unknown_kind_is_refused(files):
    index = json.dumps({**json.loads(files[INDEX]), "kind": "oracle"}).encode()
    with pytest.raises(Refused, match="'oracle'"):
        opened({**files, INDEX: index}, sha256(index), "it")
