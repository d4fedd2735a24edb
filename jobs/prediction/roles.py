"""The warehouse's roles by their short names: apart, for a command line that is quick."""

from __future__ import annotations

from typing import Literal

Role = Literal["owner", "publisher", "reader", "labeller"]
