"""PySpark's worker daemon, with what the steps' workers import there already.

Spark forks a Python worker for a task, and lets it go after a minute without work. A night's steps
are further apart than that, so each would import these again, in every worker. None of them starts
a thread when it is imported, so a fork of them is safe.
"""

from __future__ import annotations

import importlib

MODULES = (
    "pandas",
    "pyarrow.csv",
    "pyspark.sql.pandas.types",
    "jobs.features.running",
    "jobs.ingest.reader",
    "jobs.learning.bins",
    "jobs.learning.model",
    "jobs.prediction.load",
)


def run() -> None:
    """Import `MODULES`, then wait for Spark to ask for workers."""
    from pyspark.daemon import manager

    for module in MODULES:
        importlib.import_module(module)
    manager()


if __name__ == "__main__":
    run()
