"""Drift of the champion of `trend_video`.

Compares what it sees and says in the days before `as_of` with its training: features, predictions,
titles, missing values, and its calls by slice where outcomes have arrived. The page goes to the
reports bucket ([reports](/reports/)), verdicts by column to `ml.drift_columns`. Drift and decay ask
for a retraining, which `ml.retrain_requests` grants or refuses; a shift across a dated break of
definitions (`ml.definition_breaks`) does not. What came of the answers of batches and of the API
is written beside them, as `actual_outcome` in `ml.model_predictions`. The champions of stories,
topics, texts and segments are watched by what they answered (`ml.monitoring.recorded`).
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task
from ytempire_airflow.assets import DRIFT_REPORT, RETRAIN_TREND_VIDEO, TREND_VIDEO
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.defaults import DEFAULT_ARGS
from ytempire_airflow.training import skip_without_champion


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
        from dataclasses import asdict
        from datetime import datetime

        from ml.monitoring.drift import run_drift_report
        from ml.monitoring.retraining import ask_retraining

        skip_without_champion(TREND_VIDEO.name)
        report = run_drift_report(datetime.fromisoformat(now))
        request = ask_retraining(report, context["run_id"])
        covered = {
            "as_of": now,
            "model_version": report.model_version,
            "verdict": report.verdict,
            "drifted": list(report.drifted),
            "across_breaks": list(report.across_breaks),
            "report_key": report.report_key,
            "page": f"/reports/{report.report_key}",
            "retraining": asdict(request) if request else None,
        }
        context["outlet_events"][DRIFT_REPORT].extra = covered
        return covered

    @task
    def outcomes(now: str) -> dict[str, int]:
        from datetime import datetime

        from ml.monitoring.answers import join_outcomes

        return join_outcomes(datetime.fromisoformat(now))

    @task
    def others(now: str) -> dict[str, str]:
        """Verdict and page of the champions that answer for stories, topics, texts, segments."""
        from datetime import datetime

        from ml.monitoring.recorded import watch_recorded

        found = watch_recorded(datetime.fromisoformat(now))
        return {
            name: f"{report.verdict}: /reports/{report.report_key}"
            for name, report in found.items()
        }

    @task(outlets=[RETRAIN_TREND_VIDEO])
    def ask_for_training(covered: dict[str, Any], **context: Any) -> None:
        from airflow.sdk.exceptions import AirflowSkipException

        request = covered["retraining"]
        if request is None or not request["is_granted"]:
            raise AirflowSkipException(request["reason"] if request else "nothing speaks for it")
        context["outlet_events"][RETRAIN_TREND_VIDEO].extra = covered

    now = resolve_as_of()
    outcomes(now) >> others(now)
    ask_for_training(report(now))


watch_drift()
