"""Registers with Airflow what the package `ytempire_airflow` brings."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin
from ytempire_airflow import listener
from ytempire_airflow.timetables import OnRequestTimetable


async def _reports(scope: Any, receive: Any, send: Any) -> None:
    """The pages of reports, imported by the first request: every task loads this plugin, too."""
    from ytempire_airflow.reports import app

    await app(scope, receive, send)


async def _videos(scope: Any, receive: Any, send: Any) -> None:
    """The pages of videos, imported by the first request."""
    from ytempire_airflow.videos import app

    await app(scope, receive, send)


class YtempirePlugin(AirflowPlugin):
    """The listener that records every DAG run, the timetables, and the pages of our own."""

    name = "ytempire"
    listeners = [listener]  # noqa: RUF012 - Airflow reads it from the class
    timetables = [OnRequestTimetable]  # noqa: RUF012
    fastapi_apps = [  # noqa: RUF012
        {"app": _reports, "url_prefix": "/reports", "name": "reports"},
        {"app": _videos, "url_prefix": "/videos", "name": "videos"},
    ]
    external_views = [  # noqa: RUF012
        {
            "name": "Reports",
            "href": "/reports/",
            "destination": "nav",
            "category": "browse",
            "url_route": "reports",
        },
        {
            "name": "Videos",
            "href": "/videos/",
            "destination": "nav",
            "category": "browse",
            "url_route": "videos",
        },
    ]
