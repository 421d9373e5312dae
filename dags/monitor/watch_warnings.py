"""Early warning.

Evaluates the rules of `ml/monitoring/warning_rules.yaml`: drift, accuracy, latency, errors, quotas,
costs and quality. Owners are told once when a rule begins to fire and once when it recovers; what
fires now is in `ops.warnings`, every notice in `ops.alerts`. Runs after every drift report, and by
the cron of `YTEMPIRE_WARNING_SCHEDULE` where there is one.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, dag, task
from ytempire_airflow.assets import DRIFT_REPORT
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.defaults import DEFAULT_ARGS

from ml.settings import get_settings


def _schedule() -> Any:
    cron = get_settings().warning_schedule
    if cron is None:
        return [DRIFT_REPORT]
    return AssetOrTimeSchedule(
        timetable=CronTriggerTimetable(cron, timezone="UTC"), assets=[DRIFT_REPORT]
    )


@dag(
    schedule=_schedule(),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["monitor", "alerts"],
    doc_md=__doc__,
)
def watch_warnings():
    @task
    def check(now: str, run_id: str | None = None) -> dict[str, list[str]]:
        from datetime import datetime

        from ml.monitoring.early_warning import check_warnings

        return check_warnings(datetime.fromisoformat(now), str(run_id))

    check(resolve_as_of())


watch_warnings()
