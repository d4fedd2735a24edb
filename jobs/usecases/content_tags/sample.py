"""The projects of 2020 as Made With ML gives them (MIT licence)."""

from __future__ import annotations

import datetime as dt

from jobs.ingest.public_file import PublicFile

FILE = PublicFile(
    address="https://raw.githubusercontent.com/GokuMohandas/Made-With-ML/"
    "030573f1a1dad734a3a7b1bef3a4e0addcd9d92b/datasets/dataset.csv",
    name="content_tags/dataset.csv",
    sha256="479e0f3813cc0583717b86512d112b0a397f717ac33652504afdf763c1f3aff1",
    # The day after the newest of them.
    arrived=dt.datetime(2020, 10, 7, tzinfo=dt.UTC),
)
