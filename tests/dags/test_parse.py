"""Parsing a DAG file is quick, and one wrong use case harms no other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.settings import PROJECT

HEAVY = (
    "pyspark",
    "mlflow",
    "xgboost",
    "great_expectations",
    "pandas",
    "numpy",
    "boto3",
    "sqlglot",
)
READ = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=sys.argv[1])
print(json.dumps({
    "dags": sorted(bag.dags),
    "errors": bag.import_errors,
    "seconds": {stat.file: stat.duration.total_seconds() for stat in bag.dagbag_stats},
    "modules": sorted({name.split(".")[0] for name in sys.modules}),
}))
"""

LOAD = """
import json, sys
from airflow import plugins_manager
apps, _ = plugins_manager.get_fastapi_plugins()
print(json.dumps({
    "apps": [app["url_prefix"] for app in apps],
    "errors": plugins_manager.get_import_errors(),
    "modules": sorted(name for name in sys.modules if name.startswith("daybreak_airflow.")),
}))
"""


def read(path: Path) -> dict[str, Any]:
    """What a fresh process finds in a folder of DAG files."""
    return said_by(READ, str(path))


def said_by(code: str, *arguments: str) -> dict[str, Any]:
    """The JSON in the last line that a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_parsing_imports_nothing_heavy(
    airflow_env: dict[str, str], record_property: Callable[[str, object], None]
) -> None:
    found = read(PROJECT / "dags")
    record_property("parse_seconds", found["seconds"])
    assert found["errors"] == {}
    assert len(found["seconds"]) == len(list((PROJECT / "dags").glob("*.py")))
    assert set(HEAVY) & set(found["modules"]) == set()


def test_a_process_of_airflow_loads_the_plugin_but_not_its_pages(
    airflow_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__PLUGINS_FOLDER", str(PROJECT / "plugins"))
    own = ["daybreak_airflow.addresses"]
    assert said_by(LOAD) == {"apps": ["/daybreak"], "errors": {}, "modules": own}


def test_a_wrong_use_case_is_said_and_harms_no_other(
    airflow_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = PROJECT / "jobs" / "usecases" / "flight_delay"
    shutil.copytree(good, tmp_path / "flight_delay")
    shutil.copytree(good, tmp_path / "wrong")
    text = (good / "usecase.yaml").read_text()
    (tmp_path / "wrong" / "usecase.yaml").write_text(text.replace("maturity:", "matures:"))
    monkeypatch.setenv("DAYBREAK_USECASES", str(tmp_path))

    found = read(PROJECT / "dags")

    assert found["dags"] == [f"flight_delay__{kind}" for kind in ("maintain", "nightly", "train")]
    (sentence,) = found["errors"].values()
    assert [Path(file).name for file in found["errors"]] == ["refused.py"]
    assert "wrong/usecase.yaml" in sentence
    assert "label.matures" in sentence
