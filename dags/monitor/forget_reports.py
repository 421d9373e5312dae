"""Old reports go.

Deletes once a day the results and reports of gates, and the pages of drift reports, that are older
than `YTEMPIRE_KEEP_REPORTS_DAYS`. The newest of each stay, and so does every run of a gate that
still blocks. Stored marts need no such run: a publication keeps the last two builds.
"""

from __future__ import annotations

from airflow.sdk import CronTriggerTimetable, dag, task
from ytempire_airflow.defaults import DEFAULT_ARGS


@dag(
    schedule=CronTriggerTimetable("30 4 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["monitor", "maintenance"],
    doc_md=__doc__,
)
def forget_reports():
    @task
    def forget() -> dict[str, int]:
        from ml.retention import forget_old_reports

        return forget_old_reports()

    forget()


forget_reports()
