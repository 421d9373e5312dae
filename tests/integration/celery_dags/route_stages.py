"""The stages of a video with the arguments of the real DAG, and nothing to do in each."""

from __future__ import annotations

from airflow.sdk import chain, dag, task
from ytempire_airflow.defaults import DEFAULT_ARGS, gpu_args

from ml.generation.pipeline import STAGES


@dag(schedule=None, default_args=DEFAULT_ARGS)
def route_stages():
    def stage_task(name: str):
        @task(task_id=name, **gpu_args())
        def run() -> str:
            return name

        return run()

    @task
    def before() -> None:
        """Run on the default queue."""

    @task
    def after() -> None:
        """Run on the default queue."""

    chain(before(), *(stage_task(stage.name) for stage in STAGES), after())


route_stages()
