"""The Spark session: one setting names where Spark runs, and no step knows which it is."""

from __future__ import annotations

import os
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from jobs.errors import Refused, Unavailable
from jobs.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.client.retries import RetryPolicy

# Two jars and no more: Spark's own hadoop, log4j and parquet are newer than Delta's resolver
# would bring (infra/decisions/0001-pinned-environment.md).
DELTA_JARS = ("delta-spark_4.2_2.13-4.4.0.jar", "delta-storage-4.4.0.jar")
# Beside a local driver: without it Hadoop starts a `chmod` for each file and folder it makes
# (infra/decisions/0007-local-files-without-chmod.md).
LOCAL_FILES_JAR = "hadoop-bare-naked-local-fs-0.1.0.jar"
JARS = (*DELTA_JARS, LOCAL_FILES_JAR)

# PySpark's own switch: it says which of its two implementations `pyspark.sql.functions` calls.
CONNECT_MODE = "SPARK_CONNECT_MODE_ENABLED"

SESSION = {
    "spark.sql.session.timeZone": "UTC",
    # One row that divides by zero must not fail the job of all days: it is null, and gates count.
    "spark.sql.ansi.enabled": "false",
    "spark.sql.shuffle.partitions": "4",
    "spark.sql.sources.partitionOverwriteMode": "static",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # Every filter of ours is on partitions; statistics of files cost writes and scans for nothing.
    "spark.databricks.delta.stats.skipping": "false",
    "spark.databricks.delta.stats.collect": "false",
    # How many tasks list files. VACUUM starts as many as it is allowed: 10 000, for 20 s a table.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "16",
    # Dates are asked for by name, so that there is nothing to find out while a query runs.
    "spark.sql.optimizer.dynamicPartitionPruning.enabled": "false",
    # A feature table has a hundred columns; with more than this Spark interprets aggregates.
    "spark.sql.codegen.maxFields": "2000",
}

# Measured on two cores (infra/decisions/0005-the-engine-s-settings.md): one night's features took
# 24 s of CPU with Java's defaults, and take 11 s with these.
JAVA_OPTIONS = (
    # Generated methods are longer than what HotSpot compiles by default.
    "-XX:-DontCompileHugeMethods",
    # With the default 240 MB, compiled code is thrown out and compiled again every night.
    "-XX:ReservedCodeCacheSize=768m",
    # Code that a night runs a few thousand times is not worth the optimising compiler's time.
    "-XX:Tier4InvocationThreshold=50000",
    "-XX:Tier4MinInvocationThreshold=20000",
    "-XX:Tier4CompileThreshold=100000",
    "-XX:Tier4BackEdgeThreshold=400000",
    # It gives up on the largest of them, after up to 17 s of work each; so it does much sooner.
    "-XX:MaxNodeLimit=20000",
    "-XX:+UseParallelGC",
)

# Of a Connect server, wherever it runs.
CONNECT_SERVER = {
    # All steps share one session (see Engine), which must not end between two nights.
    "spark.connect.session.manager.defaultSessionTimeout": "-1",
    # What a killed step has asked for ends soon, and does not compete with the next attempt.
    "spark.connect.execute.manager.detachedTimeout": "60s",
}


def static_conf(settings: Settings) -> dict[str, str]:
    """Configuration that a driver must have from its start, for any kind of engine.

    Raises:
        Refused: a Delta jar is not in the jars folder.
    """
    jars = _there(settings, DELTA_JARS)
    return {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.jars": ",".join(jars),
        "spark.driver.memory": settings.spark_memory,
        "spark.driver.extraJavaOptions": " ".join(JAVA_OPTIONS),
        "spark.executor.extraJavaOptions": " ".join(JAVA_OPTIONS),
        # The nights' queries are the same ones; the default keeps 100 generated classes.
        "spark.sql.codegen.cache.maxEntries": "4000",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.warehouse.dir": str(Path(settings.lake) / "_warehouse"),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.dynamicAllocation.enabled": "false",
        "spark.python.daemon.module": "jobs.daemon",
        **SESSION,
    }


def local_conf(settings: Settings) -> dict[str, str]:
    """Configuration of a driver that is its own and only executor.

    Raises:
        Refused: the jar for local files is not in the jars folder.
    """
    (jar,) = _there(settings, (LOCAL_FILES_JAR,))
    return {
        "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem",
        # By default Delta writes its log, and what lies beside it, through Hadoop's FileContext,
        # which starts `readlink` 16 times and `chmod` 4 times for each commit.
        "spark.delta.logStore.file.impl": "io.delta.storage.LocalLogStore",
        "spark.sql.streaming.checkpointFileManagerClass": (
            "org.apache.spark.sql.execution.streaming.checkpointing"
            ".FileSystemBasedCheckpointFileManager"
        ),
        # Spark looks at local files before it loads `spark.jars`.
        "spark.driver.extraClassPath": jar,
    }


def _there(settings: Settings, jars: tuple[str, ...]) -> list[str]:
    missing = [jar for jar in jars if not (settings.jars / jar).is_file()]
    if missing:
        raise Refused(
            f"{len(missing)} of {len(jars)} jars are missing in {settings.jars}: "
            f"{', '.join(missing)}.",
            "Run `daybreak up`, which fetches and checks them.",
        )
    return [str(settings.jars / jar) for jar in jars]


@dataclass
class Engine:
    """Gives Spark sessions; starts them on first use and stops what it started."""

    settings: Settings
    _started: list[SparkSession] = field(default_factory=list)

    def session(self) -> SparkSession:
        """A session on the engine that `DAYBREAK_SPARK` names."""
        if self.settings.spark.startswith("connect://"):
            return self._connect()
        return self._classic()

    def _classic(self) -> SparkSession:
        """A session with a driver in this process."""
        from pyspark.sql import SparkSession

        os.environ.pop(CONNECT_MODE, None)
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        conf = static_conf(self.settings)
        if self.settings.spark.startswith("local"):
            conf |= local_conf(self.settings)
        else:
            # Executors on other machines must be able to reach the driver.
            for bound in ("spark.driver.bindAddress", "spark.driver.host"):
                conf.pop(bound)
        builder = SparkSession.builder.appName("daybreak").master(self.settings.spark)
        for name, value in conf.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        self._started.append(session)
        return session

    def _connect(self) -> SparkSession:
        # Over Connect the two classes share a name but not a base.
        from pyspark.sql.connect.client import DefaultChannelBuilder
        from pyspark.sql.connect.session import SparkSession as ConnectSession

        os.environ[CONNECT_MODE] = "1"
        address = urlparse(self.settings.spark)
        # With 127.0.0.1 and a token the client assumes TLS and retries for ever.
        host = "localhost" if address.hostname == "127.0.0.1" else address.hostname
        token = self.settings.spark_token
        secret = f";token={token.get_secret_value()}" if token else ""
        shared = f"/;session_id={self._session_id()}"
        channel = DefaultChannelBuilder(f"sc://{host}:{address.port}{shared}{secret}")
        try:
            session = ConnectSession.builder.channelBuilder(channel).getOrCreate()
            session.client.set_retry_policies([_bounded_retries()])
            # The same session again, with all that is set in one call.
            session = ConnectSession.builder.config(map={**SESSION}).getOrCreate()
        except Exception as error:
            raise Unavailable(
                f"Spark Connect at {host}:{address.port} does not answer.",
                "Run `daybreak status`; `daybreak up` starts embedded services that are down.",
            ) from error
        return session  # type: ignore[return-value]

    def _session_id(self) -> str:
        """One session for all steps on a lake.

        The server keeps a Python worker daemon for each session, and never stops it: a session of
        its own would cost every step the daemon's start, and the server 200 MB for good.
        """
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.settings.lake))

    def stop(self) -> None:
        """Stop the classic sessions this engine started; a Connect server stays up."""
        while self._started:
            self._started.pop().stop()


def _bounded_retries() -> RetryPolicy:
    from pyspark.sql.connect.client.retries import DefaultPolicy

    return DefaultPolicy(
        max_retries=4, initial_backoff=200, max_backoff=2000, max_server_retry_delay=2000
    )
