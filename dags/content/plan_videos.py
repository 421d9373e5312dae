"""Plan.

Ranks topics by the views that they are expected to gain until publish time, weighed by the
model's probability of rising, and schedules the best for each channel. Planning twice as of the
same moment changes nothing. Starts one run of `generate_video` per scheduled video, also of those
that earlier plans have left waiting.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import dag, task
from ytempire_airflow.assets import DRIFT_REPORT, PREDICTIONS, VIDEO_SCHEDULE
from ytempire_airflow.defaults import DEFAULT_ARGS


@dag(
    schedule=[PREDICTIONS, DRIFT_REPORT],
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["content", "plan"],
    doc_md=__doc__,
)
def plan_videos():
    @task(outlets=[VIDEO_SCHEDULE])
    def plan(**context: Any) -> list[dict[str, Any]]:
        from ml.planning.planner import plan_and_store

        planned = plan_and_store()
        context["outlet_events"][VIDEO_SCHEDULE].extra = {
            "as_of": planned.as_of.isoformat(),
            "videos": planned.video_ids,
        }
        return [
            {"trigger_run_id": video_id, "conf": {"video_id": video_id}}
            for video_id in planned.to_generate
        ]

    TriggerDagRunOperator.partial(
        task_id="generate",
        trigger_dag_id="generate_video",
        # Only videos that are not finished come here; a failed run of one starts afresh and
        # reuses the stages that it had finished.
        reset_dag_run=True,
    ).expand_kwargs(plan())


plan_videos()
