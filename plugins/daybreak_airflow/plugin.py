"""What Airflow is told of Daybreak when it starts: where its pages are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.plugins_manager import AirflowPlugin

from daybreak_airflow.addresses import PAGES

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def pages(scope: Scope, receive: Receive, send: Send) -> None:
    """The pages. Every process of Airflow loads plugins, and only its server needs these."""
    from daybreak_airflow.pages import app

    await app(scope, receive, send)


class DaybreakPlugin(AirflowPlugin):
    """Daybreak's pages, on Airflow's server."""

    name = "daybreak"
    fastapi_apps = [{"name": "daybreak", "app": pages, "url_prefix": PAGES}]  # noqa: RUF012
