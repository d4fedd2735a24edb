"""Where things live: one frozen object, read from the environment and one file.

`daybreak up` writes the addresses and generated passwords of the embedded services to
`<home>/settings.json` (mode 0600). Environment variables named `DAYBREAK_*` win over that
file, and are all there is on a server. Nothing else in the project reads the environment.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

PROJECT = Path(__file__).resolve().parent.parent


def default_home() -> Path:
    """The folder that holds all state of the embedded services.

    Root gets a folder under /var/lib, because Postgres refuses to run as root and the user it
    runs as must be able to reach its files without opening anybody's home folder.
    """
    named = os.environ.get("DAYBREAK_HOME")
    if named:
        return Path(named).expanduser().resolve()
    if os.geteuid() == 0:
        mark = hashlib.sha256(str(PROJECT).encode()).hexdigest()[:8]
        return Path("/var/lib/daybreak") / f"{PROJECT.name}-{mark}"
    return PROJECT / ".daybreak"


class Settings(BaseSettings):
    """Every address, path and secret the platform uses.

    `spark` is the engine: `connect://host:port`, `local[N]`, or a master URL that Spark takes
    (`spark://…`, `k8s://…`, `yarn`). Paths of `landing` may be a folder or `s3://bucket/prefix`;
    `lake` is a folder that every Spark process sees.
    """

    model_config = SettingsConfigDict(env_prefix="DAYBREAK_", frozen=True, extra="forbid")

    home: Path = Field(default_factory=default_home, description="State of the embedded services.")
    landing: str = Field(
        default_factory=lambda data: str(data["home"] / "landing"),
        description="Landing root: a folder or s3://bucket/prefix.",
    )
    lake: str = Field(
        default_factory=lambda data: str(data["home"] / "lake"),
        description="Root of the Delta tables: a folder that every Spark process sees.",
    )
    usecases: Path = Field(
        default=PROJECT / "jobs" / "usecases", description="Folder of use cases."
    )

    spark: str = Field(default="local[*]", description="Where Spark runs.")
    spark_token: SecretStr | None = Field(default=None, description="Token of Spark Connect.")
    spark_memory: str = Field(default="4g", description="Heap of a Spark driver or Connect server.")
    spark_workers: int = Field(default=1, ge=1, description="XGBoost workers in training.")
    jars: Path = Field(
        default_factory=lambda data: data["home"] / "jars",
        description="Folder of the jars that Spark needs beside its own.",
    )

    mlflow_url: str = Field(default="", description="MLflow tracking and registry server.")
    mlflow_user: str = "daybreak"
    mlflow_password: SecretStr | None = None

    warehouse_host: str = "127.0.0.1"
    warehouse_port: int = 5432
    warehouse_database: str = "warehouse"
    owner_password: SecretStr | None = Field(default=None, description="Of daybreak_owner.")
    publisher_password: SecretStr | None = Field(default=None, description="Of daybreak_publisher.")
    reader_password: SecretStr | None = Field(default=None, description="Of daybreak_reader.")
    labeller_password: SecretStr | None = Field(default=None, description="Of daybreak_labeller.")

    s3_endpoint: str | None = Field(default=None, description="S3 endpoint, if not AWS's own.")

    airflow_url: str = Field(default="", description="Airflow's API server and UI.")
    airflow_user: str = "admin"
    airflow_password: SecretStr | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        written = JsonConfigSettingsSource(settings_cls, json_file=settings_file(default_home()))
        return init_settings, env_settings, written


def settings_file(home: Path) -> Path:
    """The file in which `daybreak up` keeps addresses and secrets (mode 0600)."""
    return home / "settings.json"
