"""The hours of 2011 and 2012 as the UCI Machine Learning Repository gives them (CC BY 4.0).

Copies go round with their dates written otherwise. What lands is the same whichever it is made of:
`hour.csv` with dates such as 1/31/2011, and lines that end as on Unix.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile

from jobs.ingest.public_file import PublicFile

ISO = re.compile(rb"^(\d+),(\d{4})-0?(\d+)-0?(\d+),", re.M)


def hours(content: bytes) -> bytes:
    """`hour.csv`, from itself or from the archive that it is in."""
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [each for each in archive.namelist() if each.endswith("hour.csv")]
            content = archive.read(names[0]) if names else b""
    return ISO.sub(rb"\1,\3/\4/\2,", content.replace(b"\r\n", b"\n"))


FILE = PublicFile(
    address="https://archive.ics.uci.edu/static/public/275/bike+sharing+dataset.zip",
    name="bike_demand/hour.csv",
    sha256="462d1c779b4d3825c35555e6dffa3063cc0d66b89feeffcaa5093cd475e4a1c3",
    # When it was given to the repository.
    arrived=dt.datetime(2013, 12, 20, tzinfo=dt.UTC),
    made_of=hours,
)
