"""Work for callers of the HTTP API.

One DAG a route of long work: a script, speech, thumbnails, an assessment. The API adds a row to
`ops.api_jobs` and starts a run with the job's id as its conf; the task does what the row asks, with
the stages of `ml.generation`, and writes the answer to that row, its files to object storage. A job
that is completed is not done again, so clearing the task is safe.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task
from ytempire_airflow.defaults import DEFAULT_ARGS, gpu_args

from ml.generation.pipeline import STAGES

# The longest that the work of a route may take, loading of models included.
_TIMEOUT_S = {
    "generate_script": next(stage.timeout_s for stage in STAGES if stage.name == "script"),
    "synthesize_voice": 300,
    "generate_thumbnail": 120,
    "assess_quality": 300,
}


def mark_failed(context: Any) -> None:
    """Tell the caller, when the task has used up its tries."""
    from ml.jobs.run import record_failure

    record_failure(context["params"]["job_id"])


def answer_requests(kind: str) -> None:
    @dag(
        dag_id=kind,
        schedule=None,
        max_active_runs=8,
        default_args={**DEFAULT_ARGS, "on_failure_callback": mark_failed},
        tags=["content", "gpu", "api"],
        doc_md=__doc__,
        params={"job_id": Param(type="string", format="uuid", description="id in ops.api_jobs")},
    )
    def answer() -> None:
        @task(
            task_id="work",
            execution_timeout=timedelta(seconds=_TIMEOUT_S[kind]),
            retries=2,
            retry_delay=timedelta(seconds=2),
            **gpu_args(),
        )
        def work(params: dict[str, Any] | None = None) -> None:
            from ml.jobs.run import run_job

            run_job(kind, (params or {})["job_id"])

        work()

    answer()


for route in _TIMEOUT_S:
    answer_requests(route)
