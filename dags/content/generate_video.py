"""One video.

Produces one scheduled video: script, voice, thumbnail, video, quality gate, publish, release. A
video that is not wanted any more (cancelled, its channel closed) is skipped before it costs
anything. The stages are those of `ml.generation.pipeline`; a finished stage is not redone, so
clearing any task goes on where it stopped; `release` brings it to where its channel publishes and
closes its provenance, and its dead letter if it has one. With YTEMPIRE_APPROVAL_HOURS a person is
asked about a video that the gate holds. One that fails is a dead letter: `ytempire replay video
ID`. Started by `plan_videos` with the id of the video; the id is also the run id.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, chain, dag, task
from ytempire_airflow.approval import approval
from ytempire_airflow.assets import VIDEO_SCHEDULE, VIDEOS
from ytempire_airflow.defaults import DEFAULT_ARGS, gpu_args

from ml.generation.pipeline import STAGES


def mark_failed(context: Any) -> None:
    """Keep the schedule honest, and the video, when a task has used up its retries."""
    from ml.generation.failures import record_failure

    error = context.get("exception")
    reason = f"{type(error).__name__}: {error}" if error is not None else "the worker was lost"
    record_failure(context["params"]["video_id"], context["ti"].task_id, reason)


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
        @task(
            task_id=name,
            execution_timeout=timedelta(seconds=timeout_s),
            retries=retries,
            **gpu_args(),
        )
        def run(params: dict[str, Any] | None = None) -> dict[str, Any]:
            from ml.generation.records import run_scheduled_stage

            return run_scheduled_stage((params or {})["video_id"], name)

        return run()

    @task.short_circuit(inlets=[VIDEO_SCHEDULE])
    def admit(params: dict[str, Any] | None = None) -> bool:
        from ml.planning.upkeep import is_wanted

        return is_wanted((params or {})["video_id"])

    @task(outlets=[VIDEOS], execution_timeout=timedelta(hours=1))
    def release(params: dict[str, Any] | None = None) -> dict[str, Any]:
        from ml.publishing.release import conclude

        return vars(conclude((params or {})["video_id"]))

    tasks = [stage_task(stage.name, stage.timeout_s, stage.retries) for stage in STAGES]
    chain(admit(), *tasks[:-1], *approval(), tasks[-1], release())


generate_video()
