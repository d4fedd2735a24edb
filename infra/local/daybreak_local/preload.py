"""Import once, in Airflow's scheduler, what every task would import again.

LocalExecutor forks its workers from the scheduler and a task from its worker, so a module the
scheduler has is there at once. Importing these takes 4.5 s of a core, which each task of a night
would spend again; the scheduler spends it once, and holds 150 MB more. They are safe to fork:
none starts a thread before it is used, and training, Arrow, gRPC and HTTP were tried in tasks.
"""

from __future__ import annotations

import importlib
import os

from daybreak_local.places import SERVICE_MARK

MODULES = (
    "pandas",
    "pyarrow.parquet",
    "psycopg",
    "xgboost",
    "pyspark.sql.connect.session",
    "mlflow",
    "great_expectations",
)


def preload_for_tasks() -> None:
    """Import `MODULES` if this process is the scheduler; what fails is left to the task."""
    if os.environ.get(SERVICE_MARK) != "airflow-scheduler":
        return
    for module in MODULES:
        try:
            importlib.import_module(module)
        except ImportError:
            continue
