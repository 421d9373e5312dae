"""Registers with Airflow what the package `ytempire_airflow` brings."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin
from ytempire_airflow import listener
from ytempire_airflow.timetables import OnRequestTimetable


class YtempirePlugin(AirflowPlugin):
    """The listener that records every DAG run in `ops.dag_runs`, and the timetables."""

    name = "ytempire"
    listeners = [listener]  # noqa: RUF012 - Airflow reads it from the class
    timetables = [OnRequestTimetable]  # noqa: RUF012
