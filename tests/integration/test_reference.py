"""The commands on the pages of the reference use cases, as they stand there, on the stack."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from jobs.settings import PROJECT
from tests.shared_data import BIKES, TAGS, shared
from tests.stack import Stack

SECONDS = 1800


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "file", "rows"), [("bike_demand", BIKES, 24), ("content_tags", TAGS, 764)]
)
def test_from_landing_to_warehouse(stack: Stack, name: str, file: str, rows: int) -> None:
    page = (PROJECT / "jobs" / "usecases" / name / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(.+?)```", page, re.S)
    copy = ["--file", str(shared(file))]
    for line in block.splitlines():
        _, *words = shlex.split(line, comments=True)
        done = stack.daybreak(*words, *(copy if words[0] == "sample" else []), seconds=SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr
    done = stack.daybreak("publications", name, "--json")
    assert [each["rows"] for each in json.loads(done.stdout) if each["live"]] == [rows]
