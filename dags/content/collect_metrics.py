"""Learn.

Asks YouTube how the videos that are out there do 1 hour, 24 hours and 7 days after they came out,
keeps it by video and horizon, and writes it beside what was predicted of them. Runs on the schedule
of YTEMPIRE_METRICS_SCHEDULE; every figure is taken once. A video that YouTube does not let stand
closes its channel for 24 hours.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import dag, task
from ytempire_airflow.assets import VIDEO_METRICS
from ytempire_airflow.defaults import DEFAULT_ARGS

from ml.settings import get_settings


@dag(
    schedule=get_settings().metrics_schedule,
    start_date=datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["content", "learn"],
    doc_md=__doc__,
)
def collect_metrics():
    @task(outlets=[VIDEO_METRICS])
    def collect(**context: Any) -> dict[str, int]:
        from ml.publishing.metrics import collect_metrics

        found = vars(collect_metrics())
        context["outlet_events"][VIDEO_METRICS].extra = found
        return found

    collect()


collect_metrics()
