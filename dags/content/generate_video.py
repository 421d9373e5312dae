"""One video.

Produces one scheduled video: script, voice, thumbnail, video, quality gate, publish. The stages
are those of `ml.generation.pipeline`; a finished stage is not redone, so clearing any task goes on
where it stopped. With YTEMPIRE_APPROVAL_HOURS a person is asked about a video that the gate holds.
Started by `plan_videos` with the id of the video; the id is also the run id.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, chain, dag, task
from ytempire_airflow.approval import approval
from ytempire_airflow.assets import VIDEO_SCHEDULE, VIDEOS
from ytempire_airflow.defaults import DEFAULT_ARGS, GPU_ARGS

from ml.generation.pipeline import STAGES


def mark_failed(context: Any) -> None:
    """Keep the schedule honest when a stage has used up its retries."""
    from ml.generation.records import record_failure

    record_failure(context["params"]["video_id"])


@dag(
    schedule=None,
    max_active_runs=2,
    default_args={**DEFAULT_ARGS, "on_failure_callback": mark_failed},
    tags=["content", "gpu"],
    doc_md=__doc__,
    params={"video_id": Param(type="string", description="id in content.video_schedule")},
)
def generate_video():
    def stage_task(name: str, timeout_s: float, retries: int) -> Any:
        last = name == STAGES[-1].name
        first = name == STAGES[0].name

        @task(
            task_id=name,
            inlets=[VIDEO_SCHEDULE] if first else [],
            outlets=[VIDEOS] if last else [],
            execution_timeout=timedelta(seconds=timeout_s),
            retries=retries,
            **GPU_ARGS,
        )
        def run(params: dict[str, Any] | None = None) -> dict[str, Any]:
            from ml.generation.records import run_scheduled_stage

            return run_scheduled_stage((params or {})["video_id"], name)

        return run()

    tasks = [stage_task(stage.name, stage.timeout_s, stage.retries) for stage in STAGES]
    chain(*tasks[:-1], *approval(), tasks[-1])


generate_video()
