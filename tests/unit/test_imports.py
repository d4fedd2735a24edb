"""What the commands that people wait for load: nothing that is heavy."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

ENGINES = {
    *("airflow", "boto3", "great_expectations", "mlflow", "numpy", "pandas", "pyarrow", "pyspark"),
    *("scipy", "sklearn", "sqlalchemy", "xgboost"),
}


def loaded(module: str) -> set[str]:
    """What a new process has loaded after it has imported a module."""
    script = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_the_help_loads_no_engine_and_no_service() -> None:
    services = {"psycopg", "pydantic_settings", "yaml", "jobs.usecase", "daybreak_local"}
    assert not loaded("jobs.cli") & (ENGINES | services)


@pytest.mark.parametrize("module", ["jobs.prediction.lookup", "jobs.settings"])
def test_a_lookup_loads_no_engine_and_no_use_case(module: str) -> None:
    assert not loaded(module) & (ENGINES | {"jobs.plan", "jobs.usecase"})
