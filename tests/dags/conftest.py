"""An Airflow of the tests' own: a home, a database and no services.

Airflow reads its environment when it is first imported, so nothing here or in these tests
imports it at the top.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.settings import PROJECT

if TYPE_CHECKING:
    from airflow.sdk import DAG

DAGS = PROJECT / "dags"


@pytest.fixture(scope="session")
def airflow_env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of an Airflow with a fresh home; this process has it too."""
    home = tmp_path_factory.mktemp("airflow")
    ours = {
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "DAYBREAK_HOME": str(home / "daybreak"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AIRFLOW", "DAYBREAK"))]:
            patch.delenv(name)
        for name, value in ours.items():
            patch.setenv(name, value)
        yield ours


@pytest.fixture(scope="session")
def dags(airflow_env: dict[str, str]) -> dict[str, DAG]:
    """Every DAG of the project by its id, as the DAG processor reads them."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(DAGS))
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture(scope="session")
def airflow_database(airflow_env: dict[str, str]) -> Path:
    """A migrated metadata database that knows the DAGs, which `dag.test()` needs."""
    for command in (["db", "migrate"], ["dags", "reserialize"]):
        subprocess.run(
            [sys.executable, "-m", "airflow", *command],
            check=True,
            capture_output=True,
            timeout=180,
        )
    return Path(airflow_env["AIRFLOW_HOME"]) / "airflow.db"
