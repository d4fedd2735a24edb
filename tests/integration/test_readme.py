"""Every command of the README, run as it stands there, on the stack that the demo left."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess

import pytest

from jobs.settings import PROJECT
from tests.stack import Stack

README = (PROJECT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (.+)$", README, re.M)
# `make demo` is what the stack was made by, and `make test` is this.
ELSEWHERE = "make "
SECONDS = 900
LEAST_AUC = 0.70


def _here(command: str) -> bool:
    return command.startswith(".venv/bin/daybreak ")


def test_every_command_is_run_here_or_known_to_be_run_elsewhere() -> None:
    unknown = [c for c in COMMANDS if not (_here(c) or c.startswith((ELSEWHERE, "psql ")))]
    assert unknown == []
    assert sum(map(_here, COMMANDS)) >= 10


@pytest.mark.parametrize("command", [c for c in COMMANDS if _here(c)])
def test_command(stack: Stack, command: str) -> None:
    words = shlex.split(command, comments=True)[1:]
    judges = words[0] == "evaluate" and "--holdout-until" in words
    done = stack.daybreak(*words, *(["--json"] if judges else []), seconds=SECONDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    if judges:
        candidates = json.loads(done.stdout)["evaluation"]["candidates"]
        auc = {each["name"]: each["metrics"]["roc_auc"]["value"] for each in candidates}
        assert auc["xgboost"] >= LEAST_AUC
        assert auc["xgboost"] > auc["rule"] > auc["constant"]


def test_the_sql(stack: Stack) -> None:
    psql = shutil.which("psql")
    if psql is None:
        pytest.skip("psql is not installed")
    (query,) = re.findall(r"```sql\n(.+?)```", README, re.S)
    url = stack.daybreak("warehouse-url", "--role", "reader").stdout.strip()
    done = subprocess.run(
        [psql, url, "-Atc", query], capture_output=True, text=True, timeout=60, check=True
    )
    assert len(done.stdout.splitlines()) == 10
