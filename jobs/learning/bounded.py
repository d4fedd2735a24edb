"""A bound on how long a Spark job may take."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException

from jobs.errors import Unavailable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@contextmanager
def within(seconds: float, spark: SparkSession, what: str) -> Iterator[None]:
    """Cancel the Spark jobs started inside after `seconds`.

    Raises:
        Unavailable: a job failed or took too long; the cause is chained.
    """
    tag = f"bounded-{uuid.uuid4().hex}"
    late = threading.Event()

    def cancel() -> None:
        late.set()
        spark.interruptTag(tag)

    timer = threading.Timer(seconds, cancel)
    timer.daemon = True
    spark.addTag(tag)
    timer.start()
    try:
        yield
    except (Py4JError, PySparkException) as error:
        why = f"did not end within {seconds:.0f} seconds" if late.is_set() else "failed"
        raise Unavailable(
            f"{what} {why}: {_first_line(error)}",
            "Look at the Spark executors' logs and memory, then train again.",
        ) from error
    finally:
        timer.cancel()
        spark.removeTag(tag)


def _first_line(error: Exception) -> str:
    cause = getattr(error, "java_exception", None)
    text = str(cause.getMessage() if cause is not None else error)
    return text.strip().split("\n", 1)[0][:300]
