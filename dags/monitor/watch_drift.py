"""Drift of the features.

Compares the features of the last days before `as_of` with the champion's training window. The
report (HTML) goes to the reports bucket, the verdict to `ml.drift_reports`.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task
from ytempire_airflow.assets import DRIFT_REPORT, TREND_VIDEO
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.defaults import DEFAULT_ARGS


@dag(
    schedule=[TREND_VIDEO],
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["monitor", "evidently"],
    doc_md=__doc__,
)
def watch_drift():
    @task(outlets=[DRIFT_REPORT])
    def report(now: str, **context: Any) -> dict[str, Any]:
        from datetime import datetime

        from ml.monitoring.drift import run_drift_report

        report = run_drift_report(datetime.fromisoformat(now))
        covered = {
            "as_of": now,
            "model_version": report.model_version,
            "verdict": report.verdict,
            "drifted": list(report.drifted),
            "report_key": report.report_key,
        }
        context["outlet_events"][DRIFT_REPORT].extra = covered
        return covered

    report(resolve_as_of())


watch_drift()
